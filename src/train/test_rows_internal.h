// Rows and a shape for this room's tests: small enough to train in moments.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/files.h"
#include "base/random.h"
#include "model/weights.h"
#include "train/examples.h"
#include "train/options.h"

namespace retort::train {

inline model::Config tiny_config() {
  return {.vocab = 24,
          .width = 32,
          .layers = 2,
          .heads = 2,
          .kv_heads = 1,
          .head_dim = 16,
          .ffn = 64,
          .max_positions = 64};
}

// Two to five symbols, a mark, the same symbols each mapped to another one, and a stop: what
// follows the mark is learnt.
inline Examples mapping_rows(int64_t count, uint64_t seed) {
  constexpr int32_t kMark = 20, kStop = 21;
  base::Random random(seed);
  Examples examples;
  for (int64_t i = 0; i < count; ++i) {
    Example row{.key = "row-" + std::to_string(i), .ids = {}, .trained = {}};
    const uint64_t length = 2 + random.below(4);
    for (uint64_t j = 0; j < length; ++j) row.ids.push_back(static_cast<int32_t>(random.below(10)));
    row.ids.push_back(kMark);
    row.trained.assign(row.ids.size(), false);
    for (uint64_t j = 0; j < length; ++j) row.ids.push_back((row.ids[j] * 3 + 1) % 10 + 10);
    row.ids.push_back(kStop);
    row.trained.resize(row.ids.size(), true);
    examples.rows.push_back(std::move(row));
  }
  return examples;
}

// 12 rows in batches of 40 inputs: a few steps an epoch.
inline TrainOptions quick_options() {
  TrainOptions options;
  options.epochs = 3;
  options.batch_tokens = 40;
  options.lr = 3e-3;
  options.checkpoint_every = 2;
  options.precision = "fp32";
  return options;
}

// An empty folder of the running test's own: tests run side by side.
inline std::string fresh_folder(const std::string& name) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder = base::join("train_test_files", std::string(test->name()) + "_" + name);
  const auto removed = base::remove_all(folder);
  const auto made = base::make_directories(folder);
  return removed && made ? folder : "";
}

inline bool same_bytes(const model::Weights& a, const model::Weights& b) {
  const auto x = a.block(), y = b.block();
  return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin());
}

}  // namespace retort::train
