#include "kernels/decode.h"

#include <type_traits>

#include "base/check.h"
#include "base/cpu.h"
#include "kernels/decode_loops_internal.h"

namespace retort::kernels {

const DecodeLoops& decode_loops() {
  static const DecodeLoops& chosen = base::cpu_features().avx512_vnni ? *decode_loops_avx512()
                                     : base::cpu_features().avx2      ? *decode_loops_avx2()
                                                                      : *decode_loops_portable();
  return chosen;
}

const char* decode_isa() {
  return decode_loops().name;
}

void quantise_row(const Rows& rows, int64_t row, int64_t begin, int64_t end) {
  RETORT_CHECK(begin % kCodeBlock == 0 && end % kCodeBlock == 0 && end <= rows.width);
  decode_loops().quantise_row(rows, row, begin, end);
}

void row_product(const RowProduct& product, int64_t first_tile, int64_t last_tile) {
  RETORT_CHECK_EQ(product.weights->in(), product.x.width);
  RETORT_CHECK(product.x.half_sums != nullptr || !product.weights->reads_half_sums());
  decode_loops().row_product(product, first_tile, last_tile);
}

void norm_row(const NormRow& args) {
  decode_loops().norm_row(args);
}

void swiglu_part(const float* gate, const float* up, float* act, int64_t count) {
  decode_loops().swiglu_part(gate, up, act, count);
}

namespace {

template <class K>
void store_in(K* pool, const PagedHead& head, int64_t position, const float* key,
              const float* value) {
  const int64_t page = head.pages[position / kPagePositions];
  const int64_t slot = position % kPagePositions;
  K* keys = pool + page * head.page_stride;
  K* values = keys + kPagePositions * head.head_dim + slot * head.head_dim;
  for (int64_t d = 0; d < head.head_dim; ++d) {
    if constexpr (std::is_same_v<K, float>) {
      keys[d * kPagePositions + slot] = key[d];
      values[d] = value[d];
    } else {
      keys[d * kPagePositions + slot] = tensor::to_bf16(key[d]);
      values[d] = tensor::to_bf16(value[d]);
    }
  }
}

}  // namespace

void store_position(const PagedHead& head, int64_t position, const float* key, const float* value) {
  if (head.f32 != nullptr) return store_in(head.f32, head, position, key, value);
  store_in(head.bf16, head, position, key, value);
}

void turn_row(const RopeTable& table, int64_t position, float* x) {
  const int64_t half = table.half();
  const float* cosines = table.cos() + position * half;
  const float* sines = table.sin() + position * half;
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    x[i] = a * cosines[i] - b * sines[i];
    x[i + half] = b * cosines[i] + a * sines[i];
  }
}

int64_t paged_attention_scratch(int64_t positions) {
  const int64_t padded = (positions + kPagePositions - 1) / kPagePositions * kPagePositions;
  return kAttentionRows * padded;
}

void paged_attention(const PagedAttention& args) {
  RETORT_CHECK(args.tokens * args.group <= kAttentionRows || args.tokens == 1, "{} x {}",
               args.tokens, args.group);
  decode_loops().paged_attention(args);
}

float row_maximum(const float* x, int64_t count) {
  return decode_loops().row_maximum(x, count);
}

float row_sum_exp(const float* x, int64_t count, float shift, float scale) {
  return decode_loops().row_sum_exp(x, count, shift, scale);
}

}  // namespace retort::kernels
