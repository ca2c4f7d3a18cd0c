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

namespace {

// The network's memory: its own buffers, then the adapter's.
template <class T>
void lay_out(Arena& arena, const Config& config, int64_t tokens, const LoraConfig* lora, Use use) {
  Buffers<T>(arena, config, tokens, use);
  if (lora != nullptr) AdapterBuffers<T>(arena, config, *lora, tokens);
}

}  // namespace

template <class T>
Pass<T>::Pass(const Weights& weights, int64_t max_tokens, const Adapter* adapter, Use use)
    : weights_(weights),
      config_(weights.config()),
      max_tokens_(max_tokens),
      use_(use),
      offsets_(offsets_of(config_)),
      rope_(max_tokens, config_.head_dim, config_.rope_theta, config_.rope_divisors),
      memory_([&] {
        Arena counting(nullptr);
        lay_out<T>(counting, config_, max_tokens, adapter == nullptr ? nullptr : &adapter->lora(),
                   use);
        return counting.bytes();
      }()),
      arena_(memory_.data()),
      buffers_(arena_, config_, max_tokens, use) {
  if (adapter != nullptr) adapter_.emplace(arena_, *adapter, max_tokens);
  counted_.reserve(static_cast<size_t>(max_tokens));
  targets_.reserve(static_cast<size_t>(max_tokens));
  round_weights();
  find_matrices();
  form_matrices();
}

template <class T>
int64_t Pass<T>::memory_bytes(const Config& config, int64_t max_tokens, const LoraConfig* lora,
                              Use use) {
  Arena counting(nullptr);
  lay_out<T>(counting, config, max_tokens, lora, use);
  return counting.bytes() + kernels::RopeTable::memory_bytes(max_tokens, config.head_dim) +
         2 * max_tokens * static_cast<int64_t>(sizeof(int32_t));
}

template <class T>
void Pass<T>::refresh() {
  if (adapter_) return form_matrices();
  round_weights();
}

template <class T>
void Pass<T>::round_weights() {
  if constexpr (Buffers<T>::kRounded) {
    const std::span<const float> block = weights_.block();
    kernels::to_bf16(block.data(), buffers_.weights, static_cast<int64_t>(block.size()));
  }
}

template <class T>
void Pass<T>::find_matrices() {
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    const LayerOffsets& offsets = offsets_.layers[layer];
    auto& found = matrices_.emplace_back();
    for (const Fused fused : kAllFused) {
      const int64_t each[] = {offsets.qkv, offsets.out, offsets.gate_up, offsets.down};
      Matrix& m = found[fused];
      m = {{layer, fused}, shape_of(config_, fused), each[fused], matrix(each[fused])};
      if (!adapter_ || adapter_->targets(m.place).columns == 0) continue;
      if (lowest_ < 0) lowest_ = m.offset;
      if constexpr (!Buffers<T>::kRounded) m.weights = adapter_->whole(m.place);
    }
  }
}

template <class T>
void Pass<T>::form_matrices() {
  if (!adapter_) return;
  for (const auto& layer : matrices_) {
    for (const Matrix& m : layer) {
      if (adapter_->targets(m.place).columns == 0) continue;
      T* rounded = nullptr;
      if constexpr (Buffers<T>::kRounded) rounded = buffers_.weights + m.offset;
      adapter_->form(m.place, vector(m.offset), rounded);
    }
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
template <class To>
void Pass<T>::linear(const Matrix& m, const T* x, To* y) {
  kernels::matmul({.product = Product::nt, .m = tokens_, .n = m.shape.out, .k = m.shape.in}, x,
                  m.weights, y);
}

template <class T>
template <class To>
void Pass<T>::input_gradient(const Matrix& m, const T* dy, To* dx) {
  kernels::matmul({.product = Product::nn, .m = tokens_, .n = m.shape.in, .k = m.shape.out}, dy,
                  m.weights, dx);
}

template <class T>
void Pass<T>::weight_gradient(const Matrix& m, const T* x, const T* dy, float* gradients) {
  if (adapter_) {
    if (adapter_->targets(m.place).columns == 0) return;
    return adapter_->backward(m.place, tokens_, x, dy, gradients);
  }
  const auto [out, in] = m.shape;
  kernels::matmul({.product = Product::tn, .m = out, .n = in, .k = tokens_, .accumulate = true}, dy,
                  x, gradients + m.offset);
}

template <class T>
void Pass<T>::forward(const Batch& batch) {
  tokens_ = static_cast<int64_t>(batch.tokens.size());
  doc_starts_ = batch.doc_starts;
  Buffers<T>& b = buffers_;
  start_dropout(batch);
  float* const first = b.layers[0].x_in;
  kernels::embedding(batch.tokens, config_.width, vector(offsets_.embedding), first);
  if (drops()) drop(0, kEmbedding, first, first);
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
  activate_block(index, x);
  Buffers<T>& b = buffers_;
  kernels::swiglu(kernels::Swiglu<T>{
      .rows = tokens_, .inner = config_.ffn, .gate_up = b.layers[index].gate_up, .act = b.act});
  linear(at(index, kDown), b.act, b.delta);
  drop_delta(index, kInner);
  if (observer_) show_block(index);
}

template <class T>
void Pass<T>::activate_block(int64_t index, const float* x) {
  Buffers<T>& b = buffers_;
  const LayerBuffers<T>& l = b.layers[index];
  const LayerOffsets& offsets = offsets_.layers[index];
  const Config& c = config_;
  const auto eps = static_cast<float>(c.norm_eps);
  kernels::rmsnorm(kernels::Rmsnorm<T>{.rows = tokens_,
                                       .width = c.width,
                                       .eps = eps,
                                       .x = x == nullptr ? l.x_in : x,
                                       .delta = x == nullptr ? nullptr : b.delta,
                                       .weight = vector(offsets.norm_in),
                                       .sum = l.x_in,
                                       .y = l.normed_in,
                                       .rstd = l.rstd_in});
  linear(at(index, kQkv), l.normed_in, l.qkv);
  if (c.qkv_bias) kernels::add_bias(tokens_, c.qkv_width(), vector(offsets.qkv_bias), l.qkv);
  kernels::attention(kernels::Attention<T>{.shape = attention_shape(),
                                           .qkv = ready_qkv(index),
                                           .out = l.attended,
                                           .lse = l.lse,
                                           .scratch = attention_scratch()});
  linear(at(index, kOut), l.attended, b.delta);
  drop_delta(index, kAttention);
  kernels::rmsnorm(kernels::Rmsnorm<T>{.rows = tokens_,
                                       .width = c.width,
                                       .eps = eps,
                                       .x = l.x_in,
                                       .delta = b.delta,
                                       .weight = vector(offsets.norm_mid),
                                       .sum = l.x_mid,
                                       .y = l.normed_mid,
                                       .rstd = l.rstd_mid});
  linear(at(index, kGateUp), l.normed_mid, l.gate_up);
}

template <class T>
const T* Pass<T>::ready_qkv(int64_t index) {
  Buffers<T>& b = buffers_;
  const T* qkv = b.layers[index].qkv;
  if (!config_.qk_norm) return qkv;
  const LayerOffsets& offsets = offsets_.layers[index];
  const int64_t row = config_.qkv_width(), q_width = config_.q_width();
  const auto eps = static_cast<float>(config_.norm_eps);
  std::memcpy(b.qkv_normed, qkv, static_cast<size_t>(tokens_ * row) * sizeof(T));
  kernels::head_norm(kernels::HeadNorm<T>{tokens_, row, config_.heads, config_.head_dim, eps, qkv,
                                          vector(offsets.q_norm), b.qkv_normed, b.rstd_q});
  kernels::head_norm(kernels::HeadNorm<T>{tokens_, row, config_.kv_heads, config_.head_dim, eps,
                                          qkv + q_width, vector(offsets.k_norm),
                                          b.qkv_normed + q_width, b.rstd_k});
  return b.qkv_normed;
}

// From the gradient of what attention read to that of the product, in dqkv.
template <class T>
void Pass<T>::ready_qkv_backward(int64_t index, float* gradients) {
  Buffers<T>& b = buffers_;
  const LayerOffsets& offsets = offsets_.layers[index];
  const int64_t row = config_.qkv_width(), q_width = config_.q_width();
  if (config_.qk_norm) {
    const T* qkv = b.layers[index].qkv;
    kernels::head_norm_backward(kernels::HeadNormBackward<T>{
        tokens_, row, config_.heads, config_.head_dim, qkv, vector(offsets.q_norm), b.rstd_q,
        b.dqkv, vector_gradient(gradients, offsets.q_norm), b.norm_scratch});
    kernels::head_norm_backward(kernels::HeadNormBackward<T>{
        tokens_, row, config_.kv_heads, config_.head_dim, qkv + q_width, vector(offsets.k_norm),
        b.rstd_k, b.dqkv + q_width, vector_gradient(gradients, offsets.k_norm), b.norm_scratch});
  }
  if (config_.qkv_bias && !adapter_)
    kernels::bias_backward(tokens_, row, b.dqkv, gradients + offsets.qkv_bias);
}

// After head(), which left the gradient of the last norm's output in dnormed.
template <class T>
void Pass<T>::backward(const Batch& batch, float* gradients) {
  Buffers<T>& b = buffers_;
  std::fill_n(b.dresidual, tokens_ * config_.width, 0.0f);
  norm_backward({b.x_final, b.rstd_final, offsets_.final_norm}, gradients);
  for (int64_t i = config_.layers - 1; i >= 0; --i) {
    // The last block's activations are still there.
    if (use_ == Use::recomputing && i + 1 < config_.layers) activate_block(i, nullptr);
    backward_block(i, gradients);
  }
  if (adapter_) return;
  if (drops()) drop(0, kEmbedding, b.dresidual, b.dresidual);
  kernels::embedding_backward(batch.tokens, config_.width, b.dresidual,
                              gradients + offsets_.embedding);
}

template <class T>
void Pass<T>::backward_block(int64_t index, float* gradients) {
  Buffers<T>& b = buffers_;
  const LayerBuffers<T>& l = b.layers[index];
  const Matrix &down = at(index, kDown), &gate_up = at(index, kGateUp);
  const T* const dy = added_gradient(index, kInner);
  if (is_lowest(down)) {
    kernels::swiglu(kernels::Swiglu<T>{
        .rows = tokens_, .inner = config_.ffn, .gate_up = l.gate_up, .act = b.act});
    return weight_gradient(down, b.act, dy, gradients);
  }
  input_gradient(down, dy, b.dact);
  kernels::swiglu_backward(kernels::SwigluBackward<T>{.rows = tokens_,
                                                      .inner = config_.ffn,
                                                      .gate_up = l.gate_up,
                                                      .dact = b.dact,
                                                      .dgate_up = l.gate_up,
                                                      .act = b.act});
  weight_gradient(down, b.act, dy, gradients);
  weight_gradient(gate_up, l.normed_mid, l.gate_up, gradients);
  if (is_lowest(gate_up)) return;
  input_gradient(gate_up, l.gate_up, b.dnormed);
  const LayerOffsets& offsets = offsets_.layers[index];
  norm_backward({l.x_mid, l.rstd_mid, offsets.norm_mid}, gradients);
  backward_attention(index, gradients);
}

template <class T>
void Pass<T>::backward_attention(int64_t index, float* gradients) {
  Buffers<T>& b = buffers_;
  const LayerBuffers<T>& l = b.layers[index];
  const Matrix &out = at(index, kOut), &qkv = at(index, kQkv);
  const T* const dy = added_gradient(index, kAttention);
  weight_gradient(out, l.attended, dy, gradients);
  if (is_lowest(out)) return;
  input_gradient(out, dy, b.dattended);
  kernels::attention_backward(kernels::AttentionBackward<T>{.shape = attention_shape(),
                                                            .qkv = ready_qkv(index),
                                                            .out = l.attended,
                                                            .lse = l.lse,
                                                            .dout = b.dattended,
                                                            .dqkv = b.dqkv,
                                                            .scratch = attention_scratch()});
  ready_qkv_backward(index, gradients);
  weight_gradient(qkv, l.normed_in, b.dqkv, gradients);
  if (is_lowest(qkv)) return;
  input_gradient(qkv, b.dqkv, b.dnormed);
  const LayerOffsets& offsets = offsets_.layers[index];
  norm_backward({l.x_in, l.rstd_in, offsets.norm_in}, gradients);
}

// From dnormed to dresidual.
template <class T>
void Pass<T>::norm_backward(const Normed& normed, float* gradients) {
  Buffers<T>& b = buffers_;
  kernels::rmsnorm_backward(
      kernels::RmsnormBackward<T>{.rows = tokens_,
                                  .width = config_.width,
                                  .x = normed.x,
                                  .weight = vector(normed.offset),
                                  .rstd = normed.rstd,
                                  .dy = b.dnormed,
                                  .dx = b.dresidual,
                                  .dx_copy = Buffers<T>::kRounded ? b.dresidual_t : nullptr,
                                  .dweight = vector_gradient(gradients, normed.offset),
                                  .scratch = b.norm_scratch});
}

template class Pass<float>;
template class Pass<Bf16>;

}  // namespace retort::model
