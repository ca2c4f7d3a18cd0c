#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/gradient_check.h"
#include "kernels/loops_internal.h"
#include "kernels/runnable_loops_internal.h"

namespace retort::kernels {
namespace {

std::vector<uint32_t> some_keys(int64_t rows) {
  std::vector<uint32_t> keys;
  for (int64_t i = 0; i < rows; ++i) keys.push_back(static_cast<uint32_t>(i * i * 977 + 5));
  return keys;
}

TEST(DropoutTest, EqualsReferenceOverOddWidthsAndInstructionSets) {
  for (const int64_t width : {1, 3, 8, 17, 64, 67, 256}) {
    const int64_t rows = 9;
    const auto keys = some_keys(rows);
    const auto x = random_floats(rows * width, 1);
    std::vector<float> expected(x.size());
    const Dropout<float> args{rows, width, 0.3F, keys.data(), x.data(), expected.data()};
    dropout_reference(args);
    for (const Loops* loops : runnable_loops()) {
      std::vector<float> found(x.size());
      Dropout<float> same = args;
      same.y = found.data();
      loops->f32.dropout(same, {0, rows});
      EXPECT_LT(relative_difference(found, expected), 1e-6) << loops->name << " " << width;
      for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(found[i] == 0, expected[i] == 0);
    }
  }
}

TEST(DropoutTest, InPlaceAndInBf16ItDropsTheSame) {
  const int64_t rows = 5, width = 67;
  const auto keys = some_keys(rows);
  const auto x = random_floats(rows * width, 1);
  std::vector<float> exact(x.size()), in_place = x;
  dropout(Dropout<float>{rows, width, 0.5F, keys.data(), x.data(), exact.data()});
  dropout(Dropout<float>{rows, width, 0.5F, keys.data(), in_place.data(), in_place.data()});
  EXPECT_EQ(exact, in_place);
  std::vector<Bf16> rounded(x.size());
  to_bf16(x.data(), rounded.data(), rows * width);
  dropout(Dropout<Bf16>{rows, width, 0.5F, keys.data(), rounded.data(), rounded.data()});
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(tensor::to_float(rounded[i]), exact[i], 0.01F * std::abs(exact[i]));
  }
}

// Of rows beside each other, of channels beside each other, and of one channel over many rows.
TEST(DropoutTest, DropsTheShareThatWasAskedAndNoPattern) {
  const int64_t rows = 2000, width = 256;
  const auto keys = some_keys(rows);
  const std::vector<float> ones(static_cast<size_t>(rows * width), 1);
  for (const float rate : {0.1F, 0.5F, 0.9F}) {
    std::vector<float> y(ones.size());
    dropout(Dropout<float>{rows, width, rate, keys.data(), ones.data(), y.data()});
    double dropped = 0, both_channels = 0, both_rows = 0, worst_channel = 0;
    for (int64_t i = 0; i < width; ++i) {
      double of_channel = 0;
      for (int64_t row = 0; row < rows; ++row) {
        const bool gone = y[row * width + i] == 0;
        of_channel += gone;
        both_channels += gone && i > 0 && y[row * width + i - 1] == 0;
        both_rows += gone && row > 0 && y[(row - 1) * width + i] == 0;
      }
      dropped += of_channel;
      worst_channel = std::max(worst_channel, std::abs(of_channel / rows - rate));
    }
    const double all = static_cast<double>(rows * width);
    const double sigma = std::sqrt(rate * (1 - rate) / all);
    EXPECT_NEAR(dropped / all, rate, 5 * sigma);
    const double pair = static_cast<double>(rate) * rate;
    const double pair_sigma = std::sqrt(pair * (1 - pair) / all);
    EXPECT_NEAR(both_channels / static_cast<double>(rows * (width - 1)), pair, 6 * pair_sigma);
    EXPECT_NEAR(both_rows / static_cast<double>((rows - 1) * width), pair, 6 * pair_sigma);
    EXPECT_LT(worst_channel, 5 * std::sqrt(rate * (1 - rate) / rows));
  }
}

}  // namespace
}  // namespace retort::kernels
