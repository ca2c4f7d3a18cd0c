// Detectors that others published or run, on the same requests: each gives an account a score that
// never falls. Embeddings are of hashed words (64 numbers), where the papers have a neural one.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace retort::bench::harvest {

constexpr size_t kDimensions = 64, kWaves = 128;
using Embedding = std::array<float, kDimensions>;
Embedding embed(std::string_view text);

// What honest traffic looks like on average, for MMD: the mean of random Fourier features
// (Rahimi and Recht 2007) of a kernel exp(-|x - y|^2 / 2).
class Reference {
 public:
  Reference();
  std::array<float, kWaves> waves_of(const Embedding& x) const;
  void add(const Embedding& x);
  const std::array<double, kWaves>& sum() const { return sum_; }
  double count() const { return count_; }

 private:
  std::array<Embedding, kWaves> directions_{};
  std::array<float, kWaves> phases_{};
  std::array<double, kWaves> sum_{};
  double count_ = 0;
};

enum class Baseline { volume_cap, prada, seat, mmd };
constexpr size_t kBaselines = 4;
const char* name(Baseline which);

class Baselines {
 public:
  void add(int64_t time_ms, const Embedding& x, const Reference& honest);
  double score(Baseline which) const { return scores_[static_cast<size_t>(which)]; }

 private:
  void raise(Baseline which, double value);
  void judge_prada();
  std::array<double, kBaselines> scores_{};
  int64_t day_ = -1;
  double today_ = 0, pairs_ = 0, in_window_ = 0;
  std::deque<Embedding> latest_;
  std::vector<float> nearest_;
  std::array<double, kWaves> window_{};
};

}  // namespace retort::bench::harvest
