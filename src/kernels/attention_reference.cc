#include <cmath>
#include <vector>

#include "kernels/attention.h"

namespace retort::kernels {
namespace {

using Row = std::vector<double>;

// A head of one token, turned by its position (direction 1) or turned back (-1).
Row turned(const AttentionShape& shape, const double* x, int64_t position, double direction) {
  const int64_t half = shape.head_dim / 2;
  Row y(static_cast<size_t>(shape.head_dim));
  for (int64_t i = 0; i < half; ++i) {
    const double c = shape.rope->cos()[position * half + i];
    const double s = direction * shape.rope->sin()[position * half + i];
    y[i] = x[i] * c - x[half + i] * s;
    y[half + i] = x[half + i] * c + x[i] * s;
  }
  return y;
}

Row head_of(const AttentionShape& shape, const float* qkv, int64_t token, int64_t head) {
  const float* from = qkv + token * shape.row() + head * shape.head_dim;
  return Row(from, from + shape.head_dim);
}

double dot(const Row& a, const Row& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

// f(first token, tokens before and including i, i, head) for every query.
template <class F>
void each_query(const AttentionShape& shape, F f) {
  for (size_t d = 0; d + 1 < shape.doc_starts.size(); ++d) {
    for (int64_t i = shape.doc_starts[d]; i < shape.doc_starts[d + 1]; ++i) {
      for (int64_t head = 0; head < shape.heads; ++head) f(shape.doc_starts[d], i, head);
    }
  }
}

struct Scores {
  Row probs;
  double lse;
};

Scores scores_of(const AttentionShape& shape, const float* qkv, int64_t first, int64_t i,
                 int64_t head) {
  const int64_t key_head = shape.heads + head / (shape.heads / shape.kv_heads);
  const Row q = turned(shape, head_of(shape, qkv, i, head).data(), i - first, 1);
  Scores scores;
  double top = -INFINITY;
  for (int64_t j = first; j <= i; ++j) {
    const Row k = turned(shape, head_of(shape, qkv, j, key_head).data(), j - first, 1);
    scores.probs.push_back(dot(q, k) / std::sqrt(static_cast<double>(shape.head_dim)));
    top = std::max(top, scores.probs.back());
  }
  double total = 0;
  for (double& p : scores.probs) total += (p = std::exp(p - top));
  for (double& p : scores.probs) p /= total;
  scores.lse = top + std::log(total);
  return scores;
}

}  // namespace

void attention_reference(const Attention<float>& args) {
  const AttentionShape& shape = args.shape;
  each_query(shape, [&](int64_t first, int64_t i, int64_t head) {
    const int64_t kv_head = head / (shape.heads / shape.kv_heads);
    const Scores scores = scores_of(shape, args.qkv, first, i, head);
    args.lse[i * shape.heads + head] = static_cast<float>(scores.lse);
    for (int64_t d = 0; d < shape.head_dim; ++d) {
      double total = 0;
      for (int64_t j = first; j <= i; ++j) {
        const int64_t at = j * shape.row() + shape.q_width() + shape.kv_width();
        total += scores.probs[j - first] * args.qkv[at + kv_head * shape.head_dim + d];
      }
      args.out[(i * shape.heads + head) * shape.head_dim + d] = static_cast<float>(total);
    }
  });
}

void attention_backward_reference(const AttentionBackward<float>& args) {
  const AttentionShape& shape = args.shape;
  const int64_t dim = shape.head_dim;
  // Gradients of turned heads, in double; turned back at the end.
  Row dqkv(static_cast<size_t>(shape.tokens() * shape.row()), 0.0);
  each_query(shape, [&](int64_t first, int64_t i, int64_t head) {
    const int64_t key_head = shape.heads + head / (shape.heads / shape.kv_heads);
    const int64_t value_head = key_head + shape.kv_heads;
    const Scores scores = scores_of(shape, args.qkv, first, i, head);
    const float* from = args.dout + (i * shape.heads + head) * dim;
    const Row dout(from, from + dim);
    Row dprobs;
    for (int64_t j = first; j <= i; ++j) {
      dprobs.push_back(dot(dout, head_of(shape, args.qkv, j, value_head)));
    }
    const double mean = dot(scores.probs, dprobs);
    const Row q = turned(shape, head_of(shape, args.qkv, i, head).data(), i - first, 1);
    for (int64_t j = first; j <= i; ++j) {
      const double p = scores.probs[j - first];
      const double ds = p * (dprobs[j - first] - mean) / std::sqrt(static_cast<double>(dim));
      const Row k = turned(shape, head_of(shape, args.qkv, j, key_head).data(), j - first, 1);
      for (int64_t d = 0; d < dim; ++d) {
        dqkv[i * shape.row() + head * dim + d] += ds * k[d];
        dqkv[j * shape.row() + key_head * dim + d] += ds * q[d];
        dqkv[j * shape.row() + value_head * dim + d] += p * dout[d];
      }
    }
  });
  for (size_t document = 0; document + 1 < shape.doc_starts.size(); ++document) {
    const int64_t first = shape.doc_starts[document];
    for (int64_t i = first; i < shape.doc_starts[document + 1]; ++i) {
      for (int64_t head = 0; head < shape.heads + 2 * shape.kv_heads; ++head) {
        const int64_t at = i * shape.row() + head * dim;
        const bool is_value = head >= shape.heads + shape.kv_heads;
        const Row row = is_value ? Row(dqkv.begin() + at, dqkv.begin() + at + dim)
                                 : turned(shape, dqkv.data() + at, i - first, -1);
        for (int64_t d = 0; d < dim; ++d) args.dqkv[at + d] = static_cast<float>(row[d]);
      }
    }
  }
}

}  // namespace retort::kernels
