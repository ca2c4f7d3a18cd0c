#include "harvest/learn.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "harvest/boost.h"

namespace retort::bench::harvest {
namespace {

using detect::Features;
using detect::kFamilies;
using detect::kFeatures;

constexpr size_t kSize = kFeatures + 1;  // and the bias
using Numbers = std::array<double, kSize>;

// Solves a x = b for a symmetric positive a (Cholesky), in place.
void solve(std::vector<Numbers>& a, Numbers& b) {
  for (size_t j = 0; j < kSize; ++j) {
    for (size_t k = 0; k < j; ++k) {
      for (size_t i = j; i < kSize; ++i) a[i][j] -= a[i][k] * a[j][k];
    }
    const double root = std::sqrt(std::max(a[j][j], 1e-12));
    for (size_t i = j; i < kSize; ++i) a[i][j] /= root;
  }
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (size_t i = kSize; i-- > 0;) {
    for (size_t k = i + 1; k < kSize; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
}

struct Point {
  Numbers x{};
  double weight = 1;
  bool harvest = false;
};

Numbers newton(const std::vector<Point>& points, const std::array<bool, kSize>& used,
               Numbers start) {
  constexpr double kRidge = 0.003;
  Numbers beta = start;
  for (int round = 0; round < 12; ++round) {
    std::vector<Numbers> hessian(kSize, Numbers{});
    Numbers gradient{};
    for (size_t i = 0; i < kSize; ++i) {
      hessian[i][i] = used[i] ? (i + 1 == kSize ? 1e-6 : kRidge) : 1.0;
      gradient[i] = used[i] && i + 1 < kSize ? -kRidge * beta[i] : 0;
    }
    for (const Point& point : points) {
      double sum = 0;
      for (size_t i = 0; i < kSize; ++i) sum += used[i] ? beta[i] * point.x[i] : 0;
      const double p = 1 / (1 + std::exp(-std::clamp(sum, -30.0, 30.0)));
      const double pull = point.weight * ((point.harvest ? 1 : 0) - p);
      const double curve = point.weight * std::max(p * (1 - p), 1e-4);
      for (size_t i = 0; i < kSize; ++i) {
        if (!used[i]) continue;
        gradient[i] += pull * point.x[i];
        for (size_t j = 0; j <= i; ++j) {
          if (used[j]) hessian[i][j] += curve * point.x[i] * point.x[j];
        }
      }
    }
    solve(hessian, gradient);
    double largest = 0;
    for (const double one : gradient) largest = std::max(largest, std::abs(one));
    const double scale = largest > 2 ? 2 / largest : 1;
    for (size_t i = 0; i < kSize; ++i) beta[i] += used[i] ? scale * gradient[i] : 0;
    if (largest < 1e-4) break;
  }
  return beta;
}

// Weights so that honest and harvest streams have one half each, and kinds are alike within.
void balance(std::vector<Point>& points, const std::vector<const Sample*>& samples) {
  std::unordered_map<std::string, double> sums;
  std::unordered_map<std::string, bool> sides;
  for (const Sample* one : samples) {
    const std::string key = one->kind + (one->harvest ? "+" : "-");
    sums[key] += one->weight;
    sides[key] = one->harvest;
  }
  double kinds[2] = {0, 0};
  for (const auto& [key, harvest] : sides) ++kinds[harvest ? 1 : 0];
  for (size_t i = 0; i < points.size(); ++i) {
    const Sample& one = *samples[i];
    const double all = sums[one.kind + (one.harvest ? "+" : "-")];
    points[i].weight = one.weight / all / (2 * std::max(1.0, kinds[one.harvest ? 1 : 0]));
  }
}

detect::Scorer fit(std::vector<Point> points, const std::array<bool, kSize>& used) {
  Numbers beta{};
  constexpr int kRounds = 3;
  for (int round = 0; round < kRounds; ++round) {
    beta = newton(points, used, beta);
    // Honest streams that score high are where errors come from: they count for more.
    double honest = 0;
    for (Point& point : points) {
      double sum = 0;
      for (size_t i = 0; i < kSize; ++i) sum += used[i] ? beta[i] * point.x[i] : 0;
      if (!point.harvest) point.weight *= 1 + 3 / (1 + std::exp(-std::clamp(sum, -30.0, 30.0)));
      honest += point.harvest ? 0 : point.weight;
    }
    for (Point& point : points) {
      if (!point.harvest) point.weight *= 0.5 / honest;
    }
  }
  detect::Scorer out;
  for (size_t i = 0; i < kFeatures; ++i) out.weights[i] = used[i] ? static_cast<float>(beta[i]) : 0;
  out.bias = static_cast<float>(beta[kFeatures]);
  return out;
}

detect::Judge judge_of(const std::vector<const Sample*>& samples) {
  detect::Judge out;
  std::vector<Point> points(samples.size());
  balance(points, samples);
  std::array<double, kFeatures> sum{}, squares{};
  double honest = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i]->harvest) continue;
    honest += points[i].weight;
    for (size_t k = 0; k < kFeatures; ++k) {
      sum[k] += points[i].weight * samples[i]->values[k];
      squares[k] += points[i].weight * samples[i]->values[k] * samples[i]->values[k];
    }
  }
  for (size_t k = 0; k < kFeatures; ++k) {
    const double mean = sum[k] / honest;
    out.usual[k] = static_cast<float>(mean);
    out.spread[k] =
        static_cast<float>(std::sqrt(std::max(1e-6, squares[k] / honest - mean * mean)));
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    points[i].harvest = samples[i]->harvest;
    for (size_t k = 0; k < kFeatures; ++k) {
      points[i].x[k] = detect::deviation(out, samples[i]->values, static_cast<detect::Feature>(k));
    }
    points[i].x[kFeatures] = 1;
  }
  std::vector<Labelled> labelled;
  for (size_t i = 0; i < samples.size(); ++i) {
    labelled.push_back({&samples[i]->values, samples[i]->harvest, points[i].weight});
  }
  boost(labelled, out);
  std::array<bool, kSize> used{};
  for (size_t family = 0; family < kFamilies; ++family) {
    for (size_t k = 0; k < kFeatures; ++k) {
      const auto feature = static_cast<detect::Feature>(k);
      used[k] = detect::text_of(feature).family == static_cast<detect::Family>(family);
    }
    used[kFeatures] = true;
    out.families[family] = fit(points, used);
  }
  return out;
}

}  // namespace

void Collector::note(const Seen& seen) {
  const auto* state = detector_.state(seen.observation->subject.account);
  const size_t index = detector_.last_stream();
  const auto& stream = state->streams[index];
  Count& count = streams_[seen.member * detect::kStreams + index];
  if (stream.count == 1) count = {};
  ++count.all;
  count.harvest += seen.request->harvest ? 1 : 0;
  const auto judged = [](const detect::Stream& one) {
    return one.check_at == one.count + 1 + one.count / 8;
  };
  if (judged(stream)) {
    const double share = static_cast<double>(count.harvest) / static_cast<double>(count.all);
    const auto values = stream.features();
    if (on_stream) {
      on_stream(seen, values, share);
    } else if (!seen.fate->licensed) {
      samples_[seen.member].push_back({values, seen.fate->kind, share > 0.5, false,
                                       std::sqrt(static_cast<float>(stream.count))});
    }
  }
  for (const detect::Pool* pool : detector_.last_pools()) {
    Count& pooled = pools_[pool->key];
    if (pool->stream.count == 1) pooled = {};
    ++pooled.all;
    pooled.harvest += seen.request->harvest ? 1 : 0;
    if (!judged(pool->stream)) continue;
    const double share = static_cast<double>(pooled.harvest) / static_cast<double>(pooled.all);
    const auto values = pool->features();
    if (on_pool) {
      on_pool(*pool, values, share);
    } else {
      samples_[pool->key | 1ULL << 63].push_back(
          {values, share > 0.5 ? seen.fate->kind : std::string(detect::name(pool->bond)),
           share > 0.5, true, std::sqrt(static_cast<float>(pool->stream.count))});
    }
  }
}

std::vector<Sample> Collector::finish() {
  std::vector<Sample> out;
  for (auto& [whose, list] : samples_) {
    float sum = 0;
    for (const Sample& one : list) sum += one.weight;
    for (Sample& one : list) {
      one.weight /= sum;
      out.push_back(std::move(one));
    }
  }
  return out;
}

// To five digits, so that tables are short and what is calibrated is what is written.
float rounded(float value) {
  return std::strtof(fmt::format("{:.5g}", value).c_str(), nullptr);
}

void round_all(detect::Judge& judge) {
  judge.bias = rounded(judge.bias);
  for (auto* values : {&judge.usual, &judge.spread}) {
    for (float& one : *values) one = rounded(one);
  }
  for (auto& tree : judge.trees) {
    for (float& one : tree.threshold) one = rounded(one);
    for (float& one : tree.leaf) one = rounded(one);
  }
  for (auto& scorer : judge.families) {
    scorer.bias = rounded(scorer.bias);
    for (float& one : scorer.weights) one = rounded(one);
  }
}

detect::Judge learn_judge(const std::vector<Sample>& samples, bool of_cluster,
                          const Without& without) {
  std::vector<const Sample*> used;
  for (const Sample& one : samples) {
    const bool left_out = one.kind == (one.harvest ? without.variant : without.honest_kind);
    if (one.of_cluster == of_cluster && !left_out) used.push_back(&one);
  }
  detect::Judge judge = judge_of(used);
  round_all(judge);
  return judge;
}

detect::Model learn(const std::vector<Sample>& samples, const Without& without) {
  return {learn_judge(samples, false, without), learn_judge(samples, true, without)};
}

detect::Model learn_clusters(const std::vector<Sample>& samples) {
  return {detect::built_in_model().account, learn_judge(samples, true, {})};
}

}  // namespace retort::bench::harvest
