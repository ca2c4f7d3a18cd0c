// Attention of one (document, kv head) pair as small matrix products on packed copies of its keys
// and values, a block of queries by a block of keys at a time, so that whatever a block needs stays
// in the first two caches however long the document is (Dao 2023, "FlashAttention-2", algorithms 1
// and 2).
#pragma once
#include "kernels/loops_matmul_internal.h"

namespace retort::kernels::RETORT_ISA {

RETORT_INLINE int64_t rounded(int64_t n, int64_t step) {
  return (n + step - 1) / step * step;
}

constexpr float kMasked = -1e30f;  // exp() of it is exactly 0

constexpr int64_t kKeyBlock = 128;
// Between rows of scores: no power of two, so that a column of them does not fall into one cache
// set.
constexpr int64_t kScoreStride = kKeyBlock + kColumns;
static_assert(kKeyBlock % kColumns == 0 && kScoreStride <= kScoreStrideMost);

// What one pair works with; rows of [T, D] matrices are `width` apart. Panels are [D, kColumns]
// pieces of a [D, T] matrix, one behind the other, with zeros behind the last token.
struct Pair {
  const AttentionShape* shape;
  AttentionTask task;
  int64_t dim;  // D
  int64_t half;
  int64_t width;   // D rounded up to whole column panels
  int64_t length;  // T likewise; panels take dim * length
  float scale;     // 1 / sqrt(D)
};

RETORT_INLINE Pair pair_of(const AttentionShape& shape, AttentionTask task) {
  const int64_t dim = shape.head_dim;
  return {&shape,
          task,
          dim,
          dim / 2,
          rounded(dim, kColumns),
          rounded(task.length, kColumns),
          1.0f / __builtin_sqrtf(static_cast<float>(dim))};
}

RETORT_INLINE int64_t row_width(const AttentionShape& shape) {
  return (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
}

// to = turn(x) * scale for the token at `position` of its document.
template <class From, class To>
RETORT_INLINE void turn(const Pair& pair, int64_t position, const From* x, float scale, To* to) {
  const float* cosines = pair.shape->rope->cos() + position * pair.half;
  const float* sines = pair.shape->rope->sin() + position * pair.half;
  each(pair.half, [&](int64_t i, auto part) {
    const V a = load(x + i, part) * scale;
    const V b = load(x + pair.half + i, part) * scale;
    const V c = load(cosines + i, part);
    const V s = load(sines + i, part);
    store(to + i, a * c - b * s, part);
    store(to + pair.half + i, b * c + a * s, part);
  });
}

template <class T>
RETORT_INLINE void turn_back(const Pair& pair, int64_t position, const float* x, float scale,
                             T* to) {
  const float* cosines = pair.shape->rope->cos() + position * pair.half;
  const float* sines = pair.shape->rope->sin() + position * pair.half;
  each(pair.half, [&](int64_t i, auto part) {
    const V a = load(x + i, part) * scale;
    const V b = load(x + pair.half + i, part) * scale;
    const V c = load(cosines + i, part);
    const V s = load(sines + i, part);
    store(to + i, a * c + b * s, part);
    store(to + pair.half + i, b * c - a * s, part);
  });
}

RETORT_INLINE void clear(float* p, int64_t count) {
  __builtin_memset(p, 0, sizeof(float) * static_cast<uint64_t>(count));
}

// `row` becomes a column of its panel.
template <class T>
RETORT_INLINE void put_column(const Pair& pair, int64_t t, const T* row, float* panels) {
  float* column = panels + t / kColumns * kColumns * pair.dim + t % kColumns;
  for (int64_t d = 0; d < pair.dim; ++d) column[d * kColumns] = value_of(row[d]);
}

RETORT_INLINE void clear_last_panel(const Pair& pair, float* panels) {
  clear(panels + (pair.length - kColumns) * pair.dim, kColumns * pair.dim);
}

// Keys, turned: as rows [T, width] and as panels.
template <class T>
static void pack_keys(const Pair& pair, const T* qkv, float* rows, float* panels) {
  const AttentionShape& shape = *pair.shape;
  const int64_t stride = row_width(shape);
  const T* keys = qkv + pair.task.first * stride + (shape.heads + pair.task.kv_head) * pair.dim;
  clear_last_panel(pair, panels);
  if (pair.width > pair.dim) clear(rows, pair.task.length * pair.width);
  for (int64_t t = 0; t < pair.task.length; ++t) {
    float* row = rows + t * pair.width;
    turn(pair, t, keys + t * stride, 1.0f, row);
    put_column(pair, t, row, panels);
  }
}

template <class T>
RETORT_INLINE const T* values_of(const Pair& pair, const T* qkv) {
  const AttentionShape& shape = *pair.shape;
  return qkv + pair.task.first * row_width(shape) +
         (shape.heads + shape.kv_heads + pair.task.kv_head) * pair.dim;
}

template <class T>
static void pack_value_rows(const Pair& pair, const T* qkv, float* rows) {
  const T* values = values_of(pair, qkv);
  const int64_t stride = row_width(*pair.shape);
  for (int64_t t = 0; t < pair.task.length; ++t) {
    float* row = rows + t * pair.width;
    each(pair.dim, [&](int64_t i, auto part) { store(row + i, load(values + i, part), part); });
    for (int64_t d = pair.dim; d < pair.width; ++d) row[d] = 0;
    values += stride;
  }
}

template <class T>
static void pack_value_panels(const Pair& pair, const T* qkv, float* panels) {
  const T* values = values_of(pair, qkv);
  const int64_t stride = row_width(*pair.shape);
  clear_last_panel(pair, panels);
  for (int64_t t = 0; t < pair.task.length; ++t) put_column(pair, t, values + t * stride, panels);
}

// C[rows, columns rounded up] = A[rows, k] B[k, ...]
RETORT_INLINE void product(int64_t rows, int64_t columns, int64_t k, Operand a, const float* b,
                           int64_t ldb, MicroC c) {
  for (int64_t j = 0; j < columns; j += kColumns) {
    micro(rows, k, a, b + j, ldb, {c.data + j, c.ld, c.accumulate});
  }
}

// The same with B in panels of k rows.
RETORT_INLINE void panel_product(int64_t rows, int64_t columns, int64_t k, Operand a,
                                 const float* panels, float* c) {
  for (int64_t j = 0; j < columns; j += kColumns) {
    micro(rows, k, a, panels + j * k, kColumns, {c + j, kScoreStride, false});
  }
}

// A block of queries of one head.
struct QueryBlock {
  int64_t head;
  int64_t begin;  // position in the document
  int64_t rows;
};

// The softmax of a row as far as its keys were seen: what it has summed is relative to exp(top).
struct SoftmaxRow {
  float sum = 0;
  float top = kMasked;
};

// `valid` more scores become exponentials, and zeros up to `end`. Where one of them is the highest
// so far, what `out` and the row have summed is made relative to it.
RETORT_INLINE void softmax_more(float* scores, int64_t valid, int64_t end, SoftmaxRow& row,
                                float* out, int64_t width) {
  const int64_t whole = rounded(valid, kLanes);
  for (int64_t j = valid; j < whole; ++j) scores[j] = kMasked;
  V highest = load(scores);
  for (int64_t j = kLanes; j < whole; j += kLanes) highest = maximum(load(scores + j), highest);
  const float top = maximum(highest);
  if (top > row.top) {
    if (row.sum > 0) {
      const float factor = __builtin_expf(row.top - top);
      row.sum *= factor;
      for (int64_t d = 0; d < width; d += kLanes) store(out + d, load(out + d) * factor);
    }
    row.top = top;
  }
  V totals = {};
  for (int64_t j = 0; j < whole; j += kLanes) {
    const V value = exp(load(scores + j) - row.top);
    totals += value;
    store(scores + j, value);
  }
  for (int64_t j = whole; j < end; ++j) scores[j] = 0;
  row.sum += sum(totals);
}

struct ForwardBuffers {
  float *key_panels, *values;
  float *queries, *outs;  // [kQueryBlock, width]
  float* scores;          // [kRows, kScoreStride]
};

// Queries [begin, begin + height) of a block against keys [first, first + kKeyBlock).
RETORT_INLINE void attend(const Pair& pair, QueryBlock panel, int64_t first,
                          const ForwardBuffers& b, SoftmaxRow* softmax) {
  const int64_t columns = smaller(kKeyBlock, panel.begin + panel.rows - first);
  panel_product(panel.rows, columns, pair.dim, {b.queries, pair.width, 1},
                b.key_panels + first * pair.dim, b.scores);
  for (int64_t r = 0; r < panel.rows; ++r) {
    float* scores = b.scores + r * kScoreStride;
    const int64_t valid = smaller(columns, panel.begin + r + 1 - first);
    if (valid > 0) {
      softmax_more(scores, valid, columns, softmax[r], b.outs + r * pair.width, pair.width);
    } else {
      clear(scores, columns);
    }
  }
  product(panel.rows, pair.width, columns, {b.scores, kScoreStride, 1},
          b.values + first * pair.width, pair.width, {b.outs, pair.width, true});
}

template <class T>
static void attention_block(const Attention<T>& args, const Pair& pair, QueryBlock block,
                            const ForwardBuffers& b) {
  const AttentionShape& shape = args.shape;
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t token = pair.task.first + block.begin + i;
    turn(pair, block.begin + i, args.qkv + token * row_width(shape) + block.head * pair.dim,
         pair.scale, b.queries + i * pair.width);
  }
  clear(b.outs, block.rows * pair.width);
  SoftmaxRow softmax[kQueryBlock];
  for (int64_t first = 0; first < block.begin + block.rows; first += kKeyBlock) {
    for (int64_t i = 0; i < block.rows; i += kRows) {
      const QueryBlock panel{block.head, block.begin + i, smaller(kRows, block.rows - i)};
      if (first >= panel.begin + panel.rows) continue;  // keys behind its queries
      ForwardBuffers rows = b;
      rows.queries += i * pair.width;
      rows.outs += i * pair.width;
      attend(pair, panel, first, rows, softmax + i);
    }
  }
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t at = (pair.task.first + block.begin + i) * shape.heads + block.head;
    const float* out = b.outs + i * pair.width;
    const float inverse = 1.0f / softmax[i].sum;
    T* to = args.out + at * pair.dim;
    each(pair.dim,
         [&](int64_t d, auto part) { store(to + d, load(out + d, part) * inverse, part); });
    args.lse[at] = softmax[i].top + __builtin_logf(softmax[i].sum);
  }
}

template <class T>
static void attention_pair(const Attention<T>& args, AttentionTask task, float* scratch) {
  const AttentionShape& shape = args.shape;
  const Pair pair = pair_of(shape, task);
  ForwardBuffers b;
  b.key_panels = scratch;
  b.values = b.key_panels + pair.dim * pair.length;  // keys while packing
  b.queries = b.values + task.length * pair.width;
  b.outs = b.queries + kQueryBlock * pair.width;
  b.scores = b.outs + kQueryBlock * pair.width;
  pack_keys(pair, args.qkv, b.values, b.key_panels);
  pack_value_rows(pair, args.qkv, b.values);
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
    for (int64_t q = 0; q < task.length; q += kQueryBlock) {
      attention_block(args, pair, {head, q, smaller(kQueryBlock, task.length - q)}, b);
    }
  }
}

// The buffers of backward in the scratch of a thread.
struct BackwardBuffers {
  float *key_panels, *value_panels, *keys, *dkeys, *dvalues;
  float *queries, *douts, *dqueries;  // [kQueryBlock, width]
  float *probs, *dscores;             // [kQueryBlock, kScoreStride]
};

static BackwardBuffers lay_out(const Pair& pair, float* scratch) {
  BackwardBuffers b;
  const int64_t matrix = rounded(pair.task.length, kLanes) * pair.width;
  b.key_panels = scratch;
  b.value_panels = b.key_panels + pair.dim * pair.length;
  b.keys = b.value_panels + pair.dim * pair.length;
  b.dkeys = b.keys + matrix;
  b.dvalues = b.dkeys + matrix;
  b.queries = b.dvalues + matrix;
  b.douts = b.queries + kQueryBlock * pair.width;
  b.dqueries = b.douts + kQueryBlock * pair.width;
  b.probs = b.dqueries + kQueryBlock * pair.width;
  b.dscores = b.probs + kQueryBlock * kScoreStride;
  return b;
}

// What the softmax of a query takes from its row: lse, and the mean that the gradients of its
// probabilities are relative to, which is dout . out.
struct RowFacts {
  float lse[kQueryBlock];
  float mean[kQueryBlock];
};

// Scores and the products dout . v become probabilities and gradients of the scores, in place;
// zeros from `valid` to `end`.
RETORT_INLINE void softmax_backward_row(float* probs, float* dscores, float lse, float mean,
                                        int64_t valid, int64_t end) {
  const int64_t whole = rounded(valid, kLanes);
  for (int64_t j = valid; j < whole; ++j) probs[j] = kMasked;
  for (int64_t j = 0; j < whole; j += kLanes) {
    const V p = exp(load(probs + j) - lse);
    store(probs + j, p);
    store(dscores + j, p * (load(dscores + j) - mean));
  }
  for (int64_t j = whole; j < end; ++j) probs[j] = dscores[j] = 0;
}

template <class T>
static RowFacts load_queries(const AttentionBackward<T>& args, const Pair& pair, QueryBlock block,
                             const BackwardBuffers& b) {
  const int64_t stride = row_width(args.shape);
  if (pair.width > pair.dim) {
    clear(b.queries, block.rows * pair.width);
    clear(b.douts, block.rows * pair.width);
  }
  RowFacts facts;
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t token = pair.task.first + block.begin + i;
    turn(pair, block.begin + i, args.qkv + token * stride + block.head * pair.dim, pair.scale,
         b.queries + i * pair.width);
    const int64_t at = token * args.shape.heads + block.head;
    const T* dout = args.dout + at * pair.dim;
    const T* out = args.out + at * pair.dim;
    float* to = b.douts + i * pair.width;
    V products = {};
    each(pair.dim, [&](int64_t d, auto part) {
      const V gradient = load(dout + d, part);
      products += gradient * load(out + d, part);
      store(to + d, gradient, part);
    });
    facts.mean[i] = sum(products);
    facts.lse[i] = args.lse[at];
  }
  return facts;
}

// A block of queries against keys [first, first + kKeyBlock): dq of the former, dk and dv of these.
RETORT_INLINE void backward_keys(const Pair& pair, QueryBlock block, int64_t first,
                                 const RowFacts& facts, const BackwardBuffers& b) {
  const int64_t width = pair.width;
  const int64_t keys = smaller(kKeyBlock, block.begin + block.rows - first);
  for (int64_t i = 0; i < block.rows; i += kRows) {
    const int64_t height = smaller(kRows, block.rows - i);
    const int64_t columns = smaller(keys, block.begin + i + height - first);
    if (columns <= 0) continue;  // keys behind these queries
    float* probs = b.probs + i * kScoreStride;
    float* dscores = b.dscores + i * kScoreStride;
    panel_product(height, columns, pair.dim, {b.queries + i * width, width, 1},
                  b.key_panels + first * pair.dim, probs);
    panel_product(height, columns, pair.dim, {b.douts + i * width, width, 1},
                  b.value_panels + first * pair.dim, dscores);
    for (int64_t r = 0; r < height; ++r) {
      const int64_t valid = smaller(columns, block.begin + i + r + 1 - first);
      softmax_backward_row(probs + r * kScoreStride, dscores + r * kScoreStride, facts.lse[i + r],
                           facts.mean[i + r], valid > 0 ? valid : 0, keys);
    }
    product(height, width, columns, {dscores, kScoreStride, 1}, b.keys + first * width, width,
            {b.dqueries + i * width, width, true});
  }
  for (int64_t j = first; j < first + keys; j += kRows) {
    const int64_t height = smaller(kRows, first + keys - j);
    const int64_t skip = j > block.begin ? j - block.begin : 0;  // queries before these keys
    const int64_t k = block.rows - skip;
    const int64_t corner = skip * kScoreStride + j - first;
    product(height, width, k, {b.dscores + corner, 1, kScoreStride}, b.queries + skip * width,
            width, {b.dkeys + j * width, width, true});
    product(height, width, k, {b.probs + corner, 1, kScoreStride}, b.douts + skip * width, width,
            {b.dvalues + j * width, width, true});
  }
}

template <class T>
static void backward_block(const AttentionBackward<T>& args, const Pair& pair, QueryBlock block,
                           const BackwardBuffers& b) {
  const RowFacts facts = load_queries(args, pair, block, b);
  clear(b.dqueries, block.rows * pair.width);
  for (int64_t first = 0; first < block.begin + block.rows; first += kKeyBlock) {
    backward_keys(pair, block, first, facts, b);
  }
  const int64_t stride = row_width(args.shape);
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t token = pair.task.first + block.begin + i;
    turn_back(pair, block.begin + i, b.dqueries + i * pair.width, pair.scale,
              args.dqkv + token * stride + block.head * pair.dim);
  }
}

template <class T>
static void attention_backward_pair(const AttentionBackward<T>& args, AttentionTask task,
                                    float* scratch) {
  const AttentionShape& shape = args.shape;
  const Pair pair = pair_of(shape, task);
  const BackwardBuffers b = lay_out(pair, scratch);
  pack_keys(pair, args.qkv, b.keys, b.key_panels);
  pack_value_panels(pair, args.qkv, b.value_panels);
  clear(b.dkeys, task.length * pair.width);
  clear(b.dvalues, task.length * pair.width);
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
    for (int64_t q = 0; q < task.length; q += kQueryBlock) {
      backward_block(args, pair, {head, q, smaller(kQueryBlock, task.length - q)}, b);
    }
  }
  const int64_t stride = row_width(shape);
  for (int64_t t = 0; t < task.length; ++t) {
    T* row = args.dqkv + (task.first + t) * stride;
    turn_back(pair, t, b.dkeys + t * pair.width, 1.0f,
              row + (shape.heads + task.kv_head) * pair.dim);
    T* to = row + (shape.heads + shape.kv_heads + task.kv_head) * pair.dim;
    const float* from = b.dvalues + t * pair.width;
    each(pair.dim, [&](int64_t d, auto part) { store(to + d, load(from + d, part), part); });
  }
}

}  // namespace retort::kernels::RETORT_ISA
