#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/gradient_check.h"
#include "kernels/rope.h"
#include "kernels/runnable_loops_internal.h"

namespace retort::kernels {
namespace {

struct Case {
  std::string name;
  int64_t heads, kv_heads, head_dim;
  std::vector<int32_t> doc_starts;
};

// Everything one case needs, with the outputs of the op and of its reference.
struct Packed {
  explicit Packed(const Case& c)
      : starts(c.doc_starts),
        table(longest(c.doc_starts), c.head_dim, 10000.0),
        shape{c.heads, c.kv_heads, c.head_dim, starts, &table},
        tokens(shape.tokens()),
        qkv(random_floats(tokens * shape.row(), 11)),
        dout(random_floats(tokens * shape.q_width(), 12)),
        out(dout.size()),
        lse(static_cast<size_t>(tokens * c.heads)),
        dqkv(qkv.size()),
        scratch(static_cast<size_t>(4 * attention_scratch(c.head_dim, longest(c.doc_starts)))) {}

  static int64_t longest(const std::vector<int32_t>& at) {
    int32_t best = 0;
    for (size_t i = 1; i < at.size(); ++i) best = std::max(best, at[i] - at[i - 1]);
    return best;
  }
  Attention<float> forward() { return {shape, qkv.data(), out.data(), lse.data(), scratch}; }
  AttentionBackward<float> backward() {
    return {shape, qkv.data(), out.data(), lse.data(), dout.data(), dqkv.data(), scratch};
  }

  std::vector<int32_t> starts;
  RopeTable table;
  AttentionShape shape;
  int64_t tokens;
  std::vector<float> qkv, dout, out, lse, dqkv, scratch;
};

class AttentionCase : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionCase, EqualsReference) {
  Packed found(GetParam());
  Packed expected(GetParam());
  attention(found.forward());
  attention_reference(expected.forward());
  EXPECT_LT(relative_difference(found.out, expected.out), 5e-6);
  EXPECT_LT(relative_difference(found.lse, expected.lse), 5e-6);
  attention_backward(found.backward());
  attention_backward_reference(expected.backward());
  EXPECT_LT(relative_difference(found.dqkv, expected.dqkv), 2e-5);
}

TEST_P(AttentionCase, ThreadsDoNotChangeTheBits) {
  const int threads = base::thread_count();
  Packed one(GetParam());
  Packed three(GetParam());
  base::set_thread_count(1);
  attention(one.forward());
  attention_backward(one.backward());
  base::set_thread_count(3);
  attention(three.forward());
  attention_backward(three.backward());
  base::set_thread_count(threads);
  EXPECT_EQ(one.out, three.out);
  EXPECT_EQ(one.dqkv, three.dqkv);
}

// The same case with numbers of bf16, and a scratch that holds anything but numbers.
struct PackedHalves {
  explicit PackedHalves(const Case& c)
      : wide(c),
        qkv(rounded(wide.qkv)),
        dout(rounded(wide.dout)),
        out(dout.size()),
        dqkv(qkv.size()),
        lse(wide.lse.size()),
        scratch(wide.scratch.size(), std::numeric_limits<float>::quiet_NaN()) {}

  // Also leaves in `wide` what was rounded.
  static std::vector<Bf16> rounded(std::vector<float>& values) {
    std::vector<Bf16> result(values.size());
    to_bf16(values.data(), result.data(), static_cast<int64_t>(values.size()));
    to_float(result.data(), values.data(), static_cast<int64_t>(values.size()));
    return result;
  }
  static std::vector<float> widened(const std::vector<Bf16>& values) {
    std::vector<float> result(values.size());
    to_float(values.data(), result.data(), static_cast<int64_t>(values.size()));
    return result;
  }
  Attention<Bf16> forward() { return {wide.shape, qkv.data(), out.data(), lse.data(), scratch}; }
  AttentionBackward<Bf16> backward() {
    return {wide.shape, qkv.data(), out.data(), lse.data(), dout.data(), dqkv.data(), scratch};
  }

  Packed wide;
  std::vector<Bf16> qkv, dout, out, dqkv;
  std::vector<float> lse, scratch;
};

// bf16 keeps 8 bits: a rounding moves a number by up to 0.002 of it.
TEST_P(AttentionCase, Bf16LiesNearTheReferenceInEveryBuild) {
  PackedHalves expected(GetParam());
  Packed& wide = expected.wide;
  attention_reference(wide.forward());
  attention_backward_reference(wide.backward());
  for (const Loops* loops : runnable_loops()) {
    PackedHalves found(GetParam());
    const AttentionShape& shape = found.wide.shape;
    for (size_t d = 0; d + 1 < found.wide.starts.size(); ++d) {
      const int64_t first = found.wide.starts[d];
      for (int64_t h = 0; h < shape.kv_heads; ++h) {
        const AttentionTask task{first, found.wide.starts[d + 1] - first, h};
        if (task.length == 0) continue;
        loops->bf16.attention(found.forward(), task, found.scratch.data());
        found.lse = wide.lse;
        loops->bf16.attention_backward(found.backward(), task, found.scratch.data());
      }
    }
    EXPECT_LT(relative_difference(PackedHalves::widened(found.out), wide.out), 5e-3) << loops->name;
    EXPECT_LT(relative_difference(PackedHalves::widened(found.dqkv), wide.dqkv), 6e-3)
        << loops->name;
  }
  attention(expected.forward());
  for (size_t i = 0; i < wide.lse.size(); ++i) ASSERT_NEAR(expected.lse[i], wide.lse[i], 0.02);
}

TEST_P(AttentionCase, ThreadsDoNotChangeTheBitsOfBf16) {
  const int threads = base::thread_count();
  PackedHalves one(GetParam()), three(GetParam());
  base::set_thread_count(1);
  attention(one.forward());
  attention_backward(one.backward());
  base::set_thread_count(3);
  attention(three.forward());
  attention_backward(three.backward());
  base::set_thread_count(threads);
  EXPECT_EQ(PackedHalves::widened(one.out), PackedHalves::widened(three.out));
  EXPECT_EQ(PackedHalves::widened(one.dqkv), PackedHalves::widened(three.dqkv));
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionCase,
                         ::testing::Values(Case{"one_token", 1, 1, 2, {0, 1}},
                                           Case{"tiny", 2, 1, 6, {0, 5}},
                                           Case{"grouped", 6, 2, 32, {0, 3, 17, 18, 70}},
                                           Case{"wide_heads", 3, 3, 64, {0, 49, 50}},
                                           Case{"odd_heads", 4, 2, 18, {0, 48, 61}},
                                           Case{"empty_document", 2, 2, 8, {0, 4, 4, 9}},
                                           Case{"wide_odd_heads", 2, 1, 80, {0, 13, 61}},
                                           Case{"very_wide_heads", 1, 1, 128, {0, 97}},
                                           Case{"long", 2, 1, 16, {0, 333}},
                                           Case{"key_blocks", 2, 1, 8, {0, 128, 129, 385, 642}}),
                         [](const auto& test) { return test.param.name; });

TEST(Attention, GradientByDifferences) {
  Packed setup({"", 4, 2, 6, {0, 4, 11}});
  attention(setup.forward());
  attention_backward(setup.backward());
  const auto loss = [&] {
    attention(setup.forward());
    return weighted_sum(setup.out, setup.dout);
  };
  expect_gradient(setup.qkv, loss, setup.dqkv, {.step = 2e-3});
}

TEST(Rope, TurnsPairsOfTheTwoHalves) {
  const RopeTable table(5, 4, 100.0);  // angles: position, position / 10
  std::vector<float> x = {1, 0, 0, 2, 9, 9, 9, 9};
  const std::vector<int32_t> positions = {3};
  rope(table, {.heads = 1, .stride = 8, .positions = positions}, x.data());
  EXPECT_NEAR(x[0], std::cos(3.0), 1e-6);
  EXPECT_NEAR(x[2], std::sin(3.0), 1e-6);
  EXPECT_NEAR(x[1], -2 * std::sin(0.3), 1e-6);
  EXPECT_NEAR(x[3], 2 * std::cos(0.3), 1e-6);
  EXPECT_EQ(x[4], 9);  // a head that is not turned
}

TEST(Rope, AnglesAreDividedByTheirFrequencysDivisor) {
  const std::vector<float> divisors = {2, 0.5};
  const RopeTable table(5, 4, 100.0, divisors);  // angles: position / 2, position / 5
  EXPECT_NEAR(table.cos()[3 * 2], std::cos(1.5), 1e-6);
  EXPECT_NEAR(table.sin()[3 * 2 + 1], std::sin(0.6), 1e-6);
}

TEST(Rope, GradientByDifferences) {
  const RopeTable table(9, 6, 10000.0);
  const std::vector<int32_t> positions = {0, 4, 8};
  const RopeRows rows = {.heads = 2, .stride = 12, .positions = positions};
  auto x = random_floats(36, 1);
  const auto dy = random_floats(36, 2);
  auto dx = dy;
  rope_backward(table, rows, dx.data());
  const auto loss = [&] {
    auto y = x;
    rope(table, rows, y.data());
    return weighted_sum(y, dy);
  };
  expect_gradient(x, loss, dx);
}

}  // namespace
}  // namespace retort::kernels
