// Causal grouped-query attention over packed documents, which never see each other; q and k are
// turned by their position in the document (rope.h) as they are loaded.
//   out_i = sum_j<=i softmax_j(q_i . k_j / sqrt(D)) v_j       within a document
// A row of `qkv` holds H query heads, then KV key heads, then KV value heads, each of D elements;
// query head h reads key and value head h / (H / KV).
// Threads share the (document, kv head) pairs; each result is made by one of them, so their number
// does not change the bits. Of bf16 the products are of bf16 too where the processor multiplies it:
// turned queries and keys, probabilities and gradients of scores are rounded on the way. Scores are
// held for a block of queries by a block of keys, never [T, T] (Dao 2023, "FlashAttention-2"); by
// bf16 products for whole rows of a few queries (as in Dao et al. 2022).
#pragma once
#include <cstdint>
#include <span>

#include "kernels/convert.h"
#include "kernels/rope.h"

namespace retort::kernels {

struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  std::span<const int32_t> doc_starts;  // first token of each document, and N at the end
  const RopeTable* rope = nullptr;      // covers the longest document

  int64_t q_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  int64_t row() const { return q_width() + 2 * kv_width(); }
  int64_t tokens() const { return doc_starts.empty() ? 0 : doc_starts.back(); }
};

template <class T>
struct Attention {
  AttentionShape shape;
  const T* qkv = nullptr;    // [N, row()]
  T* out = nullptr;          // [N, H * D]
  float* lse = nullptr;      // [N, H]: log of the summed exponentials, kept for backward
  std::span<float> scratch;  // attention_scratch() floats a thread
};

template <class T>
struct AttentionBackward {
  AttentionShape shape;
  const T* qkv = nullptr;
  const T* out = nullptr;  // what forward gave, as lse
  const float* lse = nullptr;
  const T* dout = nullptr;  // [N, H * D]
  T* dqkv = nullptr;        // [N, row()], written
  std::span<float> scratch;
};

// Floats one thread needs for documents of up to `longest` tokens. As many threads work as fit.
int64_t attention_scratch(int64_t head_dim, int64_t longest);

void attention(const Attention<float>& args);
void attention(const Attention<Bf16>& args);
void attention_backward(const AttentionBackward<float>& args);
void attention_backward(const AttentionBackward<Bf16>& args);

void attention_reference(const Attention<float>& args);
void attention_backward_reference(const AttentionBackward<float>& args);

}  // namespace retort::kernels
