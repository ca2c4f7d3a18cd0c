#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/buffer.h"
#include "tensor/half.h"

namespace retort::tensor {
namespace {

TEST(Half, Bf16RoundsToNearestEven) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(1.00390625f).bits, 0x3f80);  // a tie goes to the even mantissa
  EXPECT_EQ(to_bf16(1.01171875f).bits, 0x3f82);
  EXPECT_EQ(to_bf16(1.00390637f).bits, 0x3f81);
  EXPECT_EQ(to_float(to_bf16(-3.5f)), -3.5f);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(to_float(to_bf16(std::numeric_limits<float>::max()))));
}

TEST(Half, Binary16CoversNormalSubnormalAndSpecial) {
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0xc500), -5.0f);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(half_to_float(0x83ff), -1023 * 0x1p-24f);
  EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
  EXPECT_TRUE(std::isinf(half_to_float(0x7c00)));
  EXPECT_TRUE(std::isnan(half_to_float(0x7e00)));
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
}

TEST(Buffer, IsAlignedZeroedAndMoves) {
  Buffer<float> buffer(3'000'001);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
  for (const float value : buffer.span()) ASSERT_EQ(value, 0.0f);
  buffer.data()[7] = 3;
  Buffer<float> other = std::move(buffer);
  EXPECT_EQ(other.data()[7], 3.0f);
  EXPECT_EQ(other.size(), 3'000'001);
  other = Buffer<float>(5);
  EXPECT_EQ(other.size(), 5);
}

}  // namespace
}  // namespace retort::tensor
