#include "collect/token_logprobs.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "openai/answer.h"

namespace retort::collect {
namespace {

using corpus::TokenLogprobs;

// OpenAI's -9999 and vLLM's floor: not among the likeliest.
constexpr double kNotKnown = -9000;
constexpr double kPrintedDigits = 0.01;  // of what a server prints with few digits

bool is_known(double logprob) {
  return logprob > kNotKnown;
}

// Where the token taken stands among the entries; -1: it is none of them. Servers that spell
// several tokens alike give it away by its value.
int64_t place_of(const openai::TokenLogprob& taken, const std::vector<TokenLogprobs::Entry>& all) {
  int64_t best = -1;
  double distance = INFINITY;
  for (size_t i = 0; i < all.size(); ++i) {
    const double apart = std::abs(static_cast<double>(all[i].logprob) - taken.logprob);
    if (all[i].bytes != taken.bytes || apart >= distance) continue;
    best = static_cast<int64_t>(i);
    distance = apart;
  }
  return best;
}

Result<TokenLogprobs> to_kept(const openai::TokenLogprob& token) {
  TokenLogprobs out;
  for (const auto& other : token.top) {
    if (!is_known(other.logprob)) continue;
    out.entries.push_back({other.bytes, static_cast<float>(std::min(other.logprob, 0.0))});
  }
  std::stable_sort(out.entries.begin(), out.entries.end(),
                   [](const auto& a, const auto& b) { return a.logprob > b.logprob; });
  if (std::ssize(out.entries) >= corpus::kLogprobEntriesMax) {
    out.entries.resize(corpus::kLogprobEntriesMax - 1);
  }
  // A value that comes alone is a placeholder in some servers.
  const bool known = is_known(token.logprob) && !out.entries.empty();
  out.chosen = place_of(token, out.entries);
  if (out.chosen < 0) {
    out.chosen = std::ssize(out.entries);
    out.entries.push_back(
        {token.bytes, known ? static_cast<float>(std::min(token.logprob, 0.0)) : NAN});
  }
  double mass = 0;
  for (const auto& entry : out.entries) {
    if (!std::isnan(entry.logprob)) mass += std::exp(static_cast<double>(entry.logprob));
  }
  const auto above = [](const auto& one) { return one.logprob > kPrintedDigits; };
  if (above(token) || std::any_of(token.top.begin(), token.top.end(), above)) {
    return base::bad_input("a log-probability is above 0");
  }
  if (mass > 1 + kPrintedDigits) {
    return base::bad_input(
        fmt::format("the probabilities of one token's alternatives add up to {:.2f}", mass));
  }
  out.tail = static_cast<float>(std::max(0.0, 1 - mass));
  return out;
}

}  // namespace

Result<std::vector<TokenLogprobs>> read_logprobs(const json::Value& choice) {
  std::vector<TokenLogprobs> out;
  RETORT_TRY(const auto tokens, openai::parse_chat_logprobs(choice));
  if (!tokens) return out;
  for (const auto& token : *tokens) {
    RETORT_TRY(auto kept, to_kept(token));
    out.push_back(std::move(kept));
  }
  return out;
}

}  // namespace retort::collect
