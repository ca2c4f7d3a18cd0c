#include "collect/gathering_notebook.h"

#include <algorithm>

#include "collect/wire.h"

namespace retort::collect {
namespace {

int64_t micros_up(Money money) {
  return money / kMicroDollar + (money % kMicroDollar > 0 ? 1 : 0);
}

// The reserved most stands for a cost that nobody knows, so that the spend is never too small.
corpus::Usage usage_of(const Step& step) {
  return {step.charge.prompt_tokens, step.charge.answer_tokens};
}

corpus::Answer to_corpus(const corpus::Record& request, const Answer& answer, const Step& step) {
  corpus::Answer out;
  out.model_answered = answer.model;
  out.text = answer.text;
  out.finish_reason = answer.refused ? "refusal" : answer.finish_reason;
  out.usage = usage_of(step);
  out.request_id = answer.id;
  out.preference = preference_of(answer);
  out.preference_text = preference_text_of(answer);
  out.cost_micros = micros_up(step.charge.money);
  if (request.sampling.top_logprobs > 0) {
    out.features = corpus::kLogprobs;
    out.logprobs = answer.logprobs;
  }
  return out;
}

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace

// "train-ai=n, search=y": IETF aipref's vocabulary in a structured field.
terms::Preference preference_of(const Answer& answer) {
  std::string text;
  std::copy_if(answer.content_usage.begin(), answer.content_usage.end(), std::back_inserter(text),
               [](char c) { return !is_space(c); });
  text = "," + text + ",";
  std::replace(text.begin(), text.end(), ';', ',');
  for (const char* no : {",train-ai=n,", ",ai=n,", ",genai=n,"}) {
    if (text.find(no) != std::string::npos) return terms::Preference::no;
  }
  if (text.find(",train-ai=y,") != std::string::npos) return terms::Preference::yes;
  return terms::Preference::absent;
}

std::string preference_text_of(const Answer& answer) {
  if (answer.content_usage.empty()) return answer.licence_link;
  if (answer.licence_link.empty()) return answer.content_usage;
  return answer.content_usage + " | " + answer.licence_link;
}

GatheringNotebook::GatheringNotebook(corpus::Gathering& gathering, const Prices& prices,
                                     const std::set<std::string>& wanted, base::Clock& clock)
    : gathering_(gathering), prices_(prices), wanted_(wanted), clock_(clock) {}

Result<std::vector<Claimed>> GatheringNotebook::claim(int64_t limit) {
  std::vector<Claimed> out;
  RETORT_TRY(auto jobs, gathering_.claim(limit));
  for (auto& job : jobs) {
    const Spend most = most_of(job.request, prices_);
    // Nobody knows what an attempt cost that an earlier process did not live to see the end of.
    if (job.possibly_sent) {
      RETORT_TRY_VOID(gathering_.book_lost(job, {most.prompt_tokens, most.answer_tokens},
                                           micros_up(most.money)));
    }
    if (!wanted_.contains(job.request.key)) {
      RETORT_TRY_VOID(gathering_.fail(
          job, {.reason = "no longer part of the run file", .retry = false, .usage = {}}));
      continue;
    }
    out.push_back({job.id, most, job.request.key, job.possibly_sent});
    claimed_.insert_or_assign(job.id, std::move(job));
  }
  return out;
}

Result<void> GatheringNotebook::release(int64_t job) {
  auto node = claimed_.extract(job);
  return gathering_.release(node.mapped());
}

Result<void> GatheringNotebook::ended(int64_t job, const Reply& reply, const Step& step) {
  auto node = claimed_.extract(job);
  if (step.outcome == Outcome::answered) {
    corpus::Answer answer = to_corpus(node.mapped().request, reply.answer, step);
    gathering_.submit(node.mapped(), std::move(answer), [this](Result<void> result) {
      const std::lock_guard lock(mutex_);
      if (!result && !writer_error_) writer_error_ = result.error();
    });
    return {};
  }
  corpus::Failure failure;
  failure.reason = reply.why;
  failure.retry = step.outcome == Outcome::again;
  failure.retry_after_ms = step.again_in_ms;
  failure.cost_micros = micros_up(step.charge.money);
  failure.usage = usage_of(step);
  return gathering_.fail(node.mapped(), failure);
}

Result<void> GatheringNotebook::commit() {
  RETORT_TRY_VOID(gathering_.flush());
  const std::lock_guard lock(mutex_);
  if (writer_error_) return *writer_error_;
  return {};
}

Result<int64_t> GatheringNotebook::next_in_ms() {
  RETORT_TRY(const int64_t ready_ms, gathering_.next_ready_ms());
  if (ready_ms < 0) return int64_t{-1};
  return std::max<int64_t>(0, ready_ms - clock_.wall_ms());
}

std::string GatheringNotebook::body(int64_t job) {
  return request_body(claimed_.at(job).request);
}

}  // namespace retort::collect
