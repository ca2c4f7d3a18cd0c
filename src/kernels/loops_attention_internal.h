// Attention of one (document, kv head) pair as small matrix products on packed copies of its keys
// and values. Rows of scores live only for a panel of queries (forward) or a block (backward).
#pragma once
#include "kernels/loops_matmul_internal.h"

namespace retort::kernels::RETORT_ISA {

RETORT_INLINE int64_t rounded(int64_t n, int64_t step) {
  return (n + step - 1) / step * step;
}

constexpr float kMasked = -1e30f;  // exp() of it is exactly 0

// What one pair works with; row strides are `width` ([T, D] matrices) and `length` ([D, T] ones).
struct Pair {
  const AttentionShape* shape;
  AttentionTask task;
  int64_t dim;  // D
  int64_t half;
  int64_t width;   // D rounded up to whole column panels
  int64_t length;  // T likewise
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

// Keys, turned: [T, width] when `rows` is given, and [D, length] with zeros behind the last token.
template <class T>
static void pack_keys(const Pair& pair, const T* qkv, float* rows, float* columns) {
  const AttentionShape& shape = *pair.shape;
  const int64_t stride = row_width(shape);
  const T* keys = qkv + pair.task.first * stride + (shape.heads + pair.task.kv_head) * pair.dim;
  clear(columns, pair.dim * pair.length);
  if (pair.width > pair.dim) clear(rows, pair.task.length * pair.width);
  for (int64_t t = 0; t < pair.task.length; ++t) {
    float* row = rows + t * pair.width;
    turn(pair, t, keys + t * stride, 1.0f, row);
    for (int64_t d = 0; d < pair.dim; ++d) columns[d * pair.length + t] = row[d];
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
static void pack_value_columns(const Pair& pair, const T* qkv, float* columns) {
  const T* values = values_of(pair, qkv);
  const int64_t stride = row_width(*pair.shape);
  clear(columns, pair.dim * pair.length);
  for (int64_t t = 0; t < pair.task.length; ++t, values += stride) {
    for (int64_t d = 0; d < pair.dim; ++d) columns[d * pair.length + t] = value_of(values[d]);
  }
}

// C[rows, columns rounded up] = A[rows, k] B[k, ...]
RETORT_INLINE void product(int64_t rows, int64_t columns, int64_t k, Operand a, const float* b,
                           int64_t ldb, MicroC c) {
  for (int64_t j = 0; j < columns; j += kColumns) {
    micro(rows, k, a, b + j, ldb, {c.data + j, c.ld, c.accumulate});
  }
}

// Scores to exponentials of the first `valid`, zeros up to `end`; returns their sum and maximum.
struct SoftmaxRow {
  float sum;
  float top;
};
RETORT_INLINE SoftmaxRow softmax_row(float* scores, int64_t valid, int64_t end) {
  const int64_t whole = rounded(valid, kLanes);
  for (int64_t j = valid; j < whole; ++j) scores[j] = kMasked;
  V highest = load(scores);
  for (int64_t j = kLanes; j < whole; j += kLanes) highest = maximum(load(scores + j), highest);
  const float top = maximum(highest);
  V totals = {};
  for (int64_t j = 0; j < whole; j += kLanes) {
    const V value = exp(load(scores + j) - top);
    totals += value;
    store(scores + j, value);
  }
  for (int64_t j = whole; j < end; ++j) scores[j] = 0;
  return {sum(totals), top};
}

template <class T>
static void attention_pair(const Attention<T>& args, AttentionTask task, float* scratch) {
  const AttentionShape& shape = args.shape;
  const Pair pair = pair_of(shape, task);
  float* key_columns = scratch;
  float* rows = key_columns + pair.dim * pair.length;  // keys while packing, then values
  float* queries = rows + task.length * pair.width;
  float* scores = queries + kRows * pair.width;
  float* outs = scores + kRows * pair.length;
  pack_keys(pair, args.qkv, rows, key_columns);
  pack_value_rows(pair, args.qkv, rows);
  const int64_t group = shape.heads / shape.kv_heads;
  const int64_t stride = row_width(shape);
  for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
    for (int64_t q = 0; q < task.length; q += kRows) {
      const int64_t height = smaller(kRows, task.length - q);
      const int64_t end = q + height;
      for (int64_t i = 0; i < height; ++i) {
        const T* from = args.qkv + (task.first + q + i) * stride + head * pair.dim;
        turn(pair, q + i, from, pair.scale, queries + i * pair.width);
      }
      product(height, end, pair.dim, {queries, pair.width, 1}, key_columns, pair.length,
              {scores, pair.length, false});
      SoftmaxRow softmax[kRows];
      for (int64_t i = 0; i < height; ++i) {
        softmax[i] = softmax_row(scores + i * pair.length, q + i + 1, end);
      }
      product(height, pair.width, end, {scores, pair.length, 1}, rows, pair.width,
              {outs, pair.width, false});
      for (int64_t i = 0; i < height; ++i) {
        const int64_t token = task.first + q + i;
        T* to = args.out + (token * shape.heads + head) * pair.dim;
        const float* out = outs + i * pair.width;
        const float inverse = 1.0f / softmax[i].sum;
        each(pair.dim,
             [&](int64_t d, auto part) { store(to + d, load(out + d, part) * inverse, part); });
        args.lse[token * shape.heads + head] = softmax[i].top + __builtin_logf(softmax[i].sum);
      }
    }
  }
}

// The buffers of backward in the scratch of a thread.
struct BackwardBuffers {
  float *key_columns, *value_columns, *keys, *dkeys, *dvalues;
  float *queries, *douts, *dqueries;  // [kQueryBlock, width]
  float *probs, *dscores;             // [kQueryBlock, length]
};

static BackwardBuffers lay_out(const Pair& pair, float* scratch) {
  BackwardBuffers b;
  const int64_t matrix = rounded(pair.task.length, kLanes) * pair.width;
  b.key_columns = scratch;
  b.value_columns = b.key_columns + pair.dim * pair.length;
  b.keys = b.value_columns + pair.dim * pair.length;
  b.dkeys = b.keys + matrix;
  b.dvalues = b.dkeys + matrix;
  b.queries = b.dvalues + matrix;
  b.douts = b.queries + kQueryBlock * pair.width;
  b.dqueries = b.douts + kQueryBlock * pair.width;
  b.probs = b.dqueries + kQueryBlock * pair.width;
  b.dscores = b.probs + kQueryBlock * pair.length;
  return b;
}

// Scores and the products dout . v become probabilities and gradients of the scores, in place.
RETORT_INLINE void softmax_backward_row(float* probs, float* dscores, float lse, int64_t valid,
                                        int64_t end) {
  const int64_t whole = rounded(valid, kLanes);
  for (int64_t j = valid; j < whole; ++j) probs[j] = kMasked;
  V dots = {};
  for (int64_t j = 0; j < whole; j += kLanes) {
    const V p = exp(load(probs + j) - lse);
    dots += p * load(dscores + j);
    store(probs + j, p);
  }
  const float dot = sum(dots);
  for (int64_t j = 0; j < whole; j += kLanes) {
    store(dscores + j, load(probs + j) * (load(dscores + j) - dot));
  }
  for (int64_t j = whole; j < end; ++j) probs[j] = dscores[j] = 0;
}

struct QueryBlock {
  int64_t head;
  int64_t begin;  // position in the document
  int64_t rows;
};

template <class T>
static void load_queries(const AttentionBackward<T>& args, const Pair& pair, QueryBlock block,
                         const BackwardBuffers& b) {
  const int64_t stride = row_width(args.shape);
  if (pair.width > pair.dim) {
    clear(b.queries, block.rows * pair.width);
    clear(b.douts, block.rows * pair.width);
  }
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t token = pair.task.first + block.begin + i;
    turn(pair, block.begin + i, args.qkv + token * stride + block.head * pair.dim, pair.scale,
         b.queries + i * pair.width);
    const T* from = args.dout + (token * args.shape.heads + block.head) * pair.dim;
    float* to = b.douts + i * pair.width;
    each(pair.dim, [&](int64_t d, auto part) { store(to + d, load(from + d, part), part); });
  }
}

template <class T>
static void backward_block(const AttentionBackward<T>& args, const Pair& pair, QueryBlock block,
                           const BackwardBuffers& b) {
  const int64_t length = pair.length;
  const int64_t width = pair.width;
  const int64_t end = block.begin + block.rows;
  load_queries(args, pair, block, b);
  for (int64_t i = 0; i < block.rows; i += kRows) {
    const int64_t height = smaller(kRows, block.rows - i);
    const int64_t seen = block.begin + i + height;
    float* probs = b.probs + i * length;
    float* dscores = b.dscores + i * length;
    product(height, seen, pair.dim, {b.queries + i * width, width, 1}, b.key_columns, length,
            {probs, length, false});
    product(height, seen, pair.dim, {b.douts + i * width, width, 1}, b.value_columns, length,
            {dscores, length, false});
    for (int64_t r = 0; r < height; ++r) {
      const int64_t position = block.begin + i + r;
      const float lse = args.lse[(pair.task.first + position) * args.shape.heads + block.head];
      softmax_backward_row(probs + r * length, dscores + r * length, lse, position + 1, end);
    }
    product(height, width, seen, {dscores, length, 1}, b.keys, width,
            {b.dqueries + i * width, width, false});
  }
  for (int64_t j = 0; j < end; j += kRows) {
    const int64_t height = smaller(kRows, end - j);
    const int64_t skip = j > block.begin ? j - block.begin : 0;  // queries before these keys
    const int64_t k = block.rows - skip;
    const int64_t corner = skip * length + j;
    product(height, width, k, {b.dscores + corner, 1, length}, b.queries + skip * width, width,
            {b.dkeys + j * width, width, true});
    product(height, width, k, {b.probs + corner, 1, length}, b.douts + skip * width, width,
            {b.dvalues + j * width, width, true});
  }
  const int64_t stride = row_width(args.shape);
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t token = pair.task.first + block.begin + i;
    turn_back(pair, block.begin + i, b.dqueries + i * width, pair.scale,
              args.dqkv + token * stride + block.head * pair.dim);
  }
}

template <class T>
static void attention_backward_pair(const AttentionBackward<T>& args, AttentionTask task,
                                    float* scratch) {
  const AttentionShape& shape = args.shape;
  const Pair pair = pair_of(shape, task);
  const BackwardBuffers b = lay_out(pair, scratch);
  pack_keys(pair, args.qkv, b.keys, b.key_columns);
  pack_value_columns(pair, args.qkv, b.value_columns);
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
