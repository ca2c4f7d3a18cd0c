#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/cpu.h"
#include "kernels/embedding.h"
#include "kernels/gradient_check.h"
#include "kernels/loops_internal.h"
#include "kernels/rmsnorm.h"
#include "kernels/runnable_loops_internal.h"
#include "kernels/swiglu.h"

namespace retort::kernels {
namespace {

constexpr int64_t kWidths[] = {1, 3, 8, 17, 64, 67, 256};

struct NormSetup {
  NormSetup(int64_t row_count, int64_t columns)
      : rows(row_count),
        width(columns),
        x(random_floats(rows * width, 1)),
        delta(random_floats(rows * width, 2)),
        weight(random_floats(width, 3)),
        dy(random_floats(rows * width, 4)),
        sum(x.size()),
        y(x.size()),
        dx(random_floats(rows * width, 5)),
        rstd(static_cast<size_t>(rows)),
        dweight(random_floats(width, 6)),
        scratch(static_cast<size_t>(rmsnorm_scratch(rows, width))) {}

  Rmsnorm<float> forward() {
    return {rows,          width,      1e-5f,    x.data(),   delta.data(),
            weight.data(), sum.data(), y.data(), rstd.data()};
  }
  RmsnormBackward<float> backward() {
    return {rows,      width,     sum.data(), weight.data(),  rstd.data(),
            dy.data(), dx.data(), nullptr,    dweight.data(), scratch.data()};
  }

  int64_t rows, width;
  std::vector<float> x, delta, weight, dy, sum, y, dx, rstd, dweight, scratch;
};

TEST(RmsnormTest, EqualsReferenceOverOddWidths) {
  for (const int64_t width : kWidths) {
    for (const int64_t rows : {1, 5, 100}) {
      NormSetup found(rows, width);
      NormSetup expected(rows, width);
      rmsnorm(found.forward());
      rmsnorm_reference(expected.forward());
      EXPECT_EQ(found.sum, expected.sum);
      EXPECT_LT(relative_difference(found.y, expected.y), 2e-6) << width;
      rmsnorm_backward(found.backward());
      rmsnorm_backward_reference(expected.backward());
      EXPECT_LT(relative_difference(found.dx, expected.dx), 5e-6) << width;
      EXPECT_LT(relative_difference(found.dweight, expected.dweight), 5e-6) << width;
    }
  }
}

TEST(RmsnormTest, WithoutTheWeightsGradientDxIsTheSame) {
  NormSetup whole(70, 37), frozen(70, 37);
  rmsnorm(whole.forward());
  rmsnorm(frozen.forward());
  rmsnorm_backward(whole.backward());
  RmsnormBackward<float> args = frozen.backward();
  args.dweight = args.scratch = nullptr;
  rmsnorm_backward(args);
  EXPECT_EQ(whole.dx, frozen.dx);
}

TEST(RmsnormTest, GradientByDifferences) {
  NormSetup s(4, 19);
  rmsnorm(s.forward());
  std::fill(s.dx.begin(), s.dx.end(), 0.0f);
  std::fill(s.dweight.begin(), s.dweight.end(), 0.0f);
  rmsnorm_backward(s.backward());
  const auto loss = [&] {
    rmsnorm(s.forward());
    return weighted_sum(s.y, s.dy);
  };
  expect_gradient(s.x, loss, s.dx);
  expect_gradient(s.weight, loss, s.dweight);
}

TEST(RmsnormTest, Bf16OutputIsTheRoundedOne) {
  NormSetup s(3, 37);
  rmsnorm(s.forward());
  std::vector<Bf16> y(s.y.size());
  rmsnorm(Rmsnorm<Bf16>{3, 37, 1e-5f, s.x.data(), s.delta.data(), s.weight.data(), s.sum.data(),
                        y.data(), s.rstd.data()});
  for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i].bits, tensor::to_bf16(s.y[i]).bits);
}

struct GluSetup {
  GluSetup(int64_t rows, int64_t inner)
      : gate_up(random_floats(rows * 2 * inner, 1, 3)),
        dact(random_floats(rows * inner, 2)),
        act(dact.size()),
        dgate_up(gate_up.size()) {}
  std::vector<float> gate_up, dact, act, dgate_up;
};

TEST(SwigluTest, EqualsReferenceOverOddWidths) {
  for (const int64_t inner : kWidths) {
    GluSetup found(7, inner);
    GluSetup expected(7, inner);
    found.gate_up[0] = expected.gate_up[0] = -200;  // the exponential would overflow
    if (inner > 1) found.gate_up[1] = expected.gate_up[1] = 200;
    swiglu({7, inner, found.gate_up.data(), found.act.data()});
    swiglu_reference({7, inner, expected.gate_up.data(), expected.act.data()});
    EXPECT_LT(relative_difference(found.act, expected.act), 1e-6) << inner;
    std::fill(found.act.begin(), found.act.end(), 0.0f);
    swiglu_backward({7, inner, found.gate_up.data(), found.dact.data(), found.dgate_up.data(),
                     found.act.data()});
    swiglu_backward_reference({7, inner, expected.gate_up.data(), expected.dact.data(),
                               expected.dgate_up.data(), expected.act.data()});
    EXPECT_LT(relative_difference(found.act, expected.act), 1e-6) << inner;
    EXPECT_LT(relative_difference(found.dgate_up, expected.dgate_up), 1e-6) << inner;
    swiglu_backward({7, inner, found.gate_up.data(), found.dact.data(), found.gate_up.data(),
                     found.act.data()});
    EXPECT_EQ(found.gate_up, found.dgate_up) << "in place";
  }
}

TEST(SwigluTest, Bf16ResultsAreTheRoundedOnes) {
  GluSetup exact(7, 37);
  std::vector<Bf16> gate_up(exact.gate_up.size()), dact(exact.dact.size()), act(dact.size());
  to_bf16(exact.gate_up.data(), gate_up.data(), 7 * 74);
  to_bf16(exact.dact.data(), dact.data(), 7 * 37);
  to_float(gate_up.data(), exact.gate_up.data(), 7 * 74);
  to_float(dact.data(), exact.dact.data(), 7 * 37);
  const auto equal = [](const std::vector<Bf16>& found, const std::vector<float>& expected) {
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].bits, tensor::to_bf16(expected[i]).bits) << i;
    }
  };
  swiglu({7, 37, exact.gate_up.data(), exact.act.data()});
  swiglu(Swiglu<Bf16>{7, 37, gate_up.data(), act.data()});
  equal(act, exact.act);
  swiglu(Swiglu<Bf16, float>{7, 37, exact.gate_up.data(), act.data()});
  equal(act, exact.act);
  swiglu_backward(
      {7, 37, exact.gate_up.data(), exact.dact.data(), exact.dgate_up.data(), exact.act.data()});
  swiglu_backward(
      SwigluBackward<Bf16>{7, 37, gate_up.data(), dact.data(), gate_up.data(), act.data()});
  equal(act, exact.act);
  equal(gate_up, exact.dgate_up);
}

TEST(SwigluTest, GradientByDifferences) {
  GluSetup s(3, 11);
  swiglu_backward({3, 11, s.gate_up.data(), s.dact.data(), s.dgate_up.data(), s.act.data()});
  const auto loss = [&] {
    swiglu({3, 11, s.gate_up.data(), s.act.data()});
    return weighted_sum(s.act, s.dact);
  };
  expect_gradient(s.gate_up, loss, s.dgate_up);
}

TEST(EmbeddingTest, GathersAndAddsBack) {
  const std::vector<int32_t> ids = {2, 0, 2, 3};
  const int64_t width = 67;
  auto table = random_floats(5 * width, 1);
  std::vector<float> y(ids.size() * width);
  embedding(ids, width, table.data(), y.data());
  for (size_t i = 0; i < ids.size(); ++i) {
    for (int64_t c = 0; c < width; ++c) ASSERT_EQ(y[i * width + c], table[ids[i] * width + c]);
  }
  const auto dy = random_floats(static_cast<int64_t>(y.size()), 2);
  std::vector<float> dtable(table.size());
  embedding_backward(ids, width, dy.data(), dtable.data());
  const auto loss = [&] {
    embedding(ids, width, table.data(), y.data());
    return weighted_sum(y, dy);
  };
  expect_gradient(table, loss, dtable);
}

TEST(LoopsTest, ExponentialStaysWithinItsBound) {
  std::vector<float> x;
  for (float value = -86.99f; value < 88; value += 0.0173f) x.push_back(value);
  std::vector<float> y(x.size());
  for (const Loops* loops : runnable_loops()) {
    loops->exp(x.data(), y.data(), {0, static_cast<int64_t>(x.size())});
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      ASSERT_NEAR(y[i], exact, exact * 2.4e-7) << loops->name << " exp " << x[i];
    }
    std::vector<float> special = {-88, -1e30f, -INFINITY,
                                  0,   1000,   std::numeric_limits<float>::quiet_NaN()};
    loops->exp(special.data(), special.data(), {0, 6});
    EXPECT_EQ(special[0], 0);
    EXPECT_EQ(special[1], 0);
    EXPECT_EQ(special[2], 0);
    EXPECT_EQ(special[3], 1);
    EXPECT_GT(special[4], 1e38f);
    EXPECT_TRUE(std::isnan(special[5])) << loops->name;
  }
}

TEST(LoopsTest, LogarithmStaysWithinItsBound) {
  std::vector<float> x;
  for (float value = 1.2e-38f; value < 3e38f; value *= 1.0137f) x.push_back(value);
  for (float value = 0.5f; value < 2; value += 0.00031f) x.push_back(value);
  std::vector<float> y(x.size());
  for (const Loops* loops : runnable_loops()) {
    loops->log(x.data(), y.data(), {0, static_cast<int64_t>(x.size())});
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::log(static_cast<double>(x[i]));
      ASSERT_NEAR(y[i], exact, std::abs(exact) * 2.4e-7 + 1e-10) << loops->name << " log " << x[i];
    }
  }
}

TEST(LoopsTest, ConversionsEqualTheScalarOnes) {
  auto x = random_floats(1003, 9, 1e3);
  x[0] = std::numeric_limits<float>::quiet_NaN();
  x[1] = 1.00390625f;
  std::vector<Bf16> half(x.size());
  std::vector<float> back(x.size());
  for (const Loops* loops : runnable_loops()) {
    loops->to_bf16(x.data(), half.data(), {0, 1003});
    loops->to_float(half.data(), back.data(), {0, 1003});
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(half[i].bits, tensor::to_bf16(x[i]).bits) << loops->name << " " << i;
      if (i == 0) continue;
      ASSERT_EQ(back[i], tensor::to_float(half[i]));
    }
  }
}

TEST(LoopsTest, TheWidestInstructionSetIsChosen) {
  EXPECT_EQ(&loops(), runnable_loops().back());
}

// Each build against the reference, whichever is the chosen one.
TEST(LoopsTest, EveryBuildComputesTheSame) {
  for (const Loops* loops : runnable_loops()) {
    NormSetup found(5, 67);
    NormSetup expected(5, 67);
    loops->f32.rmsnorm(found.forward(), {0, 5});
    rmsnorm_reference(expected.forward());
    EXPECT_LT(relative_difference(found.y, expected.y), 2e-6) << loops->name;
    const auto a = random_floats(97 * 301, 1);
    const auto b = random_floats(41 * 301, 2);
    std::vector<float> c(97 * 41), d(97 * 41), scratch(kMatmulScratch);
    for (const Product product : {Product::nt, Product::nn, Product::tn}) {
      const MatmulShape shape = {.product = product, .m = 97, .n = 41, .k = 301};
      loops->f32.matmul(shape, a.data(), b.data(), c.data(), {{0, 97}, {0, 41}}, scratch.data());
      matmul_reference(shape, a.data(), b.data(), d.data());
      EXPECT_LT(relative_difference(c, d), 2e-6) << loops->name;
    }
  }
}

}  // namespace
}  // namespace retort::kernels
