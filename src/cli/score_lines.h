// What `retort score` does: reads texts line by line, keeps many of them in the engine at once, and
// writes one JSON line each, in the order of the input.
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"
#include "engine/engine.h"

namespace retort::cli {

struct ScoreOptions {
  std::string texts;  // JSONL: {"text"}, {"prompt", "completion"} or {"tokens"}, and "id" if any
  std::string out;    // "": stdout; a file that holds whole lines already is gone on with
  int64_t top = 0;    // likeliest tokens shown beside each
  int64_t in_flight = 64;
};

// Of a prompt and its completion only the completion counts, encoded apart from the prompt, as a
// trainer does. A line that cannot be scored gets an "error" and costs exit code 4 at the end.
Result<void> score_lines(engine::Engine& engine, const ScoreOptions& options);

}  // namespace retort::cli
