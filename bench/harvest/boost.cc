#include "harvest/boost.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace retort::bench::harvest {
namespace {

using detect::kFeatures;

constexpr size_t kBins = 48;
constexpr int kTrees = 160;
constexpr double kRate = 0.15, kRidge = 2.0;
// Mistakes about honest streams cost more than those about harvests.
constexpr double kHonestCost = 3;

struct Sums {
  double gradient = 0, curve = 0;
};

class Booster {
 public:
  Booster(const std::vector<Labelled>& samples, detect::Judge& judge)
      : samples_(samples), judge_(judge), score_(samples.size(), 0), node_(samples.size()) {
    find_edges();
    bin();
    double total = 0;
    for (const auto& one : samples) total += one.weight * (one.harvest ? 1 : kHonestCost);
    for (const auto& one : samples) {
      weight_.push_back(one.weight * (one.harvest ? 1 : kHonestCost) *
                        static_cast<double>(samples.size()) / total);
    }
  }

  void run() {
    judge_.bias = static_cast<float>(-std::log(kHonestCost));
    std::fill(score_.begin(), score_.end(), judge_.bias);
    for (int i = 0; i < kTrees; ++i) judge_.trees.push_back(grow());
  }

 private:
  void find_edges() {
    std::vector<float> values(samples_.size());
    for (size_t f = 0; f < kFeatures; ++f) {
      for (size_t i = 0; i < samples_.size(); ++i) values[i] = (*samples_[i].values)[f];
      std::sort(values.begin(), values.end());
      for (size_t b = 0; b + 1 < kBins; ++b) {
        edges_[f][b] = values[(b + 1) * (values.size() - 1) / kBins];
      }
    }
  }

  void bin() {
    bins_.resize(samples_.size());
    for (size_t i = 0; i < samples_.size(); ++i) {
      for (size_t f = 0; f < kFeatures; ++f) {
        const auto& edges = edges_[f];
        const float value = (*samples_[i].values)[f];
        bins_[i][f] = static_cast<uint8_t>(std::lower_bound(edges.begin(), edges.end(), value) -
                                           edges.begin());
      }
    }
  }

  detect::Tree grow() {
    detect::Tree tree;
    std::vector<Sums> pull(samples_.size());
    for (size_t i = 0; i < samples_.size(); ++i) {
      const double p = 1 / (1 + std::exp(-score_[i]));
      pull[i] = {weight_[i] * ((samples_[i].harvest ? 1 : 0) - p),
                 weight_[i] * std::max(p * (1 - p), 1e-6)};
      node_[i] = 0;
    }
    for (size_t level = 0; level < 3; ++level) split_level(level, pull, tree);
    std::array<Sums, 8> leaves{};
    for (size_t i = 0; i < samples_.size(); ++i) {
      leaves[node_[i]].gradient += pull[i].gradient;
      leaves[node_[i]].curve += pull[i].curve;
    }
    for (size_t i = 0; i < 8; ++i) {
      tree.leaf[i] = static_cast<float>(kRate * leaves[i].gradient / (leaves[i].curve + kRidge));
    }
    for (size_t i = 0; i < samples_.size(); ++i) score_[i] += tree.leaf[node_[i]];
    return tree;
  }

  // node_ holds a sample's place within the level: 0, then 0 to 1, 0 to 3, 0 to 7.
  void split_level(size_t level, const std::vector<Sums>& pull, detect::Tree& tree) {
    const size_t nodes = 1U << level;
    std::vector<std::array<std::array<Sums, kBins>, kFeatures>> sums(nodes);
    for (size_t i = 0; i < samples_.size(); ++i) {
      auto& of = sums[node_[i]];
      for (size_t f = 0; f < kFeatures; ++f) {
        Sums& bin = of[f][bins_[i][f]];
        bin.gradient += pull[i].gradient;
        bin.curve += pull[i].curve;
      }
    }
    for (size_t n = 0; n < nodes; ++n) choose(sums[n], nodes - 1 + n, tree);
    for (size_t i = 0; i < samples_.size(); ++i) {
      const size_t at = nodes - 1 + node_[i];
      const bool yes = (*samples_[i].values)[tree.feature[at]] > tree.threshold[at];
      node_[i] = static_cast<uint8_t>(2 * node_[i] + (yes ? 1 : 0));
    }
  }

  void choose(const std::array<std::array<Sums, kBins>, kFeatures>& sums, size_t at,
              detect::Tree& tree) const {
    const auto gain = [](const Sums& s) { return s.gradient * s.gradient / (s.curve + kRidge); };
    double best = 0;
    tree.threshold[at] = std::numeric_limits<float>::max();
    for (size_t f = 0; f < kFeatures; ++f) {
      Sums all;
      for (const Sums& bin : sums[f]) {
        all.gradient += bin.gradient;
        all.curve += bin.curve;
      }
      Sums low;
      for (size_t b = 0; b + 1 < kBins; ++b) {
        low.gradient += sums[f][b].gradient;
        low.curve += sums[f][b].curve;
        const Sums high{all.gradient - low.gradient, all.curve - low.curve};
        constexpr double kCurveLeast = 1;
        if (low.curve < kCurveLeast || high.curve < kCurveLeast) continue;
        const double better = gain(low) + gain(high) - gain(all);
        if (better <= best) continue;
        best = better;
        tree.feature[at] = static_cast<uint8_t>(f);
        tree.threshold[at] = edges_[f][b];
      }
    }
  }

  const std::vector<Labelled>& samples_;
  detect::Judge& judge_;
  std::vector<double> score_, weight_;
  std::vector<uint8_t> node_;
  std::array<std::array<float, kBins - 1>, kFeatures> edges_{};
  std::vector<std::array<uint8_t, kFeatures>> bins_;
};

}  // namespace

void boost(const std::vector<Labelled>& samples, detect::Judge& judge) {
  Booster(samples, judge).run();
}

}  // namespace retort::bench::harvest
