// metrics.jsonl: one line a step and one a held-out measurement. A resumed run cuts the file back
// to its checkpoint's step, so that every step stands there once.
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace retort::train {

struct StepMetrics {
  int64_t step = 0;  // the first one is 1
  int64_t epoch = 0;
  double loss = 0;        // the objective, nats a counted token
  double nll = 0;         // of the targets alone; written where it is not the loss
  double divergence = 0;  // from the teacher; written where there is one
  double lr = 0;
  double grad_norm = 0;
  int64_t tokens = 0;  // inputs of the batch
  double tokens_per_second = 0;
  double seconds = 0;  // of the whole run so far, without pauses between processes
};

struct HeldOutMetrics {
  int64_t step = 0;
  double loss = 0;  // as above
  double nll = 0;
  double divergence = 0;
  int64_t tokens = 0;  // counted
};

class Metrics {
 public:
  // Keeps the lines up to and with `last_step`, drops later ones and a torn last one.
  static Result<Metrics> open(const std::string& path, int64_t last_step);

  Result<void> add(const StepMetrics& metrics);
  Result<void> add_held_out(const HeldOutMetrics& metrics);
  // A step that was not taken because its loss or gradient was not finite, and its records' keys.
  Result<void> add_refused(int64_t step, const std::string& what,
                           const std::vector<std::string>& keys);
  // What was added is on disk afterwards.
  Result<void> sync();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  Metrics(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}
  Result<void> write_line(const std::string& line);

  std::unique_ptr<std::FILE, Close> file_;
  std::string path_;
};

}  // namespace retort::train
