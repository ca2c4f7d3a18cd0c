// Drawn targets stand for the whole distribution: their mean is it, and so is the gradient's.
#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "train/classroom_internal.h"
#include "train/objective.h"
#include "train/sampled_targets_internal.h"

namespace retort::train {
namespace {

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> out;
  double sum = 0;
  for (const float logit : logits) sum += out.emplace_back(std::exp(static_cast<double>(logit)));
  for (double& p : out) p /= sum;
  return out;
}

// So far off by chance once in some hundred thousand times.
constexpr double kStandardErrors = 4.5;

TEST(DrawnTargets, AreSharesOfDrawsWhoseMeanIsTheDistribution) {
  const std::vector<float> logits = {2, 0.5F, -1, 1.25F, -3, 0, -40, 1};
  const auto q = softmax(logits);
  constexpr int64_t kDraws = 10, kTimes = 4000;
  std::vector<double> mean(q.size());
  std::vector<double> scratch;
  for (int64_t seed = 0; seed < kTimes; ++seed) {
    base::Random random(static_cast<uint64_t>(seed));
    tensor::SparseTargets targets;
    draw_targets(logits, kDraws, random, scratch, targets);
    ASSERT_EQ(targets.rows(), 1);
    EXPECT_EQ(targets.tails[0], 0);
    double sum = 0;
    for (size_t i = 0; i < targets.ids.size(); ++i) {
      const double share = std::exp(static_cast<double>(targets.logprobs[i]));
      EXPECT_NEAR(share * kDraws, std::round(share * kDraws), 1e-4);
      if (i > 0) {
        EXPECT_GT(targets.ids[i], targets.ids[i - 1]);
      }
      mean[static_cast<size_t>(targets.ids[i])] += share / kTimes;
      sum += share;
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  for (size_t id = 0; id < q.size(); ++id) {
    const double error = std::sqrt(q[id] * (1 - q[id]) / (kDraws * kTimes));
    EXPECT_LT(std::abs(mean[id] - q[id]), kStandardErrors * error + 1e-12) << id;
  }
}

TEST(DrawnTargets, DependOnSeedAndRecordAloneAndNotOnBatches) {
  Classroom a;
  ASSERT_TRUE(*a.add("why?", "abc ab", ""));
  ASSERT_TRUE(*a.add("how?", "a much longer answer", ""));
  a.rows.rows[1].key = "another";
  ASSERT_TRUE(*a.add("why?", "abc ab", ""));
  a.rows.rows[2].key = "the first text under another key";
  ASSERT_TRUE(a.teacher->prepare(400, 0, model::Precision::fp32));
  const auto drawn = [&](int64_t batch_tokens, uint64_t seed) {
    std::vector<Example> rows = a.rows.rows;
    const Drawing drawing{
        .vocab = a.vocab, .draws = 20, .seed = seed, .batch_tokens = batch_tokens};
    EXPECT_TRUE(draw_targets(*a.teacher, drawing, rows));
    return rows;
  };
  const auto together = drawn(400, 1), alone = drawn(60, 1), otherwise = drawn(400, 2);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(together[i].teacher.rows(), together[i].trained_tokens());
    EXPECT_TRUE(together[i].teacher == alone[i].teacher) << i;
    EXPECT_FALSE(together[i].teacher == otherwise[i].teacher) << i;
    for (const int32_t id : together[i].teacher.ids) EXPECT_LT(id, a.student->size());
  }
  EXPECT_FALSE(together[0].teacher == together[2].teacher) << "records draw apart";
}

// Sums of the gradient with random signs: each has one mean, and that must be the whole
// distribution's.
class Projections {
 public:
  static constexpr size_t kCount = 12;
  explicit Projections(size_t size) : signs_(size) {
    base::Random random(77);
    for (auto& bits : signs_) bits = random.next();
  }
  std::vector<double> of(const std::vector<float>& gradient) const {
    std::vector<double> out(kCount);
    for (size_t i = 0; i < gradient.size(); ++i) {
      for (size_t k = 0; k < kCount; ++k) {
        out[k] += (signs_[i] >> k & 1) != 0 ? static_cast<double>(gradient[i])
                                            : -static_cast<double>(gradient[i]);
      }
    }
    return out;
  }

 private:
  std::vector<uint64_t> signs_;
};

TEST(DrawnTargets, TheGradientsMeanIsThatOfForwardKl) {
  base::set_thread_count(1);
  Classroom a;
  ASSERT_TRUE(*a.add("why?", "abc ab", ""));
  ASSERT_TRUE(*a.add("how?", "so", ""));
  ASSERT_TRUE(a.teacher->prepare(400, 0, model::Precision::fp32));
  model::Config config = shape(a.vocab);
  model::Weights student = model::Weights::random(config, 3);
  for (float& w : student.block()) w *= 3;
  const Projections projections(student.block().size());
  model::Network network(student, 400, model::Precision::fp32);
  TrainOptions options;
  options.objective = "forward_kl";
  const auto gradient = [&](const std::vector<Example>& rows, model::LogitSource* teacher) {
    network.set_objective(objective_of(options, teacher));
    std::vector<float> sum(student.block().size());
    network.forward_backward(make_batch(rows, std::vector<uint32_t>{0, 1}), 1, sum);
    return projections.of(sum);
  };
  const auto whole = gradient(a.rows.rows, a.teacher.get());
  options.teacher = "sampled";
  constexpr int kTimes = 400;
  std::vector<double> sums(whole.size()), squares(whole.size());
  for (int time = 0; time < kTimes; ++time) {
    std::vector<Example> rows = a.rows.rows;
    ASSERT_TRUE(draw_targets(
        *a.teacher,
        {.vocab = a.vocab, .draws = 5, .seed = static_cast<uint64_t>(time), .batch_tokens = 400},
        rows));
    const auto one = gradient(rows, nullptr);
    for (size_t k = 0; k < one.size(); ++k) {
      sums[k] += one[k];
      squares[k] += one[k] * one[k];
    }
  }
  for (size_t k = 0; k < whole.size(); ++k) {
    const double mean = sums[k] / kTimes;
    const double variance = squares[k] / kTimes - mean * mean;
    ASSERT_GT(variance, 0);
    EXPECT_LT(std::abs(mean - whole[k]), kStandardErrors * std::sqrt(variance / kTimes)) << k;
  }
}

}  // namespace
}  // namespace retort::train
