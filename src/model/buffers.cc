#include "model/buffers_internal.h"

#include <algorithm>

#include "base/parallel.h"
#include "kernels/attention.h"
#include "kernels/rmsnorm.h"

namespace retort::model {

// Few enough that logits stay in the last-level cache, many enough to keep a product busy.
int64_t head_rows_for(int64_t vocab, int64_t tokens) {
  constexpr int64_t kLogits = int64_t{4} << 20;
  return std::min(tokens, std::max<int64_t>(kLogits / vocab, 64));
}

namespace {

template <class T>
LayerBuffers<T> lay_out_layer(Arena& arena, const Config& c, int64_t tokens) {
  LayerBuffers<T> layer;
  layer.x_in = arena.take<float>(tokens * c.width);
  layer.rstd_in = arena.take<float>(tokens);
  layer.normed_in = arena.take<T>(tokens * c.width);
  layer.qkv = arena.take<T>(tokens * c.qkv_width());
  layer.attended = arena.take<T>(tokens * c.q_width());
  layer.lse = arena.take<float>(tokens * c.heads);
  layer.x_mid = arena.take<float>(tokens * c.width);
  layer.rstd_mid = arena.take<float>(tokens);
  layer.normed_mid = arena.take<T>(tokens * c.width);
  layer.gate_up = arena.take<T>(tokens * 2 * c.ffn);
  return layer;
}

}  // namespace

template <class T>
Buffers<T>::Buffers(Arena& arena, const Config& c, int64_t tokens, Use use) {
  layers.push_back(lay_out_layer<T>(arena, c, tokens));
  for (int64_t i = 1; i < c.layers; ++i) {
    layers.push_back(use == Use::training ? lay_out_layer<T>(arena, c, tokens) : layers.front());
    if (use == Use::recomputing) layers.back().x_in = arena.take<float>(tokens * c.width);
  }
  x_final = arena.take<float>(tokens * c.width);
  rstd_final = arena.take<float>(tokens);
  normed_final = arena.take<T>(tokens * c.width);
  delta = arena.take<float>(tokens * c.width);
  act = arena.take<T>(tokens * c.ffn);
  if (c.qk_norm) {
    qkv_normed = arena.take<T>(tokens * c.qkv_width());
    rstd_q = arena.take<float>(tokens * c.heads);
    rstd_k = arena.take<float>(tokens * c.kv_heads);
  }
  head_rows = head_rows_for(c.vocab, tokens);
  head_in = arena.take<T>(head_rows * c.width);
  logits = arena.take<float>(head_rows * c.vocab);
  nll = arena.take<float>(tokens);
  loss = arena.take<float>(tokens);
  divergence = arena.take<float>(tokens);
  attention_scratch_size = base::thread_count() * kernels::attention_scratch(c.head_dim, tokens);
  attention_scratch = arena.take<float>(attention_scratch_size);
  if constexpr (kRounded) weights = arena.take<T>(c.parameters());
  if (use != Use::inference) lay_out_backward(arena, c, tokens);
}

template <class T>
void Buffers<T>::lay_out_backward(Arena& arena, const Config& c, int64_t tokens) {
  dresidual = arena.take<float>(tokens * c.width);
  dnormed = arena.take<float>(tokens * c.width);
  dact = arena.take<T>(tokens * c.ffn);
  dattended = arena.take<T>(tokens * c.q_width());
  dqkv = arena.take<T>(tokens * c.qkv_width());
  norm_scratch = arena.take<float>(kernels::rmsnorm_scratch(tokens, std::max(c.width, c.head_dim)));
  dhead_in = arena.take<float>(head_rows * c.width);
  if constexpr (kRounded) {
    dresidual_t = arena.take<T>(tokens * c.width);
    dlogits = arena.take<T>(head_rows * c.vocab);
  } else {
    dresidual_t = dresidual;
    dlogits = logits;
  }
}

template struct Buffers<float>;
template struct Buffers<kernels::Bf16>;

}  // namespace retort::model
