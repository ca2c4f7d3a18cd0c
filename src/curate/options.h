// What a run file says in [curate].
#pragma once
#include <cstdint>

#include "base/options.h"
#include "base/result.h"

namespace retort::curate {

struct Options {
  double held_out = 0.05;
  double near = 0.7;
  double max_repetition = 0.25;
  int64_t min_words = 1;
  int64_t max_words = 2000;
  int64_t seed = 1;
};
void describe(base::Options& table, Options& options);
Result<void> check(const Options& options);

}  // namespace retort::curate
