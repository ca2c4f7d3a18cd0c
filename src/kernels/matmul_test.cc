#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "kernels/gradient_check.h"

namespace retort::kernels {
namespace {

std::vector<Bf16> rounded(const std::vector<float>& values) {
  std::vector<Bf16> result(values.size());
  to_bf16(values.data(), result.data(), static_cast<int64_t>(values.size()));
  return result;
}

class Matmul : public ::testing::TestWithParam<MatmulBackend> {
 protected:
  void SetUp() override {
    if (GetParam() == MatmulBackend::dnnl && !have_dnnl()) GTEST_SKIP() << "built without oneDNN";
    kept_ = matmul_backend();
    set_matmul_backend(GetParam());
  }
  void TearDown() override {
    if (!IsSkipped()) set_matmul_backend(kept_);
  }
  MatmulBackend kept_ = MatmulBackend::blocked;
};

// Edges of the micro kernel (6 rows, 2 vectors of columns) and of the blocks (48 rows, 256 columns
// and inputs).
const std::vector<MatmulShape> kShapes = {
    {.m = 1, .n = 1, .k = 1},      {.m = 7, .n = 5, .k = 3},      {.m = 6, .n = 16, .k = 256},
    {.m = 13, .n = 33, .k = 257},  {.m = 97, .n = 31, .k = 19},   {.m = 200, .n = 100, .k = 513},
    {.m = 5, .n = 520, .k = 40},   {.m = 101, .n = 1030, .k = 7}, {.m = 3, .n = 4, .k = 0},
    {.m = 107, .n = 70, .k = 262}, {.m = 100, .n = 300, .k = 5},  {.m = 47, .n = 290, .k = 511},
};

TEST_P(Matmul, EqualsReferenceOverOddShapes) {
  for (const Product product : {Product::nt, Product::nn, Product::tn}) {
    for (MatmulShape shape : kShapes) {
      for (const bool accumulate : {false, true}) {
        shape.product = product;
        shape.accumulate = accumulate;
        const auto a = random_floats(shape.m * shape.k, 1);
        const auto b = random_floats(shape.n * shape.k, 2);
        auto expected = random_floats(shape.m * shape.n, 3);
        auto found = expected;
        matmul_reference(shape, a.data(), b.data(), expected.data());
        matmul(shape, a.data(), b.data(), found.data());
        ASSERT_LT(relative_difference(found, expected), 2e-6)
            << static_cast<int>(product) << " " << shape.m << " " << shape.n << " " << shape.k;
      }
    }
  }
}

TEST_P(Matmul, Bf16InputsEqualTheReferenceOnThem) {
  for (const Product product : {Product::nt, Product::nn, Product::tn}) {
    for (MatmulShape shape : kShapes) {
      shape.product = product;
      shape.accumulate = true;
      const auto a = rounded(random_floats(shape.m * shape.k, 1));
      const auto b = rounded(random_floats(shape.n * shape.k, 2));
      auto expected = random_floats(shape.m * shape.n, 3);
      auto found = expected;
      matmul_reference(shape, a.data(), b.data(), expected.data());
      matmul(shape, a.data(), b.data(), found.data());
      ASSERT_LT(relative_difference(found, expected), 2e-6)
          << static_cast<int>(product) << " " << shape.m << " " << shape.n << " " << shape.k;
    }
  }
}

// A sum that lies near the middle of two bf16 numbers may become the other one.
TEST_P(Matmul, Bf16ResultsAreTheSumsRounded) {
  for (const Product product : {Product::nt, Product::nn, Product::tn}) {
    for (MatmulShape shape : kShapes) {
      shape.product = product;
      const auto a = rounded(random_floats(shape.m * shape.k, 1));
      const auto b = rounded(random_floats(shape.n * shape.k, 2));
      std::vector<float> expected(static_cast<size_t>(shape.m * shape.n));
      std::vector<Bf16> found(expected.size(), Bf16{0x7fc0});
      matmul_reference(shape, a.data(), b.data(), expected.data());
      matmul(shape, a.data(), b.data(), found.data());
      for (size_t i = 0; i < found.size(); ++i) {
        ASSERT_NEAR(tensor::to_float(found[i]), expected[i], std::abs(expected[i]) / 256 + 1e-4);
      }
    }
  }
}

TEST_P(Matmul, RepeatsBitForBit) {
  const MatmulShape shape = {.product = Product::tn, .m = 150, .n = 130, .k = 700};
  const auto a = random_floats(shape.m * shape.k, 1);
  const auto b = random_floats(shape.n * shape.k, 2);
  std::vector<float> first(static_cast<size_t>(shape.m * shape.n));
  auto second = first;
  matmul(shape, a.data(), b.data(), first.data());
  matmul(shape, a.data(), b.data(), second.data());
  EXPECT_EQ(first, second);
}

TEST_P(Matmul, ThreeThreadsCoverTheResult) {
  const int threads = base::thread_count();
  const auto a = random_floats(400 * 40, 1);
  const auto b = random_floats(300 * 40, 2);
  for (const int count : {1, 3, 4}) {
    base::set_thread_count(count);
    const MatmulShape shape = {.m = 400, .n = 300, .k = 40};
    std::vector<float> expected(400 * 300), found(400 * 300, 1e9f);
    matmul_reference(shape, a.data(), b.data(), expected.data());
    matmul(shape, a.data(), b.data(), found.data());
    EXPECT_LT(relative_difference(found, expected), 2e-6);
  }
  base::set_thread_count(threads);
}

INSTANTIATE_TEST_SUITE_P(Backends, Matmul,
                         ::testing::Values(MatmulBackend::blocked, MatmulBackend::dnnl),
                         [](const auto& test) {
                           return test.param == MatmulBackend::dnnl ? "dnnl" : "blocked";
                         });

}  // namespace
}  // namespace retort::kernels
