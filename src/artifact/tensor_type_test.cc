#include "artifact/tensor_type.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "artifact/half.h"

namespace retort::artifact {
namespace {

TEST(HalfTest, EveryF16SurvivesTheWayThroughFloat) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = f16_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(value))));
    } else {
      ASSERT_EQ(float_to_f16(value), bits) << value;
    }
  }
}

TEST(HalfTest, RoundsToNearestTiesToEven) {
  EXPECT_EQ(float_to_f16(1.0f + 0x1p-11f), 0x3c00);      // tie, down to even
  EXPECT_EQ(float_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);  // tie, up to even
  EXPECT_EQ(float_to_f16(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
  EXPECT_EQ(float_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_f16(0x1p-25f), 0);  // tie at the smallest, to zero
  EXPECT_EQ(float_to_f16(0x1.8p-25f), 1);
  EXPECT_EQ(float_to_f16(0x1p-14f - 0x1p-26f), 0x0400);  // the largest subnormals round up
  EXPECT_EQ(float_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(float_to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(float_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::nanf("")))));
}

TEST(TensorTypeTest, SizesAreCountedInWholeBlocksAndNeverWrap) {
  EXPECT_EQ(type_bytes(TensorType::q4_1, 64), 40);
  EXPECT_EQ(type_bytes(TensorType::q8_0, 32), 34);
  EXPECT_EQ(type_bytes(TensorType::f32, 3), 12);
  EXPECT_EQ(type_bytes(TensorType::q4_1, 33), std::nullopt);
  EXPECT_EQ(type_bytes(TensorType::f32, -4), std::nullopt);
  EXPECT_EQ(type_bytes(TensorType::f32, std::numeric_limits<int64_t>::max() / 2), std::nullopt);
  EXPECT_EQ(type_bytes(static_cast<TensorType>(4), 32), std::nullopt);
}

TEST(TensorTypeTest, Q8ComesBackWithinHalfAStep) {
  std::vector<float> values(64);
  for (size_t i = 0; i < 64; ++i) values[i] = std::sin(static_cast<float>(i)) * (i < 32 ? 1 : 0);
  std::vector<uint8_t> bytes(68);
  ASSERT_TRUE(quantise(TensorType::q8_0, values, bytes).ok());
  std::vector<float> back(64);
  ASSERT_TRUE(dequantise(TensorType::q8_0, bytes, back).ok());
  for (size_t i = 0; i < 64; ++i) {
    EXPECT_NEAR(back[i], values[i], i < 32 ? 0.502 / 127 + 1e-3 : 0) << i;
  }
}

TEST(TensorTypeTest, UnsupportedTypesAreRefusedByName) {
  std::vector<float> to(256);
  const std::vector<uint8_t> bytes(292);
  const auto done = dequantise(TensorType::q8_k, bytes, to);
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().text().find("Q8_K"), std::string::npos);
  std::vector<uint8_t> room(40);
  EXPECT_FALSE(quantise(TensorType::q4_1, std::vector<float>(64), room).ok());
}

}  // namespace
}  // namespace retort::artifact
