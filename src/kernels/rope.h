// Rotary positions (Su et al. 2021) in the layout of Hugging Face: element i of the first half of a
// head turns with element i of the second half by the angle position * theta^(-2i/D), divided by
// divisors[i] where there are any (a rotation stretched to longer texts).
//   y1 = x1 cos - x2 sin;  y2 = x2 cos + x1 sin
// The gradient is the turn back. Attention (attention.h) turns q and k as it loads them; these
// functions turn rows in place for everyone else.
#pragma once
#include <cstdint>
#include <span>

#include "tensor/buffer.h"

namespace retort::kernels {

// cos and sin of every position below `positions`, [positions, head_dim / 2] each.
class RopeTable {
 public:
  // `divisors`: none, or head_dim / 2.
  RopeTable(int64_t positions, int64_t head_dim, double theta,
            std::span<const float> divisors = {});
  int64_t positions() const { return positions_; }
  int64_t half() const { return half_; }
  const float* cos() const { return cos_.data(); }
  const float* sin() const { return sin_.data(); }
  static int64_t memory_bytes(int64_t positions, int64_t head_dim);

 private:
  int64_t positions_;
  int64_t half_;
  tensor::Buffer<float> cos_;
  tensor::Buffer<float> sin_;
};

struct RopeRows {
  int64_t heads = 0;                   // turned heads at the start of each row
  int64_t stride = 0;                  // floats from row to row
  std::span<const int32_t> positions;  // one a row, below table.positions()
};

void rope(const RopeTable& table, const RopeRows& rows, float* x);
void rope_backward(const RopeTable& table, const RopeRows& rows, float* dx);

}  // namespace retort::kernels
