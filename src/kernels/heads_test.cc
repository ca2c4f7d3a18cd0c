#include "kernels/heads.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/gradient_check.h"
#include "kernels/rmsnorm.h"

namespace retort::kernels {
namespace {

constexpr int64_t kRows = 70, kHeads = 3, kHeadDim = 10, kStride = 50;

// Heads 1 to 3 of rows that hold five.
struct HeadsCase {
  std::vector<float> x = random_floats(kRows * kStride, 1), weight = random_floats(kHeadDim, 2),
                     dy = random_floats(kRows * kStride, 3), y = x, rstd = random_floats(210, 4),
                     dweight = std::vector<float>(kHeadDim), scratch = std::vector<float>(320);
  HeadNorm<float> forward() {
    return {kRows,         kStride,       kHeads,        kHeadDim,   1e-5f,
            x.data() + 10, weight.data(), y.data() + 10, rstd.data()};
  }
  HeadNormBackward<float> backward(float* gradient) { return backward(gradient, x.data()); }
  template <class T>
  HeadNormBackward<T> backward(T* gradient, const T* inputs) {
    return {kRows,         kStride,     kHeads,        kHeadDim,       inputs + 10,
            weight.data(), rstd.data(), gradient + 10, dweight.data(), scratch.data()};
  }
};

TEST(HeadNormTest, IsTheNormOfEachHeadAndLeavesTheOthers) {
  HeadsCase s;
  head_norm(s.forward());
  for (int64_t r = 0; r < kRows; ++r) {
    std::vector<float> y(kStride), rstd(kHeads);
    std::copy_n(s.x.begin() + r * kStride, kStride, y.begin());
    rmsnorm_reference(Rmsnorm<float>{.rows = kHeads,
                                     .width = kHeadDim,
                                     .eps = 1e-5f,
                                     .x = s.x.data() + r * kStride + 10,
                                     .weight = s.weight.data(),
                                     .y = y.data() + 10,
                                     .rstd = rstd.data()});
    EXPECT_LT(relative_difference(std::span(s.y).subspan(r * kStride, kStride), y), 2e-6) << r;
  }
}

TEST(HeadNormTest, GradientByDifferences) {
  HeadsCase s;
  head_norm(s.forward());
  auto dx = s.dy;
  head_norm_backward(s.backward(dx.data()));
  const auto loss = [&] {
    head_norm(s.forward());
    double sum = 0;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t i = 10; i < 40; ++i) {
        sum += static_cast<double>(s.y[r * kStride + i]) * s.dy[r * kStride + i];
      }
    }
    return sum;
  };
  std::vector<float> inside(dx.size());
  for (size_t i = 0; i < dx.size(); ++i) {
    const bool turned = i % kStride >= 10 && i % kStride < 40;
    if (turned) {
      inside[i] = dx[i];
    } else {
      EXPECT_EQ(dx[i], s.dy[i]);
    }
  }
  expect_gradient(s.x, loss, inside, {.every = 7});
  expect_gradient(s.weight, loss, s.dweight);
}

TEST(HeadNormTest, WithoutTheWeightsGradientDxIsTheSame) {
  HeadsCase s;
  head_norm(s.forward());
  auto whole = s.dy, frozen = s.dy;
  head_norm_backward(s.backward(whole.data()));
  HeadNormBackward<float> args = s.backward(frozen.data());
  args.dweight = args.scratch = nullptr;
  head_norm_backward(args);
  EXPECT_EQ(whole, frozen);
}

TEST(HeadNormTest, Bf16ResultsAreTheRoundedOnes) {
  HeadsCase exact, rounded;
  std::vector<Bf16> x(exact.x.size()), y(exact.x.size()), small(exact.dy.size());
  to_bf16(exact.x.data(), x.data(), kRows * kStride);
  to_bf16(exact.dy.data(), small.data(), kRows * kStride);
  to_float(x.data(), exact.x.data(), kRows * kStride);
  auto dx = exact.dy;
  to_float(small.data(), dx.data(), kRows * kStride);
  exact.y = exact.x;
  y = x;
  head_norm(exact.forward());
  head_norm(HeadNorm<Bf16>{kRows, kStride, kHeads, kHeadDim, 1e-5f, x.data() + 10,
                           rounded.weight.data(), y.data() + 10, rounded.rstd.data()});
  EXPECT_EQ(exact.rstd, rounded.rstd);
  for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i].bits, tensor::to_bf16(exact.y[i]).bits) << i;
  head_norm_backward(exact.backward(dx.data()));
  head_norm_backward(rounded.backward(small.data(), x.data()));
  for (size_t i = 0; i < dx.size(); ++i) ASSERT_EQ(small[i].bits, tensor::to_bf16(dx[i]).bits) << i;
  EXPECT_EQ(exact.dweight, rounded.dweight);
}

TEST(BiasTest, IsAddedToEveryRowAndItsGradientIsTheirSum) {
  const auto bias = random_floats(67, 1), dy = random_floats(5 * 67, 2);
  auto y = random_floats(5 * 67, 3), dbias = random_floats(67, 4);
  const auto before = y, kept = dbias;
  std::vector<Bf16> half(y.size());
  to_bf16(y.data(), half.data(), 5 * 67);
  const auto half_before = half;
  add_bias(5, 67, bias.data(), half.data());
  add_bias(5, 67, bias.data(), y.data());
  bias_backward(5, 67, dy.data(), dbias.data());
  for (size_t c = 0; c < 67; ++c) {
    float sum = kept[c];
    for (size_t r = 0; r < 5; ++r) {
      const size_t at = r * 67 + c;
      EXPECT_EQ(y[at], before[at] + bias[c]);
      EXPECT_EQ(half[at].bits, tensor::to_bf16(tensor::to_float(half_before[at]) + bias[c]).bits);
      sum += dy[at];
    }
    EXPECT_EQ(dbias[c], sum);
  }
}

}  // namespace
}  // namespace retort::kernels
