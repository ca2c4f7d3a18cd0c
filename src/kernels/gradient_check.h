// For tests: a gradient against central differences of a scalar function, element by element.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "base/random.h"

namespace retort::kernels {

inline std::vector<float> random_floats(int64_t size, uint64_t seed, double scale = 1) {
  base::Random random(seed);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = static_cast<float>(random.normal() * scale);
  return values;
}

struct GradientCheck {
  double step = 1e-2;
  double tolerance = 2e-3;  // of the largest element of the gradient
  size_t every = 1;         // check one element of so many
};

// `loss` reads `input` anew at each call.
inline void expect_gradient(std::span<float> input, const std::function<double()>& loss,
                            std::span<const float> gradient, GradientCheck check = {}) {
  ASSERT_EQ(input.size(), gradient.size());
  double largest = 1e-6;
  for (const float g : gradient) largest = std::max(largest, std::abs(static_cast<double>(g)));
  for (size_t i = 0; i < input.size(); i += check.every) {
    const float kept = input[i];
    const float above = kept + static_cast<float>(check.step);
    const float below = kept - static_cast<float>(check.step);
    input[i] = above;
    const double up = loss();
    input[i] = below;
    const double down = loss();
    input[i] = kept;
    const double numeric = (up - down) / (static_cast<double>(above) - below);
    ASSERT_NEAR(gradient[i], numeric, check.tolerance * largest) << "element " << i;
  }
}

inline double weighted_sum(std::span<const float> values, std::span<const float> weights) {
  double total = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    total += static_cast<double>(values[i]) * weights[i];
  }
  return total;
}

// The largest difference, as a share of the largest expected element.
inline double relative_difference(std::span<const float> found, std::span<const float> expected) {
  double largest = 1e-30;
  double difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    const double d = std::abs(static_cast<double>(found[i]) - expected[i]);
    if (!(d <= difference)) difference = d;  // keeps a NaN
  }
  return difference / largest;
}

}  // namespace retort::kernels
