#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/cross_entropy.h"
#include "kernels/gradient_check.h"

namespace retort::kernels {
namespace {

std::vector<int32_t> some_targets(int64_t rows, int64_t vocab) {
  std::vector<int32_t> targets;
  for (int64_t i = 0; i < rows; ++i) {
    targets.push_back(static_cast<int32_t>((i * 7 + vocab - 1) % vocab));
  }
  return targets;
}

TEST(CrossEntropyTest, EqualsReferenceOverOddVocabularies) {
  for (const int64_t vocab : {1, 2, 7, 8, 19, 64, 1001}) {
    const int64_t rows = 9;
    const auto targets = some_targets(rows, vocab);
    auto logits = random_floats(rows * vocab, 1, 5);
    std::vector<float> nll(rows), expected_nll(rows), alone(rows), expected(logits.size());
    cross_entropy_reference(
        {rows, vocab, logits.data(), targets.data(), 0.25f, expected_nll.data(), expected.data()});
    const auto kept = logits;
    cross_entropy(CrossEntropy<float>{rows, vocab, logits.data(), targets.data(), 0.25f,
                                      alone.data(), nullptr});
    EXPECT_EQ(logits, kept) << "the loss alone leaves the logits";
    cross_entropy(CrossEntropy<float>{rows, vocab, logits.data(), targets.data(), 0.25f, nll.data(),
                                      logits.data()});
    EXPECT_EQ(nll, alone);
    EXPECT_LT(relative_difference(nll, expected_nll), 1e-6) << vocab;
    for (size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 2e-7) << vocab;
  }
}

TEST(CrossEntropyTest, SmoothedWeightedAndWithZLossEqualsReference) {
  for (const int64_t vocab : {1, 7, 19, 1001}) {
    const int64_t rows = 5;
    const auto targets = some_targets(rows, vocab);
    const auto weights = random_floats(rows, 9);
    auto logits = random_floats(rows * vocab, 1, 3);
    std::vector<float> nll(rows), loss(rows), expected_loss(rows), expected(logits.size());
    CrossEntropy<float> args{.rows = rows,
                             .vocab = vocab,
                             .logits = logits.data(),
                             .targets = targets.data(),
                             .scale = 0.5f,
                             .nll = nll.data(),
                             .dlogits = expected.data(),
                             .hard = {.weight = 2, .label_smoothing = 0.1f, .z_loss = 0.03f},
                             .row_weights = weights.data(),
                             .loss = expected_loss.data()};
    cross_entropy_reference(args);
    args.dlogits = logits.data();
    args.loss = loss.data();
    cross_entropy(args);
    EXPECT_LT(relative_difference(loss, expected_loss), 2e-6) << vocab;
    EXPECT_LT(relative_difference(logits, expected), 2e-6) << vocab;
  }
}

TEST(CrossEntropyTest, GradientByDifferences) {
  const auto targets = some_targets(3, 21);
  auto logits = random_floats(63, 2);
  std::vector<float> nll(3), dlogits(63);
  auto work = logits;
  cross_entropy(
      CrossEntropy<float>{3, 21, work.data(), targets.data(), 1, nll.data(), dlogits.data()});
  const auto loss = [&] {
    cross_entropy(
        CrossEntropy<float>{3, 21, logits.data(), targets.data(), 1, nll.data(), nullptr});
    return static_cast<double>(nll[0]) + nll[1] + nll[2];
  };
  expect_gradient(logits, loss, dlogits);
}

TEST(CrossEntropyTest, HugeLogitsStayFinite) {
  std::vector<float> logits = {1e4f, -1e4f, 0, 30};
  const std::vector<int32_t> targets = {1};
  std::vector<float> nll(1);
  cross_entropy(
      CrossEntropy<float>{1, 4, logits.data(), targets.data(), 1, nll.data(), logits.data()});
  EXPECT_FLOAT_EQ(nll[0], 2e4f);
  EXPECT_FLOAT_EQ(logits[0], 1);
  EXPECT_FLOAT_EQ(logits[1], -1);
}

TEST(CrossEntropyTest, Bf16GradientIsTheRoundedOne) {
  const auto targets = some_targets(4, 37);
  auto logits = random_floats(4 * 37, 3);
  auto same = logits;
  std::vector<float> nll(4);
  std::vector<Bf16> dlogits(logits.size());
  cross_entropy(
      CrossEntropy<Bf16>{4, 37, same.data(), targets.data(), 2, nll.data(), dlogits.data()});
  cross_entropy(
      CrossEntropy<float>{4, 37, logits.data(), targets.data(), 2, nll.data(), logits.data()});
  for (size_t i = 0; i < logits.size(); ++i) {
    ASSERT_EQ(dlogits[i].bits, tensor::to_bf16(logits[i]).bits) << i;
  }
}

}  // namespace
}  // namespace retort::kernels
