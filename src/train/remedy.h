// What it costs when permission for one part of a training ends (train.isolate_by), told before
// anything is trained. Both remedies are exact: the weights are those of a training that never had
// the part.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace retort::train {

struct PartSize {
  std::string label;
  int64_t rows = 0;
  int64_t tokens = 0;  // inputs, in all epochs
};

struct Remedy {
  PartSize without;           // the part that goes
  int64_t replay_tokens = 0;  // from the checkpoint that is kept before it
  int64_t anew_tokens = 0;    // of a new run that keeps no checkpoint
};
// One for each part, in the order in which they are learnt.
std::vector<Remedy> remedies(const std::vector<PartSize>& parts);
// A line for each, for people.
std::vector<std::string> tell(const std::vector<Remedy>& remedies);
// The same where each part has an adapter of its own.
std::vector<std::string> tell_apart(const std::vector<Remedy>& remedies);

}  // namespace retort::train
