#include "serve/traffic_internal.h"

#include <algorithm>
#include <cmath>

namespace retort::serve {
namespace {

constexpr double kBucketsADoubling = 3;
constexpr int64_t kStepsAMinute = 12;

}  // namespace

void Traffic::Spread::add(double seconds) {
  const double ms = std::max(1.0, seconds * 1000);
  const auto bucket = static_cast<size_t>(std::log2(ms) * kBucketsADoubling);
  ++counts_[std::min(bucket, counts_.size() - 1)];
}

void Traffic::Spread::add(const Spread& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

json::Value Traffic::Spread::percentile(double percent) const {
  uint64_t total = 0;
  for (const auto count : counts_) total += count;
  if (total == 0) return nullptr;
  const double wanted = static_cast<double>(total) * percent / 100;
  double below = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    if (below < wanted) continue;
    // The middle of the bucket, on the scale that it is even on.
    return std::round(std::exp2((static_cast<double>(i) + 0.5) / kBucketsADoubling) * 10) / 10;
  }
  return nullptr;
}

// With the mutex held. What stood in the place is a quarter of an hour old.
Traffic::Step& Traffic::now() {
  const int64_t number = clock_.monotonic_ms() / kStepMs;
  Step& step = steps_[static_cast<size_t>(number) % kSteps];
  if (step.number != number) {
    step = Step{};
    step.number = number;
  }
  return step;
}

void Traffic::add_reply(int status) {
  const std::lock_guard lock(mutex_);
  Step& step = now();
  ++step.requests;
  if (status >= 500) {
    ++step.failed;
  } else if (status >= 400) {
    ++step.refused;
  }
}

void Traffic::add_refusal(const std::string& code) {
  const std::lock_guard lock(mutex_);
  auto& refusals = now().refusals;
  const bool fits = refusals.size() < kCodesMax || refusals.contains(code);
  ++refusals[fits ? code : "other"];
}

void Traffic::add_first_token(double seconds) {
  const std::lock_guard lock(mutex_);
  now().first_token.add(seconds);
}

void Traffic::add_answer(double seconds, int64_t input_tokens, int64_t output_tokens) {
  const std::lock_guard lock(mutex_);
  Step& step = now();
  ++step.answers;
  step.answer.add(seconds);
  step.input_tokens += input_tokens;
  step.output_tokens += output_tokens;
}

// With the mutex held: of the twelve whole steps before `last`, a second.
json::Value Traffic::minute(int64_t last) const {
  Step sum;
  for (int64_t number = last - kStepsAMinute; number < last; ++number) {
    if (number < 0) continue;
    const Step& step = steps_[static_cast<size_t>(number) % kSteps];
    if (step.number != number) continue;
    sum.requests += step.requests;
    sum.input_tokens += step.input_tokens;
    sum.output_tokens += step.output_tokens;
    sum.first_token.add(step.first_token);
    sum.answer.add(step.answer);
  }
  const auto a_second = [](int64_t count) {
    return std::round(static_cast<double>(count) / 60 * 100) / 100;
  };
  return json::Value::object({{"requests_per_second", a_second(sum.requests)},
                              {"input_tokens_per_second", a_second(sum.input_tokens)},
                              {"output_tokens_per_second", a_second(sum.output_tokens)},
                              {"first_token_ms_p50", sum.first_token.percentile(50)},
                              {"first_token_ms_p95", sum.first_token.percentile(95)},
                              {"answer_ms_p50", sum.answer.percentile(50)},
                              {"answer_ms_p95", sum.answer.percentile(95)}});
}

json::Value Traffic::print() const {
  const std::lock_guard lock(mutex_);
  const int64_t last = clock_.monotonic_ms() / kStepMs;
  json::Value requests = json::Value::array(), answers = requests, refused = requests,
              failed = requests, input = requests, output = requests, first = requests,
              whole = requests;
  std::map<std::string, int64_t> codes;
  const Step none{};
  for (int64_t number = last - static_cast<int64_t>(kSteps) + 1; number <= last; ++number) {
    const Step& held = steps_[static_cast<size_t>(std::max<int64_t>(0, number)) % kSteps];
    const Step& step = held.number == number ? held : none;
    requests.push(step.requests);
    answers.push(step.answers);
    refused.push(step.refused);
    failed.push(step.failed);
    input.push(step.input_tokens);
    output.push(step.output_tokens);
    first.push(step.first_token.percentile(95));
    whole.push(step.answer.percentile(95));
    for (const auto& [code, count] : step.refusals) codes[code] += count;
  }
  json::Value refusals = json::Value::array();
  for (const auto& [code, count] : codes) {
    refusals.push(json::Value::object({{"code", code}, {"count", count}}));
  }
  return json::Value::object({{"step_s", kStepMs / 1000},
                              {"now_ms", clock_.wall_ms()},
                              {"last_minute", minute(last)},
                              {"requests", std::move(requests)},
                              {"answers", std::move(answers)},
                              {"refused", std::move(refused)},
                              {"failed", std::move(failed)},
                              {"input_tokens", std::move(input)},
                              {"output_tokens", std::move(output)},
                              {"first_token_ms_p95", std::move(first)},
                              {"answer_ms_p95", std::move(whole)},
                              {"refusals", std::move(refusals)}});
}

}  // namespace retort::serve
