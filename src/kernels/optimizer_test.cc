#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "kernels/adamw.h"
#include "kernels/gradient_check.h"
#include "kernels/muon.h"
#include "kernels/norm.h"

namespace retort::kernels {
namespace {

struct OptimizerSetup {
  explicit OptimizerSetup(int64_t size)
      : weights(random_floats(size, 1)),
        gradients(random_floats(size, 2)),
        m(static_cast<size_t>(size)),
        v(static_cast<size_t>(size)) {}
  AdamWState state() {
    return {static_cast<int64_t>(weights.size()), weights.data(), gradients.data(), m.data(),
            v.data()};
  }
  std::vector<float> weights, gradients, m, v;
};

TEST(AdamWTest, EqualsReferenceOverSteps) {
  for (const int64_t size : {1, 7, 8, 100'003}) {
    OptimizerSetup found(size);
    OptimizerSetup expected(size);
    for (int step = 1; step <= 5; ++step) {
      const AdamW options = {
          .lr = 1e-2f, .weight_decay = 0.1f, .step = step, .gradient_scale = 0.5f};
      adamw_step(options, found.state());
      adamw_step_reference(options, expected.state());
    }
    EXPECT_LT(relative_difference(found.weights, expected.weights), 1e-6);
    EXPECT_LT(relative_difference(found.m, expected.m), 1e-6);
    EXPECT_LT(relative_difference(found.v, expected.v), 1e-6);
  }
}

TEST(AdamWTest, FirstStepIsTheSignTimesTheRateAndDecayIsDecoupled) {
  std::vector<float> weights = {1, 1}, gradients = {3, -0.001f}, m(2), v(2);
  adamw_step({.lr = 0.1f, .weight_decay = 0.5f, .step = 1},
             {2, weights.data(), gradients.data(), m.data(), v.data()});
  EXPECT_NEAR(weights[0], 1 - 0.1 - 0.05, 1e-5);
  EXPECT_NEAR(weights[1], 1 + 0.1 - 0.05, 1e-5);
}

TEST(MuonTest, EqualsReferenceOverSteps) {
  struct Shape {
    int64_t rows, cols;
  };
  for (const auto [rows, cols] : {Shape{1, 5}, {16, 16}, {33, 20}, {24, 70}}) {
    OptimizerSetup found(rows * cols);
    OptimizerSetup expected(rows * cols);
    Muon muon(rows * cols, std::min(rows, cols));
    for (int step = 0; step < 3; ++step) {
      const MuonOptions options{.lr = 1e-2f, .weight_decay = 0.1f, .gradient_scale = 0.5f};
      muon.step(options,
                {rows, cols, found.weights.data(), found.gradients.data(), found.m.data()});
      muon_step_reference(options, {rows, cols, expected.weights.data(), expected.gradients.data(),
                                    expected.m.data()});
    }
    EXPECT_LT(relative_difference(found.m, expected.m), 1e-6);
    EXPECT_LT(relative_difference(found.weights, expected.weights), 2e-3) << rows << " x " << cols;
  }
}

// A matrix with known singular values, on its diagonal, keeps its zeros and gets values near one.
TEST(MuonTest, BringsSingularValuesNearOne) {
  const int64_t rows = 12, cols = 20;
  std::vector<float> x(static_cast<size_t>(rows * cols));
  for (int64_t i = 0; i < rows; ++i) {
    x[i * cols + i] = (i % 2 == 0 ? 1.0f : -1.0f) * static_cast<float>(1 + i);
  }
  Muon muon(rows * cols, rows);
  muon.orthogonalize(rows, cols, x.data());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      const float value = x[i * cols + j];
      if (i != j) {
        EXPECT_EQ(value, 0);
      } else {
        EXPECT_NEAR(i % 2 == 0 ? value : -value, 0.95, 0.3) << i;
      }
    }
  }
}

TEST(NormTest, SumIsExactEnoughAndIndependentOfThreads) {
  const int threads = base::thread_count();
  for (const int64_t size : {0, 1, 5, 1000, 3'000'017}) {
    const auto values = random_floats(size, 4);
    const double expected = sum_of_squares_reference(values);
    base::set_thread_count(1);
    const double one = sum_of_squares(values);
    base::set_thread_count(3);
    const double three = sum_of_squares(values);
    base::set_thread_count(threads);
    EXPECT_EQ(one, three);
    EXPECT_NEAR(one, expected, expected * 1e-6);
  }
}

TEST(NormTest, ScaleMultipliesEveryElement) {
  auto values = random_floats(50'001, 5);
  const auto before = values;
  scale(values, -0.25f);
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], before[i] * -0.25f);
}

}  // namespace
}  // namespace retort::kernels
