#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/gradient_check.h"
#include "kernels/rope.h"

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
    return {shape, qkv.data(), lse.data(), dout.data(), dqkv.data(), scratch};
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

INSTANTIATE_TEST_SUITE_P(Cases, AttentionCase,
                         ::testing::Values(Case{"one_token", 1, 1, 2, {0, 1}},
                                           Case{"tiny", 2, 1, 6, {0, 5}},
                                           Case{"grouped", 6, 2, 32, {0, 3, 17, 18, 70}},
                                           Case{"wide_heads", 3, 3, 64, {0, 49, 50}},
                                           Case{"odd_heads", 4, 2, 18, {0, 48, 61}},
                                           Case{"empty_document", 2, 2, 8, {0, 4, 4, 9}},
                                           Case{"long", 2, 1, 16, {0, 333}}),
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

TEST(Attention, Bf16OutputsAreTheRoundedOnes) {
  Packed setup({"", 4, 2, 32, {0, 40, 51}});
  attention(setup.forward());
  attention_backward(setup.backward());
  std::vector<Bf16> out(setup.out.size()), dqkv(setup.dqkv.size());
  attention(
      Attention<Bf16>{setup.shape, setup.qkv.data(), out.data(), setup.lse.data(), setup.scratch});
  attention_backward(AttentionBackward<Bf16>{setup.shape, setup.qkv.data(), setup.lse.data(),
                                             setup.dout.data(), dqkv.data(), setup.scratch});
  for (size_t i = 0; i < out.size(); ++i) {
    ASSERT_EQ(out[i].bits, tensor::to_bf16(setup.out[i]).bits) << i;
  }
  for (size_t i = 0; i < dqkv.size(); ++i) {
    ASSERT_EQ(dqkv[i].bits, tensor::to_bf16(setup.dqkv[i]).bits) << i;
  }
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
