// What is measured of a stream of requests, and the families that the measures belong to. The order
// is part of the model's tables (model.h): append, never insert.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace retort::detect {

// A suspension needs evidence from two families: measures of one share their causes.
enum class Family : uint8_t {
  content,       // what is asked: one template filled anew, ground covered and never revisited
  yield,         // what is taken: long answers to short prompts, much of it
  conversation,  // whether answers are used: asked on, quoted back, or just gathered
  order,         // sorted, numbered, or in no order at all
  options,       // several answers a prompt, log-probabilities, the same setting throughout
  elicitation,   // the way to the answer, rubrics, training material
  timing,        // hours and gaps
  company,       // several accounts that share out one list; of clusters alone
};
constexpr size_t kFamilies = 8;

enum class Feature : uint8_t {
  templated,
  volume,
  prompt_novelty,
  fixed_words,
  slot_brevity,
  topic_novelty,
  filled_template,
  answer_length,
  answer_to_prompt,
  tokens_taken,
  answer_spread,
  one_shot,
  reuse,
  foreign_history,
  multi_turn,
  adjacent_likeness,
  sorted,
  numbered,
  shuffled,
  logprobs,
  many_answers,
  asked_again_warm,
  one_setting,
  long_limit,
  reasoning,
  data_making,
  hours_spread,
  gap_evenness,
  pace,
  burst,
  accounts,
  overlap,
  few_addresses,
  few_payments,
  taking_turns,
  together,
  same_client,
  unusual,
  harvest_like,
};
constexpr size_t kFeatures = 39;
using Features = std::array<float, kFeatures>;

struct FeatureText {
  Family family;
  std::string_view name;   // in JSON
  std::string_view words;  // what it is, for the customer who is judged by it
};
const FeatureText& text_of(Feature feature);
std::string_view name(Family family);
std::string_view words(Family family);

inline float& at(Features& values, Feature feature) {
  return values[static_cast<size_t>(feature)];
}
inline float at(const Features& values, Feature feature) {
  return values[static_cast<size_t>(feature)];
}

}  // namespace retort::detect
