// The loop over rows of test_rows_internal.h.
#pragma once
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "json/value.h"
#include "train/loop_internal.h"
#include "train/test_rows_internal.h"

namespace retort::train {

struct Training {
  Examples data = mapping_rows(12, 1);
  Examples held_out;
  TrainOptions options = quick_options();
  std::string folder;
  bool measure_start = false;
  std::function<void(const LoopState&)> on_step;
  model::Weights weights = model::Weights::random(tiny_config(), 5);
  model::Adapter* adapter = nullptr;

  int threads = 1;  // so little work is slower on more

  Result<LoopOutcome> go() {
    base::set_thread_count(threads);
    return run_loop(weights,
                    {.data = data,
                     .held_out = held_out,
                     .options = options,
                     .teacher = nullptr,
                     .measure_start = measure_start,
                     .folder = folder,
                     .identity = {},
                     .limit = nullptr,
                     .on_step = on_step,
                     .at_save_point = nullptr},
                    adapter);
  }
};

inline std::vector<json::Value> metrics_of(const std::string& folder) {
  std::vector<json::Value> lines;
  std::ifstream file(base::join(folder, "metrics.jsonl"));
  for (std::string line; std::getline(file, line);) lines.push_back(*json::parse(line));
  return lines;
}

}  // namespace retort::train
