#include "kernels/distill.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "kernels/gradient_check.h"
#include "kernels/runnable_loops_internal.h"
#include "tensor/sparse_targets.h"

namespace retort::kernels {
namespace {

using Row = std::vector<double>;

constexpr Divergence kAll[] = {Divergence::forward_kl, Divergence::reverse_kl, Divergence::jsd,
                               Divergence::skew_kl, Divergence::skew_reverse_kl};

Row softmax(const Row& logits, double temperature) {
  Row out;
  double total = 0;
  for (const double logit : logits) total += std::exp(logit / temperature);
  for (const double logit : logits) out.push_back(std::exp(logit / temperature) / total);
  return out;
}

double hard_loss(const HardTerm& hard, const Row& logits, int32_t target) {
  double total = 0, mean = 0;
  for (const double logit : logits) {
    total += std::exp(logit);
    mean += logit / static_cast<double>(logits.size());
  }
  const double lse = std::log(total);
  const double nll = lse - logits[static_cast<size_t>(target)];
  return hard.weight * ((1 - hard.label_smoothing) * nll + hard.label_smoothing * (lse - mean) +
                        hard.z_loss * lse * lse);
}

// By differences in double.
Row gradient_of(Row at, const std::function<double(const Row&)>& loss) {
  constexpr double kStep = 1e-5;
  Row out;
  for (double& x : at) {
    const double kept = x;
    x = kept + kStep;
    const double up = loss(at);
    x = kept - kStep;
    out.push_back((up - loss(at)) / (2 * kStep));
    x = kept;
  }
  return out;
}

Row row_of(const std::vector<float>& values, int64_t row, int64_t vocab) {
  return Row(values.begin() + row * vocab, values.begin() + (row + 1) * vocab);
}

struct Given {
  int64_t rows = 3;
  int64_t vocab = 21;
  HardTerm hard = {};
  SoftTerm soft = {};
  std::vector<float> row_weights = {1, 0.5f, -2};
  std::vector<int32_t> targets = {0, 20, 7};
};

using RowLoss = std::function<double(int64_t row, const Row& logits)>;

struct Found {
  std::vector<float> nll, divergence, loss, dlogits;
};

void expect_losses_and_gradients(const Given& given, const std::vector<float>& logits,
                                 const Found& found, const RowLoss& divergence) {
  const double factor = given.soft.weight * given.soft.temperature * given.soft.temperature;
  for (int64_t row = 0; row < given.rows; ++row) {
    const Row at = row_of(logits, row, given.vocab);
    const auto loss = [&](const Row& z) {
      return given.row_weights[row] *
             (hard_loss(given.hard, z, given.targets[row]) + factor * divergence(row, z));
    };
    EXPECT_NEAR(found.divergence[row], divergence(row, at), 2e-6);
    EXPECT_NEAR(found.loss[row], loss(at), 1e-5);
    EXPECT_NEAR(found.nll[row], hard_loss({}, at, given.targets[row]), 2e-6);
    const Row expected = gradient_of(at, loss);
    for (int64_t v = 0; v < given.vocab; ++v) {
      ASSERT_NEAR(found.dlogits[row * given.vocab + v], 3 * expected[v], 1e-5)
          << "row " << row << " logit " << v;
    }
  }
}

// `teach` says where the teacher is; the scale is 3.
Found run(const Loops& loops, const Given& given, std::vector<float> logits,
          const std::function<void(Distill<float>&)>& teach) {
  Found found;
  const auto rows = static_cast<size_t>(given.rows);
  found.nll.resize(rows);
  found.divergence.resize(rows);
  found.loss.resize(rows);
  Distill<float> args{.base = {.rows = given.rows,
                               .vocab = given.vocab,
                               .logits = logits.data(),
                               .targets = given.targets.data(),
                               .scale = 3,
                               .nll = found.nll.data(),
                               .dlogits = nullptr,
                               .hard = given.hard,
                               .row_weights = given.row_weights.data(),
                               .loss = found.loss.data()},
                      .soft = given.soft,
                      .divergence = found.divergence.data()};
  teach(args);
  const auto go = args.teacher != nullptr ? loops.f32.distill_dense : loops.f32.distill_sparse;
  const auto before = logits;
  go(args, {0, given.rows});
  EXPECT_EQ(logits, before) << "the loss alone leaves the logits";
  const Found alone = found;
  teach(args);
  args.base.dlogits = logits.data();
  go(args, {0, given.rows});
  EXPECT_EQ(alone.loss, found.loss);
  found.dlogits = logits;
  return found;
}

TEST(Distill, ADenseTeachersLossesAndGradients) {
  for (const Loops* loops : runnable_loops()) {
    for (const Divergence divergence : kAll) {
      for (const float temperature : {1.0f, 2.5f}) {
        Given given;
        given.hard = {.weight = 0.25f, .label_smoothing = 0.1f, .z_loss = 0.01f};
        given.soft = {
            .weight = 0.75f, .divergence = divergence, .mix = 0.3f, .temperature = temperature};
        SCOPED_TRACE(std::string(loops->name) + " " + std::to_string(static_cast<int>(divergence)) +
                     " " + std::to_string(temperature));
        const auto logits = random_floats(given.rows * given.vocab, 1, 2);
        const auto teacher = random_floats(given.rows * given.vocab, 2, 2);
        std::vector<float> work;
        const Found found = run(*loops, given, logits, [&](Distill<float>& args) {
          work = teacher;
          args.teacher = work.data();
        });
        expect_losses_and_gradients(given, logits, found, [&](int64_t row, const Row& z) {
          const Row p = softmax(z, temperature);
          const Row q = softmax(row_of(teacher, row, given.vocab), temperature);
          return divergence_reference(given.soft, given.vocab, p.data(), q.data());
        });
      }
    }
  }
}

tensor::SparseTargets likeliest(const std::vector<float>& teacher, int64_t vocab, int64_t rows) {
  tensor::SparseTargets out;
  for (int64_t row = 0; row < rows; ++row) {
    const Row q = softmax(row_of(teacher, row, vocab), 1);
    std::vector<int32_t> ids;
    std::vector<float> logprobs;
    double tail = 1;
    for (int32_t id = static_cast<int32_t>(row); id < vocab; id += 4) {  // any ids will do
      ids.push_back(id);
      logprobs.push_back(static_cast<float>(std::log(q[id])));
      tail -= q[id];
    }
    out.add_row(ids, logprobs, static_cast<float>(tail));
  }
  return out;
}

// The kept outcomes, and the others as one where the tail counts.
Row outcomes(const Row& probabilities, const tensor::SparseTargets& kept, int64_t row, bool tail) {
  Row out;
  double rest = 1;
  for (int64_t i = kept.starts[row]; i < kept.starts[row + 1]; ++i) {
    out.push_back(probabilities[kept.ids[i]]);
    rest -= out.back();
  }
  if (tail) out.push_back(rest);
  return out;
}

SparseTeacher view(const tensor::SparseTargets& targets, const std::vector<int32_t>& rows) {
  return {targets.starts.data(), targets.ids.data(), targets.logprobs.data(), targets.tails.data(),
          rows.data()};
}

TEST(Distill, ASparseTeachersLossesAndGradients) {
  const std::vector<int32_t> rows = {2, 0, 1};
  for (const Loops* loops : runnable_loops()) {
    for (const Divergence divergence : kAll) {
      for (const bool tail : {true, false}) {
        if (!tail && divergence != Divergence::forward_kl) continue;
        Given given;
        given.hard = {.weight = 0.5f, .label_smoothing = 0.2f, .z_loss = 0.02f};
        given.soft = {.weight = 1.5f, .divergence = divergence, .mix = 0.7f, .tail = tail};
        SCOPED_TRACE(std::string(loops->name) + " " + std::to_string(static_cast<int>(divergence)) +
                     (tail ? " tail" : ""));
        const auto logits = random_floats(given.rows * given.vocab, 3, 2);
        const auto teacher = random_floats(given.rows * given.vocab, 4, 2);
        const auto kept = likeliest(teacher, given.vocab, given.rows);
        const Found found = run(*loops, given, logits,
                                [&](Distill<float>& args) { args.sparse = view(kept, rows); });
        expect_losses_and_gradients(given, logits, found, [&](int64_t row, const Row& z) {
          const Row all = softmax(row_of(teacher, rows[row], given.vocab), 1);
          const Row p = outcomes(softmax(z, 1), kept, rows[row], tail);
          const Row q = outcomes(all, kept, rows[row], tail);
          return divergence_reference(given.soft, static_cast<int64_t>(p.size()), p.data(),
                                      q.data());
        });
      }
    }
  }
}

TEST(Distill, ARowWithoutEntriesHasItsHardTermAtTheWeightOfBoth) {
  Given given;
  given.hard.weight = 0.25f;
  given.soft = {.weight = 0.75f};
  const auto logits = random_floats(given.rows * given.vocab, 5);
  tensor::SparseTargets none;
  for (int64_t row = 0; row < given.rows; ++row) none.add_row({}, {}, 1);
  const std::vector<int32_t> rows = {0, 1, 2};
  const Found found =
      run(loops(), given, logits, [&](Distill<float>& args) { args.sparse = view(none, rows); });
  given.hard.weight = 1;
  expect_losses_and_gradients(given, logits, found, [](int64_t, const Row&) { return 0.0; });
}

// The teacher itself as student: nothing to learn.
TEST(Distill, AnEqualTeacherHasNoLossAndNoGradient) {
  for (const Divergence divergence : kAll) {
    Given given;
    given.hard.weight = 0;
    given.soft = {.weight = 1, .divergence = divergence};
    const auto logits = random_floats(given.rows * given.vocab, 6, 3);
    std::vector<float> work;
    const Found found = run(loops(), given, logits, [&](Distill<float>& args) {
      work = logits;
      args.teacher = work.data();
    });
    for (const float loss : found.divergence) EXPECT_NEAR(loss, 0, 1e-6);
    for (const float slope : found.dlogits) EXPECT_NEAR(slope, 0, 1e-6);
  }
}

// Free logits of one row, fitted by plain descent to targets that keep a mass of `a` alone.
Row fitted(const tensor::SparseTargets& targets, int64_t vocab, bool tail) {
  const Given given{.rows = 1,
                    .vocab = vocab,
                    .hard = {.weight = 0},
                    .soft = {.weight = 1, .tail = tail},
                    .row_weights = {1},
                    .targets = {0}};
  const std::vector<int32_t> rows = {0};
  std::vector<float> logits(static_cast<size_t>(vocab));
  for (int step = 0; step < 3000; ++step) {
    const Found found = run(loops(), given, logits,
                            [&](Distill<float>& args) { args.sparse = view(targets, rows); });
    for (size_t i = 0; i < logits.size(); ++i) logits[i] -= 0.3f * found.dlogits[i];
  }
  return softmax(Row(logits.begin(), logits.end()), 1);
}

// Closed form: without its tail a truncated target t is fitted as t / a, the tail removes that.
TEST(Distill, ATruncatedTargetIsInflatedAndTheTailRemovesIt) {
  tensor::SparseTargets targets;
  const double kept[] = {0.5, 0.2, 0.1};  // a = 0.8
  targets.add_row(std::vector<int32_t>{3, 1, 6},
                  std::vector<float>{std::log(0.5f), std::log(0.2f), std::log(0.1f)}, 0.2f);
  const Row without = fitted(targets, 8, false);
  const Row with = fitted(targets, 8, true);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(without[targets.ids[i]], kept[i] / 0.8, 2e-3);
    EXPECT_NEAR(with[targets.ids[i]], kept[i], 1e-3);
  }
}

TEST(Distill, ATeacherThatRulesAnIdOutStaysFinite) {
  Given given{.rows = 1, .vocab = 5, .row_weights = {1}, .targets = {1}};
  for (const Divergence divergence : kAll) {
    given.soft = {.weight = 1, .divergence = divergence};
    std::vector<float> work;
    const Found found = run(loops(), given, {1, 2, 3, 1e4f, -1e4f}, [&](Distill<float>& args) {
      work = {0, 0, 0, -1e30f, 50};
      args.teacher = work.data();
    });
    EXPECT_LT(std::abs(found.divergence[0]), 2.01e4) << static_cast<int>(divergence);
    for (const float slope : found.dlogits) EXPECT_TRUE(std::isfinite(slope));
  }
}

TEST(Distill, Bf16GradientIsTheRoundedOne) {
  const auto logits = random_floats(42, 7, 2);
  const std::vector<int32_t> targets = {3, 19};
  const auto gradient = [&](auto kind, auto* dlogits) {
    using T = decltype(kind);
    auto work = logits;
    auto teacher = random_floats(42, 8, 2);
    std::vector<float> nll(2), divergence(2);
    distill(Distill<T>{.base = {.rows = 2,
                                .vocab = 21,
                                .logits = work.data(),
                                .targets = targets.data(),
                                .nll = nll.data(),
                                .dlogits = dlogits},
                       .soft = {.weight = 1, .divergence = Divergence::jsd},
                       .teacher = teacher.data(),
                       .divergence = divergence.data()});
  };
  std::vector<float> exact(42);
  std::vector<Bf16> rounded(42);
  gradient(0.0f, exact.data());
  gradient(Bf16{}, rounded.data());
  for (size_t i = 0; i < 42; ++i) EXPECT_EQ(rounded[i].bits, tensor::to_bf16(exact[i]).bits);
}

}  // namespace
}  // namespace retort::kernels
