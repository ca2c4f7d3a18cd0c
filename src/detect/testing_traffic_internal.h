// Traffic of several accounts before a detector, and what they are judged by, for the room's tests.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "detect/detector.h"
#include "detect/testing_internal.h"

namespace retort::detect::testing {

// Two kinds of evidence in the score, none of which is unusual by the family's own measure: what is
// asked and how long answers are, and of clusters how many accounts there are.
inline Model joint_model() {
  Model out;
  for (Judge* judge : {&out.account, &out.cluster}) judge->bias = 0;
  out.account.trees = {ask(Feature::filled_template, 0.25f, -6, 6),
                       ask(Feature::answer_length, 0.6f, -5, 5)};
  out.cluster.trees = {ask(Feature::answer_length, 0.6f, -6, 6),
                       ask(Feature::accounts, 0.2f, -5, 5)};
  return out;
}

// Of honest accounts a few in a thousand may score as high as a harvest.
inline Calibration honest_like(float account_score, int few_in_1000 = 0) {
  CalibrationBuilder builder(1);
  base::Random random(3);
  for (int i = 0; i < 5000; ++i) {
    Wealth wealth;
    const bool few = i % 1000 < few_in_1000;
    wealth.total = (few ? 9 : account_score) + static_cast<float>(random.uniform());
    for (auto& one : wealth.families) one = static_cast<float>(random.uniform());
    wealth.rest = static_cast<float>(random.uniform());
    builder.add("chat", wealth);
    wealth.total = -6;
    builder.add_cluster("cluster:template", wealth);
    builder.add_cluster("cluster:infrastructure", wealth);
  }
  return builder.finish();
}

class Traffic {
 public:
  explicit Traffic(Calibration calibration, Policy policy = {}, Model model = simple_model())
      : detector_({.salt = 5,
                   .policy = std::move(policy),
                   .model = std::move(model),
                   .calibration = std::move(calibration)}) {}

  std::optional<Finding> ask(const std::string& account, const std::string& prompt,
                             Licence licence = Licence::none) {
    const std::string id = "req_" + std::to_string(++asked_);
    const std::vector<Turn> turns = {{Speaker::user, prompt}};
    Observation seen;
    seen.subject = {account, "key_1", purpose, licence};
    seen.request = id;
    seen.time_ms = time_ms_ += step_ms;
    seen.turns = turns;
    seen.input_tokens = 15;
    seen.output_tokens = answer_tokens;
    seen.sampling.temperature = temperature;
    seen.address_cell = address;
    return detector_.observe(seen);
  }
  // Item `i` of the list that is harvested.
  std::optional<Finding> take(const std::string& account, uint64_t i,
                              Licence licence = Licence::none) {
    return ask(account, "Write a detailed encyclopedia article about " + word(i) + ".", licence);
  }
  Detector& detector() { return detector_; }
  uint64_t asked() const { return static_cast<uint64_t>(asked_); }
  void wait_days(int64_t days) { time_ms_ += days * 24 * 3'600'000; }

  int64_t answer_tokens = 500, step_ms = 20'000;
  uint64_t address = 0;
  double temperature = 1;
  std::string purpose = "chat";

 private:
  Detector detector_;
  int64_t time_ms_ = 1'760'000'000'000;
  int asked_ = 0;
};

}  // namespace retort::detect::testing
