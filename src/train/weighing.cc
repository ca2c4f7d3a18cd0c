#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "train/weighing_internal.h"

namespace retort::train {

model::RowWeigher::Loss SampledReverseKl::weigh(const model::Batch& batch,
                                                std::span<const int32_t> rows,
                                                std::span<const float> nll,
                                                std::span<float> weights) {
  RETORT_CHECK_EQ(batch.drawn.size(), batch.tokens.size());
  Loss loss{.units = static_cast<int64_t>(rows.size())};
  size_t doc = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]);
    while (rows[i] >= batch.doc_starts[doc + 1]) ++doc;
    const float baseline = batch.baselines.empty() ? 0 : batch.baselines[doc];
    const float ratio = std::min(std::exp(-nll[i] - batch.drawn[row]), kMostRatio);
    const float gained = batch.reference[row] + nll[i];
    weights[i] = ratio * (gained - baseline);
    loss.sum -= static_cast<double>(ratio * gained);
  }
  loss.divergence_sum = loss.sum;
  return loss;
}

model::RowWeigher::Loss Preference::weigh(const model::Batch& batch, std::span<const int32_t> rows,
                                          std::span<const float> nll, std::span<float> weights) {
  RETORT_CHECK(batch.doc_starts.size() % 2 == 1, "documents without a pair");
  Loss loss;
  size_t next = 0;
  for (size_t doc = 0; doc + 1 < batch.doc_starts.size(); doc += 2) {
    const int32_t second = batch.doc_starts[doc + 1], end = batch.doc_starts[doc + 2];
    const size_t first = next;
    double margin = 0;  // (c - c0) - (r - r0)
    for (; next < rows.size() && rows[next] < end; ++next) {
      const double gained = -static_cast<double>(nll[next]) - batch.reference[rows[next]];
      margin += rows[next] < second ? gained : -gained;
    }
    const double x = beta_ * margin;
    const double below = std::log1p(std::exp(-std::abs(x)));  // -log s(|x|)
    const double as_is = below + std::max(-x, 0.0), turned = below + std::max(x, 0.0);
    loss.sum += (1 - smoothing_) * as_is + smoothing_ * turned;
    // s(-x) = exp(-turned): how far the pair is from being as it should be.
    const double pull =
        beta_ * ((1 - smoothing_) * std::exp(-turned) - smoothing_ * std::exp(-as_is));
    for (size_t i = first; i < next; ++i) {
      weights[i] = static_cast<float>(rows[i] < second ? pull : -pull);
    }
    loss.agreed += margin > 0 ? 1 : 0;
    ++loss.units;
  }
  return loss;
}

}  // namespace retort::train
