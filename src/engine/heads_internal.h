// What becomes of a row's queries, keys and values between their product and attention: biases
// are added, heads normalised, queries and keys turned by their position, in place. A llama has the
// turn alone. Prefill and decoding share it; a head's bits depend on its row and position alone.
#pragma once
#include <cstdint>

#include "engine/weights_internal.h"
#include "kernels/decode.h"
#include "kernels/rope.h"

namespace retort::engine {

// Of one layer. `row` is [(H + 2 KV) D].
class Heads {
 public:
  Heads(const model::Config& config, const PackedLayer& layer, const kernels::RopeTable& rope)
      : config_(config), layer_(layer), rope_(rope) {}

  // Query heads [first, first + count).
  void make_queries(float* row, int64_t first, int64_t count, int64_t position) const {
    for (int64_t h = first; h < first + count; ++h) {
      const int64_t column = h * config_.head_dim;
      add_bias(row, column);
      normalise(row + column, layer_.q_norm);
      kernels::turn_row(rope_, position, row + column);
    }
  }
  // The key of a key-value head, and its value.
  void make_key_and_value(float* row, int64_t kv_head, int64_t position) const {
    const int64_t column = config_.q_width() + kv_head * config_.head_dim;
    add_bias(row, column);
    normalise(row + column, layer_.k_norm);
    kernels::turn_row(rope_, position, row + column);
    add_bias(row, column + config_.kv_width());
  }

 private:
  void add_bias(float* row, int64_t column) const {
    if (layer_.qkv_bias.empty()) return;
    const float* bias = layer_.qkv_bias.data();
    for (int64_t i = column; i < column + config_.head_dim; ++i) row[i] += bias[i];
  }
  void normalise(float* head, const std::vector<float>& weight) const {
    if (weight.empty()) return;
    kernels::norm_row(
        {config_.head_dim, static_cast<float>(config_.norm_eps), head, weight.data(), head});
  }

  const model::Config& config_;
  const PackedLayer& layer_;
  const kernels::RopeTable& rope_;
};

}  // namespace retort::engine
