#include "collect/asking.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"

namespace retort::collect {
namespace {

constexpr int64_t kMostThrottles = 1000;  // of one job; the lane's patience ends it long before
constexpr const char* kWithoutLogprobs =
    "ask for fewer, ask another teacher, or set it to 0 to learn from the texts alone";
constexpr Spend kOneRequest{.requests = 1, .prompt_tokens = 0, .answer_tokens = 0, .money = 0};

Error budget_error(const char* limit) {
  return {ErrorCode::budget_reached, "the next request does not fit into the budget",
          std::string("collect.") + limit,
          "everything answered so far is kept; raise the budget and run the same command again"};
}

}  // namespace

Asking::Asking(const AskingOptions& options, Spend spent, int64_t now_ms)
    : options_(options), budget_(options.limits, spent), pacing_(options.pacing, now_ms) {}

int64_t Asking::room(int64_t now_ms) const {
  if (stopped_ || waits_for_budget_) return 0;
  return std::max<int64_t>(0, pacing_.allowed(now_ms) - in_flight());
}

Admission Asking::admit(int64_t job, const Spend& most) {
  RETORT_CHECK(!in_flight_.contains(job), "job {} twice", job);
  const Admission admission = budget_.reserve(most);
  if (admission == Admission::refused) stop(budget_error(budget_.stopped_by()));
  waits_for_budget_ = admission == Admission::wait;
  if (admission == Admission::granted) {
    in_flight_.emplace(job, most);
    ++tally_.sent;
  }
  return admission;
}

Step Asking::on_reply(int64_t job, const Reply& reply, int64_t sent_ms, int64_t now_ms) {
  const auto found = in_flight_.find(job);
  RETORT_CHECK(found != in_flight_.end(), "job {} is not in flight", job);
  const Spend most = found->second;
  in_flight_.erase(found);
  waits_for_budget_ = false;
  if (reply.kind != ReplyKind::answer) tally_.last_failure = reply.why;
  if (!reply.policy_case.empty()) tally_.policy_case = reply.policy_case;
  Step step;
  switch (reply.kind) {
    case ReplyKind::answer:
      step = on_answer(most, reply, now_ms);
      break;
    case ReplyKind::throttled:
      step = on_throttle(job, most, reply, sent_ms, now_ms);
      break;
    case ReplyKind::broken:
      step = on_broken(job, most, reply, now_ms);
      break;
    case ReplyKind::unreachable:
      step = on_unreachable(most, reply, now_ms);
      break;
    case ReplyKind::rejected:
      step = on_rejected(most, reply);
      break;
    case ReplyKind::stop:
      step = on_stop(most, reply);
      break;
  }
  if (step.outcome == Outcome::again) {
    ++tally_.retries;
  } else {
    troubles_.erase(job);
  }
  if (step.unknown) ++tally_.unknown;
  return step;
}

void Asking::book_unknown(const Spend& most) {
  // The request itself was counted when it was sent.
  Spend cost = most;
  cost.requests = 0;
  budget_.book(cost);
  ++tally_.unknown;
}

Step Asking::on_answer(const Spend& most, const Reply& reply, int64_t now_ms) {
  const Answer& answer = reply.answer;
  Step step{Outcome::answered, most, !answer.usage_known};
  if (answer.usage_known) {
    step.charge = priced(options_.prices, answer.prompt_tokens, answer.answer_tokens);
  }
  budget_.settle(most, step.charge);
  pacing_.on_answer(now_ms);
  ++tally_.answered;
  tally_.answer_tokens = add_clamped(tally_.answer_tokens, answer.answer_tokens);
  if (options_.top_logprobs > 0) check_logprobs(answer);
  return step;
}

// A teacher that passes the wish over would pass it over each time. An empty answer has no tokens.
void Asking::check_logprobs(const Answer& answer) {
  if (!answer.logprobs.empty() || answer.text.empty()) {
    has_logprobs_ = has_logprobs_ || !answer.logprobs.empty();
    return;
  }
  ++tally_.without_logprobs;
  if (has_logprobs_) return;
  stop(base::upstream_error(
      answer.logprobs_fault.empty()
          ? fmt::format("the teacher answers without the log-probabilities that top_logprobs = {} "
                        "asks for",
                        options_.top_logprobs)
          : "the teacher's log-probabilities make no sense: " + answer.logprobs_fault,
      "collect.top_logprobs", kWithoutLogprobs));
}

Step Asking::on_broken(int64_t job, const Spend& most, const Reply& reply, int64_t now_ms) {
  Step step{Outcome::again, reply.maybe_billed ? most : kOneRequest, reply.maybe_billed};
  budget_.settle(most, step.charge);
  pacing_.on_failure(now_ms, true);
  check_patience(reply, now_ms);
  const int64_t broken = ++troubles_[job].broken;
  if (broken >= options_.max_attempts || !pacing_.take_retry()) {
    ++tally_.exhausted;
    step.outcome = Outcome::failed;
    return step;
  }
  step.again_in_ms = pacing_.retry_at_ms(broken, now_ms) - now_ms;
  return step;
}

Step Asking::on_throttle(int64_t job, const Spend& most, const Reply& reply, int64_t sent_ms,
                         int64_t now_ms) {
  budget_.settle(most, kOneRequest);
  ++tally_.throttled;
  pacing_.on_throttle(sent_ms, now_ms, reply.retry_after_ms);
  check_patience(reply, now_ms);
  if (++troubles_[job].throttled >= kMostThrottles) {
    ++tally_.exhausted;
    return {Outcome::failed, kOneRequest, false};
  }
  return {Outcome::again, kOneRequest, false};  // the lane is parked; the job waits no longer
}

Step Asking::on_unreachable(const Spend& most, const Reply& reply, int64_t now_ms) {
  budget_.release(most);
  pacing_.on_failure(now_ms, false);
  check_patience(reply, now_ms);
  return {Outcome::again, {}, false, pacing_.retry_at_ms(1, now_ms) - now_ms};
}

Step Asking::on_rejected(const Spend& most, const Reply& reply) {
  budget_.settle(most, kOneRequest);
  ++tally_.rejected;
  const bool first = options_.top_logprobs > 0 && !has_logprobs_;
  if (first && reply.why.find("logprob") != std::string::npos) {
    stop(base::upstream_error(
        fmt::format("the teacher refuses top_logprobs = {}: {}", options_.top_logprobs, reply.why),
        "collect.top_logprobs", kWithoutLogprobs));
  }
  if (tally_.answered == 0 && tally_.rejected >= options_.rejections_to_stop) {
    stop(base::upstream_error("the teacher rejects every request; the last time: " + reply.why, "",
                              "check model, sampling options and prompts"));
  }
  return {Outcome::failed, kOneRequest, false};
}

Step Asking::on_stop(const Spend& most, const Reply& reply) {
  budget_.settle(most, kOneRequest);
  stop(base::upstream_error(reply.why, "",
                            "nothing more is asked, and no other key is tried; what was answered "
                            "is kept; settle it with the provider, then run the same command"));
  return {Outcome::again, kOneRequest, false};  // by a later run
}

void Asking::check_patience(const Reply& reply, int64_t now_ms) {
  if (!pacing_.gave_up(now_ms)) return;
  const bool reached = pacing_.reached();
  const auto patience_ms =
      reached ? options_.pacing.patience_ms : options_.pacing.connect_patience_ms;
  const std::string waited = base::human_duration(static_cast<double>(patience_ms) / 1000);
  stop(base::upstream_error(
      fmt::format("{} for {}: {}",
                  reached ? "the teacher gave no answer" : "no teacher was reached", waited,
                  reply.why),
      "",
      reached ? "what was answered is kept; run the same command when it is back"
              : "check that the teacher runs and that teacher.base_url is right"));
}

void Asking::stop(Error error) {
  if (!stopped_) stopped_ = std::move(error);
}

int64_t Asking::wake_ms(int64_t now_ms) const {
  if (stopped_ || waits_for_budget_) return INT64_MAX;
  return pacing_.parked_until_ms() > now_ms ? pacing_.parked_until_ms() : INT64_MAX;
}

}  // namespace retort::collect
