#include "train/logprob_rows.h"

#include <fmt/core.h>

#include "base/check.h"
#include "train/logprob_align_internal.h"

namespace retort::train {
namespace {

constexpr const char* kTextsAlone =
    "use objective = \"sequence_kd\", which learns from the texts alone";

Result<void> check_share(const LogprobCounts& counts) {
  if (counts.records == 0) {
    return base::usage_error(
        "no record has the teacher's log-probabilities", "train.objective",
        std::string("gather them with [collect] top_logprobs = 20, or ") + kTextsAlone);
  }
  if (counts.tokens == 0 || counts.share() >= kLeastAlignedShare) return {};
  return base::usage_error(
      fmt::format("{:.0f} % of the student's tokens are tokens of the teacher at the same place, "
                  "and its log-probabilities say nothing of the others",
                  100 * counts.share()),
      "train.objective", std::string(kTextsAlone) + ", or a student with the teacher's tokenizer");
}

}  // namespace

template <class ActionTag>
Result<LogprobRows> logprob_rows(const corpus::Cleared<ActionTag>& data, const Examples& examples,
                                 const tokenizer::Tokenizer& tokenizer,
                                 const tokenizer::ChatFormat& format) {
  std::unordered_map<std::string_view, int64_t> records;
  for (int64_t i = 0; i < data.size(); ++i) records[data[i].key] = i;
  LogprobAligner aligner(tokenizer, format.stop_token());
  LogprobRows out;
  for (const Example& example : examples.rows) {
    const auto found = records.find(example.key);
    RETORT_CHECK(found != records.end(), "an example of no record: {}", example.key);
    const corpus::Record& record = data[found->second];
    const auto tokens = data.logprobs(found->second);
    // Behind a stop string the last token is no end of the model's own.
    const bool ended = record.finish_reason == "stop" && record.sampling.stop.empty();
    out.of_example.push_back(
        aligner.align(example, {.text = record.answer, .ended = ended, .tokens = tokens}));
  }
  out.counts = aligner.counts();
  RETORT_TRY_VOID(check_share(out.counts));
  return out;
}

template Result<LogprobRows> logprob_rows(const corpus::Cleared<terms::TrainGenerative>& data,
                                          const Examples& examples,
                                          const tokenizer::Tokenizer& tokenizer,
                                          const tokenizer::ChatFormat& format);
template Result<LogprobRows> logprob_rows(const corpus::Cleared<terms::Evaluate>& data,
                                          const Examples& examples,
                                          const tokenizer::Tokenizer& tokenizer,
                                          const tokenizer::ChatFormat& format);

}  // namespace retort::train
