// A running mean of what is trained, which is then what is measured and kept. Private to the room.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace retort::train {

class RunningMean {
 public:
  // `decay` a step; 0: there is none, and every call does nothing.
  RunningMean(double decay, std::span<const float> first);

  bool is_kept() const { return !mean_.empty(); }
  std::span<float> values() { return mean_; }
  // After the `updates`-th one, which made `now`.
  void move(std::span<const float> now, int64_t updates);
  // Swapped again it is as it was.
  void swap(std::span<float> with);
  // Writes the mean over the last values.
  void replace(std::span<float> values) const;

 private:
  double decay_;
  std::vector<float> mean_;
};

}  // namespace retort::train
