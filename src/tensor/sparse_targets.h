// A teacher's distributions over the vocabulary, one a row, each cut to its likeliest ids: what is
// kept, and the mass of all the rest together (the tail). Log-probabilities are natural, at
// temperature 1, of the whole distribution.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace retort::tensor {

// Rows laid one after another; row r has entries [starts[r], starts[r + 1]), which may be none:
// then nothing is known of it.
struct SparseTargets {
  std::vector<int64_t> starts = {0};
  std::vector<int32_t> ids;     // distinct within a row
  std::vector<float> logprobs;  // of ids
  std::vector<float> tails;     // [rows], 1 minus the kept mass, never below 0

  int64_t rows() const { return static_cast<int64_t>(starts.size()) - 1; }
  void add_row(std::span<const int32_t> row_ids, std::span<const float> row_logprobs, float tail) {
    ids.insert(ids.end(), row_ids.begin(), row_ids.end());
    logprobs.insert(logprobs.end(), row_logprobs.begin(), row_logprobs.end());
    starts.push_back(static_cast<int64_t>(ids.size()));
    tails.push_back(tail);
  }
  bool operator==(const SparseTargets&) const = default;
};

}  // namespace retort::tensor
