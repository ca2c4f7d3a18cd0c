#include "policy/case.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace retort::policy {
namespace {

constexpr int64_t kMinute_ms = 60'000;
constexpr int64_t kDay_ms = 86'400'000;
constexpr std::array<const char*, 4> kStatuses = {"open", "appealed", "lifted", "closed"};
constexpr std::array<const char*, 4> kDecisions = {"confirm", "uphold", "lift", "close"};

template <class Enum, class Words>
std::optional<Enum> parse(const Words& words, std::string_view text) {
  const auto found = std::find(words.begin(), words.end(), text);
  if (found == words.end()) return std::nullopt;
  return static_cast<Enum>(found - words.begin());
}

// Whether the step has lasted, in time and in requests that were answered under it.
bool has_lasted(const Steps& steps, const Case& subject, int64_t now_ms) {
  const auto lasted = [&](int64_t minutes, int64_t requests) {
    return now_ms - subject.step_ms >= minutes * kMinute_ms && subject.step_requests >= requests;
  };
  switch (subject.step) {
    case Step::watch:
      return true;
    case Step::warn:
      return lasted(steps.warn_minutes, steps.warn_requests);
    case Step::throttle:
      return lasted(steps.throttle_minutes, steps.throttle_requests);
    case Step::suspend:
      break;
  }
  return false;
}

Step after(Step step) {
  return step == Step::suspend ? step : static_cast<Step>(static_cast<int>(step) + 1);
}

}  // namespace

const char* name(Status status) {
  return kStatuses[static_cast<size_t>(status)];
}
std::optional<Status> parse_status(std::string_view text) {
  return parse<Status>(kStatuses, text);
}
std::optional<Decision> parse_decision(std::string_view text) {
  return parse<Decision>(kDecisions, text);
}

Move next_move(const Policy& policy, const Case& subject, int64_t now_ms) {
  if (subject.over()) return Move::none;
  if (subject.status == Status::appealed) {
    return now_ms >= subject.appeal.decide_by_ms ? Move::lift : Move::none;
  }
  if (subject.step == Step::suspend || subject.proposed) return Move::none;
  const Step next = after(subject.step);
  if (subject.finding.carries < next) return Move::none;
  if (!has_lasted(policy.steps, subject, now_ms)) return Move::none;
  if (next != Step::suspend) return Move::advance;
  return policy.steps.automatic && !subject.finding.of_others ? Move::advance : Move::propose;
}

void advance(const Policy& policy, Case& subject, int64_t now_ms) {
  subject.step = after(subject.step);
  subject.proposed = false;
  subject.step_ms = now_ms;
  subject.step_requests = 0;
  subject.appeal_by_ms = now_ms + policy.appeals.days * kDay_ms;
}

void lift(Case& subject, std::string reason, int64_t now_ms) {
  subject.status = Status::lifted;
  subject.proposed = false;
  subject.step_ms = now_ms;
  subject.reason = std::move(reason);
}

std::optional<std::string> appeal_hindrance(const Case& subject, int64_t now_ms) {
  if (subject.over()) return "this case is over, and nothing of it binds you any more";
  if (subject.status == Status::appealed) return "an appeal is being decided already";
  if (subject.step == Step::watch) return "nothing has been done that could be appealed";
  if (now_ms > subject.appeal_by_ms) return "the time for an appeal of this step has passed";
  return std::nullopt;
}

void take_appeal(const Policy& policy, Case& subject, std::string text, int64_t now_ms) {
  subject.status = Status::appealed;
  subject.appeal = {std::move(text), now_ms, now_ms + policy.appeals.decision_days * kDay_ms};
}

Result<void> decide(const Policy& policy, Case& subject, Decision decision, std::string reason,
                    int64_t now_ms) {
  const auto refuse = [&subject](const char* why) {
    return base::usage_error(
        fmt::format("the case {} {}", subject.id, why), "",
        fmt::format("it stands at {}, {}{}", name(subject.step), name(subject.status),
                    subject.proposed ? ", with a suspension proposed" : ""));
  };
  if (reason.empty()) return refuse("is decided with a reason, which the customer reads");
  if (subject.over()) return refuse("is over");
  switch (decision) {
    case Decision::confirm:
      if (!subject.proposed) return refuse("has no suspension proposed");
      // The customer's word comes first.
      if (subject.status == Status::appealed) return refuse("is under appeal");
      advance(policy, subject, now_ms);
      break;
    case Decision::uphold:
      if (subject.status != Status::appealed) return refuse("is under no appeal");
      subject.status = Status::open;
      subject.appeal_by_ms = 0;  // one appeal a step
      break;
    case Decision::lift:
      if (subject.step == Step::watch) return refuse("has no step that could be lifted");
      lift(subject, std::move(reason), now_ms);
      return {};
    case Decision::close:
      subject.status = Status::closed;
      subject.proposed = false;
      subject.step_ms = now_ms;
      break;
  }
  subject.reason = std::move(reason);
  return {};
}

}  // namespace retort::policy
