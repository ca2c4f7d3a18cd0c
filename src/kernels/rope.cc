#include "kernels/rope.h"

#include <cmath>

#include "base/check.h"
#include "base/parallel.h"

namespace retort::kernels {
namespace {

// direction 1 turns, -1 turns back.
void turn_rows(const RopeTable& table, const RopeRows& rows, float direction, float* x) {
  const int64_t half = table.half();
  for (const int32_t position : rows.positions) {
    RETORT_CHECK(position >= 0 && position < table.positions(), "position {}", position);
  }
  base::parallel_for(static_cast<int64_t>(rows.positions.size()), 64,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         const float* cosines = table.cos() + rows.positions[row] * half;
                         const float* sines = table.sin() + rows.positions[row] * half;
                         for (int64_t head = 0; head < rows.heads; ++head) {
                           float* first = x + row * rows.stride + head * 2 * half;
                           float* second = first + half;
                           for (int64_t i = 0; i < half; ++i) {
                             const float a = first[i];
                             const float b = second[i];
                             const float sine = direction * sines[i];
                             first[i] = a * cosines[i] - b * sine;
                             second[i] = b * cosines[i] + a * sine;
                           }
                         }
                       }
                     });
}

}  // namespace

RopeTable::RopeTable(int64_t positions, int64_t head_dim, double theta,
                     std::span<const float> divisors)
    : positions_(positions),
      half_(head_dim / 2),
      cos_(positions * (head_dim / 2)),
      sin_(positions * (head_dim / 2)) {
  RETORT_CHECK(head_dim > 0 && head_dim % 2 == 0, "head_dim {}", head_dim);
  RETORT_CHECK(divisors.empty() || static_cast<int64_t>(divisors.size()) == half_, "{} divisors",
               divisors.size());
  for (int64_t i = 0; i < half_; ++i) {
    const double power = static_cast<double>(2 * i) / static_cast<double>(head_dim);
    const double divisor = divisors.empty() ? 1.0 : static_cast<double>(divisors[i]);
    const double frequency = std::pow(theta, -power) / divisor;
    for (int64_t position = 0; position < positions; ++position) {
      const double angle = static_cast<double>(position) * frequency;
      cos_.data()[position * half_ + i] = static_cast<float>(std::cos(angle));
      sin_.data()[position * half_ + i] = static_cast<float>(std::sin(angle));
    }
  }
}

int64_t RopeTable::memory_bytes(int64_t positions, int64_t head_dim) {
  return positions * head_dim * static_cast<int64_t>(sizeof(float));
}

void rope(const RopeTable& table, const RopeRows& rows, float* x) {
  turn_rows(table, rows, 1.0f, x);
}

void rope_backward(const RopeTable& table, const RopeRows& rows, float* dx) {
  turn_rows(table, rows, -1.0f, dx);
}

}  // namespace retort::kernels
