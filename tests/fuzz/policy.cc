// A provider's policy, and cases as they are stored: what is taken reads back the same, and the
// times that follow from it can be reckoned with.
#include "policy/policy.h"

#include "base/clock.h"
#include "json/value.h"
#include "policy/case.h"
#include "policy/case_json.h"
#include "target.h"

namespace {

namespace policy = retort::policy;

constexpr int64_t kNow_ms = 1'790'000'000'000;
constexpr int64_t kDay_ms = 24 * 60 * 60 * 1000;

// Through all steps of a case that is judged by it.
void check_course(const policy::Policy& by) {
  policy::Case subject;
  subject.finding.carries = policy::Step::suspend;
  for (int64_t now_ms = kNow_ms; now_ms < kNow_ms + 8 * kDay_ms; now_ms += kDay_ms) {
    if (policy::next_move(by, subject, now_ms) != policy::Move::advance) continue;
    policy::advance(by, subject, now_ms);
    subject.step_requests = by.steps.warn_requests;
    const auto text = retort::json::dump(policy::to_json(subject));
    if (!policy::read_case(text, "case")) __builtin_trap();
    (void)policy::customer_json(by, subject);
  }
  if (policy::appeal_hindrance(subject, kNow_ms)) return;
  policy::take_appeal(by, subject, "It was not me.", kNow_ms);
  if (subject.appeal.decide_by_ms < kNow_ms) __builtin_trap();
}

void check_policy(std::string_view toml) {
  const auto read = policy::parse_policy(toml, "policy.toml");
  if (!read) {
    if (read.error().text().empty()) __builtin_trap();
    return;
  }
  const auto again = policy::parse_policy(read->text, "again");
  if (!again || again->id != read->id) __builtin_trap();
  if (read->effective_ms < read->announced_ms) __builtin_trap();
  // From when on sketches are kept is reckoned back from now.
  int64_t before_ms = 0;
  if (__builtin_mul_overflow(read->sketch_days, kDay_ms, &before_ms)) __builtin_trap();
  check_course(*read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 40'000) return 0;
  const auto text = retort::fuzz::text_of(data, size);
  check_policy(text);
  if (const auto subject = policy::read_case(text, "case")) {
    const auto printed = retort::json::dump(policy::to_json(*subject));
    const auto again = policy::read_case(printed, "case");
    if (!again || retort::json::dump(policy::to_json(*again)) != printed) __builtin_trap();
  }
  return 0;
}
