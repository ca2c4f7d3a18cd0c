#include <algorithm>
#include <cstring>

#include "kernels/convert.h"
#include "kernels/embedding.h"
#include "kernels/heads.h"
#include "kernels/rmsnorm.h"
#include "kernels/swiglu.h"
#include "model/pass_internal.h"

namespace retort::model {

using kernels::Bf16;
using kernels::Product;

Offsets offsets_of(const Config& config) {
  const std::vector<TensorInfo> list = tensor_list(config);
  Offsets offsets;
  size_t at = 0;
  // The offset of the next tensor, of which so many stand side by side.
  const auto next = [&](size_t count) {
    at += count;
    return list[at - count].offset;
  };
  offsets.embedding = next(1);
  for (int64_t i = 0; i < config.layers; ++i) {
    LayerOffsets layer{};
    layer.norm_in = next(1);
    layer.qkv = next(3);
    if (config.qkv_bias) layer.qkv_bias = next(3);
    if (config.qk_norm) {
      layer.q_norm = next(1);
      layer.k_norm = next(1);
    }
    layer.out = next(1);
    layer.norm_mid = next(1);
    layer.gate_up = next(2);
    layer.down = next(1);
    offsets.layers.push_back(layer);
  }
  offsets.final_norm = next(1);
  offsets.head = config.tied_embeddings ? offsets.embedding : next(1);
  return offsets;
}

template <class T>
Pass<T>::Pass(const Weights& weights, int64_t max_tokens)
    : weights_(weights),
      config_(weights.config()),
      offsets_(offsets_of(config_)),
      rope_(max_tokens, config_.head_dim, config_.rope_theta, config_.rope_divisors),
      memory_([&] {
        Arena counting(nullptr);
        Buffers<T>(counting, config_, max_tokens);
        return counting.bytes();
      }()),
      arena_(memory_.data()),
      buffers_(arena_, config_, max_tokens) {
  counted_.reserve(static_cast<size_t>(max_tokens));
  targets_.reserve(static_cast<size_t>(max_tokens));
  refresh();
}

template <class T>
int64_t Pass<T>::memory_bytes(const Config& config, int64_t max_tokens) {
  Arena counting(nullptr);
  Buffers<T>(counting, config, max_tokens);
  return counting.bytes() + kernels::RopeTable::memory_bytes(max_tokens, config.head_dim) +
         2 * max_tokens * static_cast<int64_t>(sizeof(int32_t));
}

template <class T>
void Pass<T>::refresh() {
  if constexpr (Buffers<T>::kRounded) {
    const std::span<const float> block = weights_.block();
    kernels::to_bf16(block.data(), buffers_.weights, static_cast<int64_t>(block.size()));
  }
}

template <class T>
const T* Pass<T>::matrix(int64_t offset) const {
  if constexpr (Buffers<T>::kRounded)
    return buffers_.weights + offset;
  else
    return weights_.block().data() + offset;
}

template <class T>
kernels::AttentionShape Pass<T>::attention_shape() const {
  return {config_.heads, config_.kv_heads, config_.head_dim, doc_starts_, &rope_};
}

template <class T>
std::span<float> Pass<T>::attention_scratch() const {
  return {buffers_.attention_scratch, static_cast<size_t>(buffers_.attention_scratch_size)};
}

template <class T>
void Pass<T>::linear(const T* x, int64_t out, int64_t in, int64_t offset, float* y) {
  kernels::matmul({.product = Product::nt, .m = tokens_, .n = out, .k = in}, x, matrix(offset), y);
}

template <class T>
void Pass<T>::linear_backward(const Linear& l, float* gradients) {
  kernels::matmul({.product = Product::nn, .m = tokens_, .n = l.in, .k = l.out}, l.dy,
                  matrix(l.offset), l.dx);
  kernels::matmul({.product = Product::tn, .m = l.out, .n = l.in, .k = tokens_, .accumulate = true},
                  l.dy, l.x, gradients + l.offset);
}

template <class T>
void Pass<T>::forward(const Batch& batch) {
  tokens_ = static_cast<int64_t>(batch.tokens.size());
  doc_starts_ = batch.doc_starts;
  Buffers<T>& b = buffers_;
  kernels::embedding(batch.tokens, config_.width, vector(offsets_.embedding), b.layers[0].x_in);
  for (int64_t i = 0; i < config_.layers; ++i) {
    forward_block(i, i == 0 ? nullptr : b.layers[i - 1].x_mid);
  }
  kernels::rmsnorm(kernels::Rmsnorm<T>{.rows = tokens_,
                                       .width = config_.width,
                                       .eps = static_cast<float>(config_.norm_eps),
                                       .x = b.layers.back().x_mid,
                                       .delta = b.delta,
                                       .weight = vector(offsets_.final_norm),
                                       .sum = b.x_final,
                                       .y = b.normed_final,
                                       .rstd = b.rstd_final});
  if (observer_) show_end();
}

// `x` and delta, the two halves of the block before, become x_in; null for the first block, whose
// x_in the embedding wrote.
template <class T>
void Pass<T>::forward_block(int64_t index, const float* x) {
  Buffers<T>& b = buffers_;
  const LayerBuffers<T>& l = b.layers[index];
  const LayerOffsets& at = offsets_.layers[index];
  const Config& c = config_;
  const auto eps = static_cast<float>(c.norm_eps);
  kernels::rmsnorm(kernels::Rmsnorm<T>{.rows = tokens_,
                                       .width = c.width,
                                       .eps = eps,
                                       .x = x == nullptr ? l.x_in : x,
                                       .delta = x == nullptr ? nullptr : b.delta,
                                       .weight = vector(at.norm_in),
                                       .sum = l.x_in,
                                       .y = l.normed_in,
                                       .rstd = l.rstd_in});
  linear(l.normed_in, c.qkv_width(), c.width, at.qkv, l.qkv);
  if (c.qkv_bias) kernels::add_bias(tokens_, c.qkv_width(), vector(at.qkv_bias), l.qkv);
  kernels::attention(kernels::Attention<T>{.shape = attention_shape(),
                                           .qkv = ready_qkv(index),
                                           .out = l.attended,
                                           .lse = l.lse,
                                           .scratch = attention_scratch()});
  linear(l.attended, c.width, c.q_width(), at.out, b.delta);
  kernels::rmsnorm(kernels::Rmsnorm<T>{.rows = tokens_,
                                       .width = c.width,
                                       .eps = eps,
                                       .x = l.x_in,
                                       .delta = b.delta,
                                       .weight = vector(at.norm_mid),
                                       .sum = l.x_mid,
                                       .y = l.normed_mid,
                                       .rstd = l.rstd_mid});
  linear(l.normed_mid, 2 * c.ffn, c.width, at.gate_up, l.gate_up);
  kernels::swiglu(
      kernels::Swiglu<T>{.rows = tokens_, .inner = c.ffn, .gate_up = l.gate_up, .act = b.act});
  linear(b.act, c.width, c.ffn, at.down, b.delta);
  if (observer_) show_block(index);
}

template <class T>
const float* Pass<T>::ready_qkv(int64_t index) {
  Buffers<T>& b = buffers_;
  const float* qkv = b.layers[index].qkv;
  if (!config_.qk_norm) return qkv;
  const LayerOffsets& at = offsets_.layers[index];
  const int64_t row = config_.qkv_width(), q_width = config_.q_width();
  const auto eps = static_cast<float>(config_.norm_eps);
  std::memcpy(b.qkv_normed, qkv, static_cast<size_t>(tokens_ * row) * sizeof(float));
  kernels::head_norm({tokens_, row, config_.heads, config_.head_dim, eps, qkv, vector(at.q_norm),
                      b.qkv_normed, b.rstd_q});
  kernels::head_norm({tokens_, row, config_.kv_heads, config_.head_dim, eps, qkv + q_width,
                      vector(at.k_norm), b.qkv_normed + q_width, b.rstd_k});
  return b.qkv_normed;
}

// From the gradient of what attention read to that of the product, in dqkv.
template <class T>
void Pass<T>::ready_qkv_backward(int64_t index, float* gradients) {
  Buffers<T>& b = buffers_;
  const LayerOffsets& at = offsets_.layers[index];
  const int64_t row = config_.qkv_width(), q_width = config_.q_width();
  if (config_.qk_norm) {
    const float* qkv = b.layers[index].qkv;
    kernels::head_norm_backward(kernels::HeadNormBackward<T>{
        tokens_, row, config_.heads, config_.head_dim, qkv, vector(at.q_norm), b.rstd_q, b.dqkv,
        gradients + at.q_norm, b.norm_scratch});
    kernels::head_norm_backward(kernels::HeadNormBackward<T>{
        tokens_, row, config_.kv_heads, config_.head_dim, qkv + q_width, vector(at.k_norm),
        b.rstd_k, b.dqkv + q_width, gradients + at.k_norm, b.norm_scratch});
  }
  if (config_.qkv_bias) kernels::bias_backward(tokens_, row, b.dqkv, gradients + at.qkv_bias);
}

// After head(), which left the gradient of the last norm's output in dnormed.
template <class T>
void Pass<T>::backward(const Batch& batch, float* gradients) {
  Buffers<T>& b = buffers_;
  std::fill_n(b.dresidual, tokens_ * config_.width, 0.0f);
  kernels::rmsnorm_backward(
      kernels::RmsnormBackward<T>{.rows = tokens_,
                                  .width = config_.width,
                                  .x = b.x_final,
                                  .weight = vector(offsets_.final_norm),
                                  .rstd = b.rstd_final,
                                  .dy = b.dnormed,
                                  .dx = b.dresidual,
                                  .dx_copy = Buffers<T>::kRounded ? b.dresidual_t : nullptr,
                                  .dweight = gradients + offsets_.final_norm,
                                  .scratch = b.norm_scratch});
  for (int64_t i = config_.layers - 1; i >= 0; --i) backward_block(i, gradients);
  kernels::embedding_backward(batch.tokens, config_.width, b.dresidual,
                              gradients + offsets_.embedding);
}

template <class T>
void Pass<T>::backward_block(int64_t index, float* gradients) {
  Buffers<T>& b = buffers_;
  const LayerBuffers<T>& l = b.layers[index];
  const LayerOffsets& at = offsets_.layers[index];
  const Config& c = config_;
  T* dx_copy = nullptr;
  T* dgate_up = nullptr;
  if constexpr (Buffers<T>::kRounded) {
    dx_copy = b.dresidual_t;
    dgate_up = b.dgate_up;
  } else {
    dgate_up = l.gate_up;
  }
  kernels::matmul({.product = Product::nn, .m = tokens_, .n = c.ffn, .k = c.width}, b.dresidual_t,
                  matrix(at.down), b.dact);
  kernels::swiglu_backward(kernels::SwigluBackward<T>{.rows = tokens_,
                                                      .inner = c.ffn,
                                                      .gate_up = l.gate_up,
                                                      .dact = b.dact,
                                                      .dgate_up = dgate_up,
                                                      .act = b.act});
  kernels::matmul(
      {.product = Product::tn, .m = c.width, .n = c.ffn, .k = tokens_, .accumulate = true},
      b.dresidual_t, b.act, gradients + at.down);
  linear_backward({2 * c.ffn, c.width, at.gate_up, l.normed_mid, dgate_up, b.dnormed}, gradients);
  kernels::rmsnorm_backward(kernels::RmsnormBackward<T>{.rows = tokens_,
                                                        .width = c.width,
                                                        .x = l.x_mid,
                                                        .weight = vector(at.norm_mid),
                                                        .rstd = l.rstd_mid,
                                                        .dy = b.dnormed,
                                                        .dx = b.dresidual,
                                                        .dx_copy = dx_copy,
                                                        .dweight = gradients + at.norm_mid,
                                                        .scratch = b.norm_scratch});
  linear_backward({c.width, c.q_width(), at.out, l.attended, b.dresidual_t, b.dattended},
                  gradients);
  kernels::attention_backward(kernels::AttentionBackward<T>{.shape = attention_shape(),
                                                            .qkv = ready_qkv(index),
                                                            .lse = l.lse,
                                                            .dout = b.dattended,
                                                            .dqkv = b.dqkv,
                                                            .scratch = attention_scratch()});
  ready_qkv_backward(index, gradients);
  linear_backward({c.qkv_width(), c.width, at.qkv, l.normed_in, b.dqkv, b.dnormed}, gradients);
  kernels::rmsnorm_backward(kernels::RmsnormBackward<T>{.rows = tokens_,
                                                        .width = c.width,
                                                        .x = l.x_in,
                                                        .weight = vector(at.norm_in),
                                                        .rstd = l.rstd_in,
                                                        .dy = b.dnormed,
                                                        .dx = b.dresidual,
                                                        .dx_copy = dx_copy,
                                                        .dweight = gradients + at.norm_in,
                                                        .scratch = b.norm_scratch});
}

template class Pass<float>;
template class Pass<Bf16>;

}  // namespace retort::model
