#include "curate/options.h"

#include <fmt/core.h>

namespace retort::curate {
namespace {

Result<void> in_range(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return {};
  return base::usage_error(
      fmt::format("{} must be from {} to {}, not {}", name, least, most, value),
      fmt::format("curate.{}", name));
}

}  // namespace

void describe(base::Options& table, Options& o) {
  table.add("held_out", &o.held_out, "share of the records kept for evaluation");
  table.add("near", &o.near, "similarity from which an answer is a copy; 0 keeps near copies");
  table.add("max_repetition", &o.max_repetition, "largest share of repeated three-word runs");
  table.add("min_words", &o.min_words, "shortest answer to learn from, words");
  table.add("max_words", &o.max_words, "longest answer to learn from, words");
  table.add("seed", &o.seed, "which records are held out");
}

Result<void> check(const Options& options) {
  RETORT_TRY_VOID(in_range("held_out", options.held_out, 0, 0.5));
  RETORT_TRY_VOID(in_range("near", options.near, 0, 1));
  RETORT_TRY_VOID(in_range("max_repetition", options.max_repetition, 0, 1));
  RETORT_TRY_VOID(in_range("min_words", static_cast<double>(options.min_words), 0, 1e9));
  return in_range("max_words", static_cast<double>(options.max_words), 1, 1e9);
}

}  // namespace retort::curate
