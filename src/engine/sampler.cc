#include "engine/sampler_internal.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "kernels/decode.h"

namespace retort::engine {
namespace {

using tokenizer::TokenId;

struct Candidate {
  TokenId id;
  float logit;
};

// Most likely first, the lower id of equals.
bool before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// All tokens at or above the threshold; whole stretches below it are skipped by their maximum.
void gather(std::span<const float> logits, float threshold, std::vector<Candidate>& out) {
  constexpr size_t kStretch = 256;
  out.clear();
  for (size_t begin = 0; begin < logits.size(); begin += kStretch) {
    const size_t size = std::min(kStretch, logits.size() - begin);
    if (kernels::row_maximum(logits.data() + begin, static_cast<int64_t>(size)) < threshold)
      continue;
    for (size_t i = begin; i < begin + size; ++i) {
      if (logits[i] >= threshold) out.push_back({static_cast<TokenId>(i), logits[i]});
    }
  }
}

float maximum(std::span<const float> logits) {
  return kernels::row_maximum(logits.data(), static_cast<int64_t>(logits.size()));
}

// Natural logarithm of the sum of exponentials.
float log_sum(std::span<const float> logits) {
  const float top = maximum(logits);
  return top + std::log(kernels::row_sum_exp(logits.data(), static_cast<int64_t>(logits.size()),
                                             top, 1.0f));
}

// At least `k` candidates, sorted; the threshold falls until enough are found.
std::vector<Candidate> top_candidates(std::span<const float> logits, size_t k) {
  std::vector<Candidate> found;
  const size_t wanted = std::min(k, logits.size());
  const float top = maximum(logits);
  for (float below = 4; found.size() < wanted; below *= 2) {
    const bool all = !(below < 1e30f);
    gather(logits, all ? -INFINITY : top - below, found);
    if (all) break;
  }
  const size_t kept = std::min(wanted, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<int64_t>(kept), found.end(), before);
  found.resize(kept);
  return found;
}

}  // namespace

std::vector<TokenProbability> most_likely(std::span<const float> logits, int64_t k) {
  if (k <= 0) return {};
  const float total = log_sum(logits);
  std::vector<TokenProbability> out;
  for (const Candidate& c : top_candidates(logits, static_cast<size_t>(k))) {
    out.push_back({c.id, c.logit - total, std::ssize(out) + 1});
  }
  return out;
}

TokenProbability scored(std::span<const float> logits, TokenId id) {
  const float logit = logits[static_cast<size_t>(id)];
  const auto lower_ids = logits.first(static_cast<size_t>(id));
  const auto above = [logit](float other) { return other > logit; };
  const auto before = std::count_if(logits.begin(), logits.end(), above) +
                      std::count(lower_ids.begin(), lower_ids.end(), logit);
  return {id, logit - log_sum(logits), before + 1};
}

// The repetition penalty as in Keskar et al. 2019 (CTRL), section 4.1, over generated tokens only.
void Sampler::adjust(std::span<float> logits) const {
  for (const auto& [id, count] : generated_) {
    float& logit = logits[static_cast<size_t>(id)];
    const auto penalty = static_cast<float>(options_.repetition_penalty);
    logit = logit > 0 ? logit / penalty : logit * penalty;
    logit -= static_cast<float>(options_.presence_penalty +
                                options_.frequency_penalty * static_cast<double>(count));
  }
  for (const auto& [id, bias] : options_.logit_bias) logits[static_cast<size_t>(id)] += bias;
}

TokenId Sampler::choose(std::span<float> logits) {
  adjust(logits);
  TokenId chosen;
  if (options_.temperature <= 0) {
    const float top = maximum(logits);
    chosen = static_cast<TokenId>(std::find(logits.begin(), logits.end(), top) - logits.begin());
    if (chosen == static_cast<TokenId>(logits.size())) chosen = 0;  // a row of NaN
  } else {
    base::Random random(options_.seed, static_cast<uint64_t>(drawn_++));
    const double uniform = random.uniform();
    const bool filtered = options_.top_k > 0 || options_.top_p < 1 || options_.min_p > 0;
    chosen = filtered ? draw_filtered(logits, uniform) : draw_from_all(logits, uniform);
  }
  ++generated_[chosen];
  return chosen;
}

// By sums over stretches first, then token by token inside one.
TokenId Sampler::draw_from_all(std::span<const float> logits, double uniform) const {
  constexpr size_t kStretch = 512;
  const float top = maximum(logits);
  const auto scale = static_cast<float>(1 / options_.temperature);
  std::vector<double> sums;
  double total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kStretch) {
    const auto size = static_cast<int64_t>(std::min(kStretch, logits.size() - begin));
    sums.push_back(kernels::row_sum_exp(logits.data() + begin, size, top, scale));
    total += sums.back();
  }
  double left = uniform * total;
  size_t stretch = 0;
  while (stretch + 1 < sums.size() && left >= sums[stretch]) left -= sums[stretch++];
  const size_t begin = stretch * kStretch;
  const size_t end = std::min(begin + kStretch, logits.size());
  size_t last = begin;  // of those with any weight
  for (size_t i = begin; i < end; ++i) {
    const double weight = std::exp(static_cast<double>((logits[i] - top) * scale));
    if (weight > 0) last = i;
    if (left < weight) return static_cast<TokenId>(i);
    left -= weight;
  }
  return static_cast<TokenId>(last);
}

// top_k, then top_p of what is left (Holtzman et al. 2020, nucleus sampling), then min_p.
TokenId Sampler::draw_filtered(std::span<const float> logits, double uniform) const {
  const float top = maximum(logits);
  const auto scale = static_cast<float>(1 / options_.temperature);
  const auto size = static_cast<int64_t>(logits.size());
  const auto weight = [&](const Candidate& c) {
    return std::exp(static_cast<double>((c.logit - top) * scale));
  };
  const auto sum = [&](const std::vector<Candidate>& list) {
    double total = 0;
    for (const Candidate& c : list) total += weight(c);
    return total;
  };
  std::vector<Candidate> kept;
  double total = 0;
  if (options_.top_k > 0) {
    kept = top_candidates(logits, static_cast<size_t>(options_.top_k));
    total = sum(kept);
  } else {
    total = kernels::row_sum_exp(logits.data(), size, top, scale);
    // Weights below exp(-12) rarely matter: look further down only when the nucleus needs it.
    for (float depth = 12;; depth *= 2) {
      const bool all = !(depth < 1e4f);
      gather(logits, all ? -INFINITY : top - depth / scale, kept);
      if (all || sum(kept) >= options_.top_p * total) break;
    }
    std::sort(kept.begin(), kept.end(), before);
  }
  if (kept.empty()) return 0;  // a row of NaN
  size_t count = 0;
  double mass = 0;
  while (count < kept.size() && (count == 0 || mass < options_.top_p * total)) {
    if (count > 0 && weight(kept[count]) < options_.min_p) break;
    mass += weight(kept[count++]);
  }
  double left = uniform * mass;
  for (size_t i = 0; i + 1 < count; ++i) {
    const double w = weight(kept[i]);
    if (left < w) return kept[i].id;
    left -= w;
  }
  return kept[count - 1].id;
}

}  // namespace retort::engine
