#include "collect/score.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/cancel.h"
#include "crypto/hash.h"
#include "openai/answer.h"
#include "openai/request.h"

namespace retort::collect {
namespace {

constexpr int64_t kPoll_ms = 100;  // Ctrl-C is heard within this
constexpr int64_t kFirstPause_ms = 500;
constexpr int64_t kLongestPause_ms = 60'000;
constexpr double kRounding = 1e-3;  // servers round: a certain token may stand a little above 0

// Whether a server's spelling can be that of these bytes. A token that ends inside a character is
// spelled in as many ways as there are servers, and some leave control tokens out.
bool may_be(const std::string& spelled, const std::string& piece) {
  if (spelled == piece || spelled.empty()) return true;
  return spelled.starts_with("bytes:") || spelled.find("\xef\xbf\xbd") != std::string::npos;
}

Error another_vocabulary(size_t place, const std::string& here, const std::string& there) {
  return base::bad_input(
      fmt::format("token {} of a text is \"{}\" here and \"{}\" for the teacher: it has another "
                  "vocabulary",
                  place, here, there),
      "teacher", "use a teacher whose tokens are the student's, or objective = \"sequence_kd\"");
}

}  // namespace

std::string scoring_body(const std::string& model, const GivenText& text) {
  openai::CompletionRequest request;
  request.generation.model = model;
  request.generation.max_tokens = 1;  // some servers take no 0
  request.generation.temperature = 0;
  request.prompts = {text.ids};
  request.logprobs = 1;
  request.echo = true;
  return json::dump(openai::print_request(request));
}

Result<std::vector<float>> read_scores(const std::string& body, const GivenText& text) {
  RETORT_TRY(const auto answer, openai::parse_completion(body));
  if (answer.choices.size() != 1 || !answer.choices[0].logprobs) {
    return Error{ErrorCode::upstream,
                 "the teacher scores no given texts: its answer has no logprobs", "",
                 "ask one whose /completions knows \"echo\" with \"logprobs\""};
  }
  const auto& found = *answer.choices[0].logprobs;
  const size_t size = text.ids.size();
  if (found.tokens.size() < size || found.token_logprobs.size() != found.tokens.size()) {
    return base::bad_input(
        fmt::format("a text of {} tokens has {} for the teacher", size, found.tokens.size()),
        "teacher", "it has another vocabulary, or does not know \"echo\"");
  }
  for (size_t i = 0; i < size; ++i) {
    if (may_be(found.tokens[i], text.pieces[i])) continue;
    return another_vocabulary(i, text.pieces[i], found.tokens[i]);
  }
  std::vector<float> out;
  for (auto i = static_cast<size_t>(text.from); i < size; ++i) {
    const auto& value = found.token_logprobs[i];
    if (!value || !std::isfinite(*value) || *value > kRounding) {
      return Error{ErrorCode::upstream, fmt::format("token {} of a text has no log-probability", i),
                   "teacher", ""};
    }
    out.push_back(static_cast<float>(std::min(*value, 0.0)));
  }
  return out;
}

Result<void> Scoring::send(const GivenText& text, int64_t number) {
  const auto tokens = std::ssize(text.ids) + 1;
  if (options_.most_tokens > 0 && asked_tokens_ + tokens > options_.most_tokens) {
    return Error{ErrorCode::budget_reached,
                 fmt::format("{} tokens were given to the teacher to score", asked_tokens_),
                 "train.score_tokens", "raise it, and run again: nothing is asked twice"};
  }
  asked_tokens_ += tokens;
  std::string body = scoring_body(options_.model, text);
  const std::string key = crypto::sha256_hex(body);
  sender_->send(number, std::move(body), key);
  return {};
}

Result<void> Scoring::take(const Ended& ended, Work& work) {
  const auto number = static_cast<size_t>(ended.job);
  Job& job = work.jobs[number];
  job.flying = false;
  const auto refused = judge_refused(ended.exchange, clock_.wall_ms());
  if (!refused) {
    RETORT_TRY(auto logprobs, read_scores(ended.exchange.body, work.texts[number]));
    job.done = true;
    work.on_scored(number, std::move(logprobs));
    return {};
  }
  if (refused->kind == ReplyKind::stop || refused->kind == ReplyKind::rejected) {
    return Error{ErrorCode::upstream, refused->why, "teacher", ""};
  }
  const int64_t now = clock_.monotonic_ms();
  const int64_t pause =
      std::min(kFirstPause_ms << std::min<int64_t>(job.broken, 7), kLongestPause_ms);
  if (refused->kind == ReplyKind::throttled) {
    held_until_ms_ = std::max(held_until_ms_, now + refused->retry_after_ms.value_or(pause));
  } else {
    job.not_before = now + pause;
  }
  if (++job.broken < options_.attempts) return {};
  return Error{ErrorCode::upstream,
               fmt::format("{} attempts, the last one: {}", job.broken, refused->why), "teacher",
               "run again later: training goes on from its last checkpoint"};
}

Result<void> Scoring::step(Work& work) {
  const int64_t now = clock_.monotonic_ms();
  int64_t flying = std::ranges::count_if(work.jobs, [](const Job& job) { return job.flying; });
  for (size_t i = 0; i < work.jobs.size() && flying < options_.concurrency; ++i) {
    Job& job = work.jobs[i];
    if (job.done || job.flying || now < std::max(job.not_before, held_until_ms_)) continue;
    const auto sent = send(work.texts[i], static_cast<int64_t>(i));
    if (!sent && flying == 0) return sent.error();
    if (!sent) break;  // what is in flight is paid for
    job.flying = true;
    ++flying;
  }
  for (const Ended& ended : sender_->wait(kPoll_ms)) RETORT_TRY_VOID(take(ended, work));
  if (base::cancelled()) return base::cancelled_error("train");
  return {};
}

// What has been answered meanwhile was paid for.
void Scoring::abandon(Work& work) {
  const auto flies = [](const Job& job) { return job.flying; };
  sender_->cancel_all();
  for (int tries = 0; tries < 100 && std::ranges::any_of(work.jobs, flies); ++tries) {
    for (const Ended& ended : sender_->wait(kPoll_ms)) static_cast<void>(take(ended, work));
  }
}

Result<void> Scoring::score(const std::vector<GivenText>& texts, const OnScored& on_scored) {
  Work work{texts, on_scored, std::vector<Job>(texts.size())};
  while (!std::ranges::all_of(work.jobs, [](const Job& job) { return job.done; })) {
    const auto stepped = step(work);
    if (stepped) continue;
    abandon(work);
    return stepped.error();
  }
  return {};
}

}  // namespace retort::collect
