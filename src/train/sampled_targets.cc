#include <algorithm>
#include <cmath>

#include "base/cancel.h"
#include "train/sampled_targets_internal.h"

namespace retort::train {
namespace {

constexpr int64_t kRowsAtOnce = 64;  // logits that exist at a time

uint64_t stream_of(const std::string& key) {
  uint64_t hash = 0x72736b64;
  for (const char c : key) hash = base::mix64(hash ^ static_cast<unsigned char>(c));
  return hash;
}

}  // namespace

void draw_targets(std::span<const float> logits, int64_t draws, base::Random& random,
                  std::vector<double>& cumulative, tensor::SparseTargets& to) {
  const float most = *std::max_element(logits.begin(), logits.end());
  cumulative.resize(logits.size());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    cumulative[i] = sum += std::exp(static_cast<double>(logits[i] - most));
  }
  std::vector<int32_t> drawn;
  for (int64_t i = 0; i < draws; ++i) {
    const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), random.uniform() * sum);
    drawn.push_back(static_cast<int32_t>(
        std::min<std::ptrdiff_t>(at - cumulative.begin(), std::ssize(cumulative) - 1)));
  }
  std::sort(drawn.begin(), drawn.end());
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
  for (auto first = drawn.begin(); first != drawn.end();) {
    const auto end = std::upper_bound(first, drawn.end(), *first);
    ids.push_back(*first);
    logprobs.push_back(static_cast<float>(
        std::log(static_cast<double>(end - first) / static_cast<double>(draws))));
    first = end;
  }
  to.add_row(ids, logprobs, 0);
}

Result<void> draw_targets(model::LogitSource& teacher, const Drawing& drawing,
                          std::vector<Example>& rows) {
  std::vector<double> cumulative;
  std::vector<float> logits(static_cast<size_t>(kRowsAtOnce * drawing.vocab));
  for (const auto& chosen : plan_in_order(rows, drawing.batch_tokens)) {
    if (base::cancelled()) return base::cancelled_error("train");
    const model::Batch batch = make_batch(rows, chosen);
    teacher.start(batch);
    std::vector<int32_t> trained;  // rows of the batch
    std::vector<uint32_t> owners;  // whose they are
    for (size_t doc = 0; doc < chosen.size(); ++doc) {
      rows[chosen[doc]].teacher = {};
      for (int32_t row = batch.doc_starts[doc]; row < batch.doc_starts[doc + 1]; ++row) {
        if (batch.targets[row] < 0) continue;
        trained.push_back(row);
        owners.push_back(chosen[doc]);
      }
    }
    for (size_t at = 0; at < trained.size(); at += kRowsAtOnce) {
      const auto some = std::span(trained).subspan(
          at, std::min(static_cast<size_t>(kRowsAtOnce), trained.size() - at));
      teacher.logits(some, logits.data());
      for (size_t i = 0; i < some.size(); ++i) {
        Example& row = rows[owners[at + i]];
        base::Random random(drawing.seed, stream_of(row.key));
        random.seek(static_cast<uint64_t>(row.teacher.rows() * drawing.draws));
        draw_targets(std::span(logits).subspan(i * static_cast<size_t>(drawing.vocab),
                                               static_cast<size_t>(drawing.vocab)),
                     drawing.draws, random, cumulative, row.teacher);
      }
    }
  }
  return {};
}

}  // namespace retort::train
