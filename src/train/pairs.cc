#include <algorithm>
#include <cmath>
#include <map>

#include "train/pairs_internal.h"

namespace retort::train {

Pairs pair_up(std::vector<Example> rows, std::span<const double> scores, int64_t limit) {
  struct Range {
    size_t worst, best;
  };
  std::map<std::vector<int32_t>, size_t> place;  // of a prompt among the ranges
  std::vector<Range> ranges;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (std::isnan(scores[i])) continue;
    const auto& ids = rows[i].ids;
    const auto prompt = ids.begin() + static_cast<std::ptrdiff_t>(answer_start(rows[i]));
    const auto [found, is_new] = place.try_emplace({ids.begin(), prompt}, ranges.size());
    if (is_new) {
      ranges.push_back({i, i});
      continue;
    }
    Range& range = ranges[found->second];
    if (scores[i] < scores[range.worst]) range.worst = i;
    if (scores[i] > scores[range.best]) range.best = i;
  }
  Pairs out;
  for (const Range& range : ranges) {
    if (scores[range.best] == scores[range.worst] ||
        rows[range.best].ids == rows[range.worst].ids) {
      continue;
    }
    if (rows[range.best].inputs() + rows[range.worst].inputs() > limit) {
      out.data.too_long += 2;
      continue;
    }
    out.data.rows.push_back(rows[range.best]);
    out.data.rows.push_back(rows[range.worst]);
  }
  out.alone = std::ssize(rows) - std::ssize(out.data.rows) - out.data.too_long;
  return out;
}

double mean_reference(const Example& row) {
  double sum = 0;
  for (const float logprob : row.reference) sum += static_cast<double>(logprob);
  return sum / static_cast<double>(row.trained_tokens());
}

void refer_to(model::Network& network, std::vector<Example>& rows, int64_t batch_tokens) {
  for (Example& row : rows) row.reference.clear();
  for (const auto& chosen : plan_in_order(rows, batch_tokens)) {
    const model::Batch batch = make_batch(rows, chosen);
    std::vector<float> nll(batch.tokens.size());
    network.loss(batch, nll);
    size_t next = 0;
    for (const uint32_t index : chosen) {
      Example& row = rows[index];
      for (int64_t i = 0; i < row.inputs(); ++i) row.reference.push_back(-nll[next++]);
    }
  }
}

}  // namespace retort::train
