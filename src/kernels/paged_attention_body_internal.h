// Attention of a few query rows over the pages of one key-value head. A page's keys stand with
// their 16 positions in the lanes, so scores need no sums across lanes; values stand row by row.
#pragma once
#include "kernels/decode.h"
#include "kernels/simd_internal.h"

namespace retort::kernels::RETORT_ISA {

constexpr int kPageParts = 16 / kLanes;

struct QueryRows {
  const float* q[kAttentionRows];
  float* out[kAttentionRows];
  int64_t visible[kAttentionRows];  // positions that the row sees
};

// scores[r][position] = q_r . k_position for R rows and one page.
template <int R, class K>
RETORT_INLINE void page_scores(const K* keys, int64_t head_dim, const float* const* q,
                               float* const* scores) {
  V sums[R][kPageParts] = {};
  for (int64_t d = 0; d < head_dim; ++d, keys += kPagePositions) {
#pragma GCC unroll 4
    for (int p = 0; p < kPageParts; ++p) {
      const V key = load(keys + p * kLanes);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) sums[r][p] += splat(q[r][d]) * key;
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < kPageParts; ++p) store(scores[r] + p * kLanes, sums[r][p]);
  }
}

// out[r] += sum over a page's first `count` positions of weight * value, for R rows and four
// vectors of columns from `column` on.
template <int R, int C, class K>
RETORT_INLINE void page_values(const K* values, int64_t head_dim, int64_t count,
                               const float* const* weights, float* const* out) {
  V sums[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sums[r][c] = load(out[r] + c * kLanes);
  }
  for (int64_t at = 0; at < count; ++at, values += head_dim) {
    V value[C];
    for (int c = 0; c < C; ++c) value[c] = load(values + c * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const V weight = splat(weights[r][at]);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sums[r][c] += weight * value[c];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) store(out[r] + c * kLanes, sums[r][c]);
  }
}

// Columns in fours of vectors, then in single ones, then one by one.
template <int R, class K>
static void add_values(const K* values, int64_t head_dim, int64_t count,
                       const float* const* weights, float* const* out) {
  int64_t column = 0;
  float* shifted[R];
  for (; column + 4 * kLanes <= head_dim; column += 4 * kLanes) {
    for (int r = 0; r < R; ++r) shifted[r] = out[r] + column;
    page_values<R, 4>(values + column, head_dim, count, weights, shifted);
  }
  for (; column + kLanes <= head_dim; column += kLanes) {
    for (int r = 0; r < R; ++r) shifted[r] = out[r] + column;
    page_values<R, 1>(values + column, head_dim, count, weights, shifted);
  }
  for (; column < head_dim; ++column) {
    for (int r = 0; r < R; ++r) {
      float total = out[r][column];
      for (int64_t at = 0; at < count; ++at) {
        total += weights[r][at] * widen_one(values[at * head_dim + column]);
      }
      out[r][column] = total;
    }
  }
}

// softmax of the visible scores, scaled; zeros behind them up to `padded`. The sum runs over whole
// vectors in the order of positions, so that it does not depend on what stands behind.
static void weigh(float* scores, int64_t visible, int64_t padded, float scale) {
  for (int64_t i = visible; i < padded; ++i) scores[i] = -__builtin_inff();
  V most = load(scores);
  for (int64_t i = 0; i < padded; i += kLanes) most = maximum(most, load(scores + i));
  const float top = maximum(most);
  V total = {};
  for (int64_t i = 0; i < padded; i += kLanes) {
    const V weight = exp((load(scores + i) - top) * scale);
    store(scores + i, weight);
    total += weight;
  }
  const float inverse = 1.0f / sum(total);
  for (int64_t i = 0; i < padded; i += kLanes) store(scores + i, load(scores + i) * inverse);
}

template <class K>
static void rows_scores(const K* keys, int64_t head_dim, const float* const* q,
                        float* const* scores, int64_t rows) {
  int64_t r = 0;
  for (; r + 6 <= rows; r += 6) page_scores<6>(keys, head_dim, q + r, scores + r);
  for (; r + 3 <= rows; r += 3) page_scores<3>(keys, head_dim, q + r, scores + r);
  for (; r < rows; ++r) page_scores<1>(keys, head_dim, q + r, scores + r);
}

// The halves of pages in the order in which they are read: all keys, then all values. They lie far
// apart, so that the processor does not see the next one coming: it is asked for some halves ahead.
template <class K>
struct Halves {
  const PagedHead& head;
  const K* pool;
  int64_t pages;

  const K* at(int64_t index) const {
    const int64_t page = index < pages ? index : index - pages;
    const K* keys = pool + head.pages[page] * head.page_stride;
    return index < pages ? keys : keys + kPagePositions * head.head_dim;
  }
  void ask_for(int64_t index) const {
    if (index >= 2 * pages) return;
    const K* from = at(index);
    constexpr int64_t kLine = 64 / sizeof(K);
    for (int64_t i = 0; i < kPagePositions * head.head_dim; i += kLine) {
      __builtin_prefetch(from + i, 0, 3);
    }
  }
};
constexpr int64_t kHalvesAhead = 4;

template <class K>
static void attend_rows(const PagedAttention& args, const K* pool, const QueryRows& rows,
                        int64_t count) {
  const PagedHead& head = args.head;
  const int64_t longest = rows.visible[count - 1];
  const int64_t pages = (longest + kPagePositions - 1) / kPagePositions;
  const int64_t padded = pages * kPagePositions;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(head.head_dim));
  const Halves<K> halves = {head, pool, pages};
  for (int64_t i = 0; i < kHalvesAhead; ++i) halves.ask_for(i);
  float* scores[kAttentionRows];
  for (int64_t page = 0; page < pages; ++page) {
    halves.ask_for(page + kHalvesAhead);
    for (int64_t r = 0; r < count; ++r) {
      scores[r] = args.scratch + r * padded + page * kPagePositions;
    }
    rows_scores(halves.at(page), head.head_dim, rows.q, scores, count);
  }
  for (int64_t r = 0; r < count; ++r) {
    weigh(args.scratch + r * padded, rows.visible[r], padded, scale);
    __builtin_memset(rows.out[r], 0, sizeof(float) * static_cast<size_t>(head.head_dim));
  }
  for (int64_t page = 0; page < pages; ++page) {
    const K* values = halves.at(pages + page);
    halves.ask_for(pages + page + kHalvesAhead);
    const int64_t left = longest - page * kPagePositions;
    const int64_t positions = left < kPagePositions ? left : kPagePositions;
    const float* weights[kAttentionRows];
    for (int64_t r = 0; r < count; ++r) {
      weights[r] = args.scratch + r * padded + page * kPagePositions;
    }
    int64_t r = 0;
    for (; r + 4 <= count; r += 4) {
      add_values<4>(values, head.head_dim, positions, weights + r, rows.out + r);
    }
    for (; r + 3 <= count; r += 3) {
      add_values<3>(values, head.head_dim, positions, weights + r, rows.out + r);
    }
    for (; r < count; ++r) {
      add_values<1>(values, head.head_dim, positions, weights + r, rows.out + r);
    }
  }
}

static void attend_paged(const PagedAttention& args) {
  const int64_t all = args.tokens * args.group;
  for (int64_t first = 0; first < all; first += kAttentionRows) {
    QueryRows rows;
    const int64_t count = all - first < kAttentionRows ? all - first : kAttentionRows;
    for (int64_t r = 0; r < count; ++r) {
      const int64_t token = (first + r) / args.group;
      const int64_t head = (first + r) % args.group;
      rows.q[r] = args.q + token * args.ld_q + head * args.head.head_dim;
      rows.out[r] = args.out + token * args.ld_out + head * args.head.head_dim;
      rows.visible[r] = args.first_position + token + 1;
    }
    if (args.head.f32 != nullptr) {
      attend_rows(args, args.head.f32, rows, count);
    } else {
      attend_rows(args, args.head.bf16, rows, count);
    }
  }
}

}  // namespace retort::kernels::RETORT_ISA
