#include "harvest/baselines.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace retort::bench::harvest {
namespace {

constexpr size_t kKept = 100;      // earlier prompts that a new one is compared with
constexpr size_t kDistances = 60;  // of which PRADA tests that they are normal
constexpr double kSimilar = 0.8;   // cosine from which SEAT takes two prompts for a pair
constexpr double kWindow = 200;    // requests in a window of MMD

float dot(const Embedding& a, const Embedding& b) {
  float sum = 0;
  for (size_t i = 0; i < kDimensions; ++i) sum += a[i] * b[i];
  return sum;
}

// The quantile of the normal distribution, by bisection: it is asked for a few values only.
double normal_quantile(double p) {
  double low = -6, high = 6;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) > p ? high : low) = middle;
  }
  return low;
}

}  // namespace

Embedding embed(std::string_view text) {
  Embedding out{};
  uint64_t hash = 7;
  bool in_word = false;
  const auto end_word = [&] {
    if (!in_word) return;
    const uint64_t mixed = base::mix64(hash);
    out[mixed % kDimensions] += (mixed >> 32 & 1) != 0 ? 1.0f : -1.0f;
    hash = 7;
    in_word = false;
  };
  for (const char c : text.substr(0, 2000)) {
    const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (!letter) {
      end_word();
      continue;
    }
    in_word = true;
    hash = hash * 31 + static_cast<unsigned char>(std::tolower(static_cast<unsigned char>(c)));
  }
  end_word();
  const float norm = std::sqrt(std::max(1e-9f, dot(out, out)));
  for (float& one : out) one /= norm;
  return out;
}

Reference::Reference() {
  base::Random random(11);
  for (size_t w = 0; w < kWaves; ++w) {
    for (float& one : directions_[w]) one = static_cast<float>(random.normal());
    phases_[w] = static_cast<float>(2 * 3.14159265 * random.uniform());
  }
}

std::array<float, kWaves> Reference::waves_of(const Embedding& x) const {
  std::array<float, kWaves> out{};
  const float scale = std::sqrt(2.0f / kWaves);
  for (size_t w = 0; w < kWaves; ++w) {
    out[w] = scale * std::cos(dot(directions_[w], x) + phases_[w]);
  }
  return out;
}

void Reference::add(const Embedding& x) {
  const auto waves = waves_of(x);
  for (size_t w = 0; w < kWaves; ++w) sum_[w] += waves[w];
  ++count_;
}

const char* name(Baseline which) {
  constexpr std::array<const char*, kBaselines> kNames = {"volume cap a day", "PRADA", "SEAT",
                                                          "MMD, windows of 200"};
  return kNames[static_cast<size_t>(which)];
}

void Baselines::raise(Baseline which, double value) {
  double& held = scores_[static_cast<size_t>(which)];
  held = std::max(held, value);
}

// Shapiro and Francia's statistic of the latest nearest distances: the squared correlation with
// normal quantiles. PRADA alarms when it is low.
void Baselines::judge_prada() {
  static const std::vector<double> kQuantiles = [] {
    std::vector<double> out;
    for (size_t i = 0; i < kDistances; ++i) {
      out.push_back(normal_quantile((static_cast<double>(i) + 0.625) / (kDistances + 0.25)));
    }
    return out;
  }();
  std::vector<float> sorted(nearest_.end() - kDistances, nearest_.end());
  std::sort(sorted.begin(), sorted.end());
  double mean = 0, cross = 0, squares = 0, normal = 0;
  for (const float one : sorted) mean += one / static_cast<double>(kDistances);
  for (size_t i = 0; i < kDistances; ++i) {
    cross += (sorted[i] - mean) * kQuantiles[i];
    squares += (sorted[i] - mean) * (sorted[i] - mean);
    normal += kQuantiles[i] * kQuantiles[i];
  }
  raise(Baseline::prada, squares < 1e-9 ? 1 : 1 - cross * cross / (squares * normal));
}

void Baselines::add(int64_t time_ms, const Embedding& x, const Reference& honest) {
  const int64_t day = time_ms / 86'400'000;
  today_ = day == day_ ? today_ + 1 : 1;
  day_ = day;
  raise(Baseline::volume_cap, today_);

  float closest = -1;
  for (const Embedding& one : latest_) closest = std::max(closest, dot(one, x));
  if (!latest_.empty()) {
    nearest_.push_back(1 - closest);
    if (closest > kSimilar) raise(Baseline::seat, ++pairs_);
    if (nearest_.size() >= kDistances && nearest_.size() % 20 == 0) judge_prada();
  }
  latest_.push_back(x);
  if (latest_.size() > kKept) latest_.pop_front();

  const auto waves = honest.waves_of(x);
  for (size_t w = 0; w < kWaves; ++w) window_[w] += waves[w];
  if (++in_window_ < kWindow) return;
  double distance = 0;
  for (size_t w = 0; w < kWaves; ++w) {
    const double off = window_[w] / in_window_ - honest.sum()[w] / honest.count();
    distance += off * off;
  }
  raise(Baseline::mmd, distance);
  window_ = {};
  in_window_ = 0;
}

}  // namespace retort::bench::harvest
