#include "model/weights.h"

#include <cmath>

#include "base/check.h"
#include "base/random.h"

namespace retort::model {
namespace {

class ListBuilder {
 public:
  void matrix(std::string name, int64_t rows, int64_t cols) {
    list_.push_back({std::move(name), rows, cols, next_, false});
    next_ += rows * cols;
  }
  void vector(std::string name, int64_t size) {
    list_.push_back({std::move(name), 1, size, next_, true});
    next_ += size;
  }
  std::vector<TensorInfo> take() { return std::move(list_); }

 private:
  std::vector<TensorInfo> list_;
  int64_t next_ = 0;
};

const TensorInfo& find(const std::vector<TensorInfo>& tensors, std::string_view name) {
  for (const TensorInfo& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  RETORT_CHECK(false, "no tensor {}", name);
  return tensors.front();
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.ends_with(end);
}

}  // namespace

// Query, key and value stand side by side, as do their biases, and gate and up: each group is one
// matrix (or vector) to the network, and so are their gradients.
std::vector<TensorInfo> tensor_list(const Config& c) {
  ListBuilder list;
  list.matrix("model.embed_tokens.weight", c.vocab, c.width);
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    list.vector(layer + "input_layernorm.weight", c.width);
    list.matrix(layer + "self_attn.q_proj.weight", c.q_width(), c.width);
    list.matrix(layer + "self_attn.k_proj.weight", c.kv_width(), c.width);
    list.matrix(layer + "self_attn.v_proj.weight", c.kv_width(), c.width);
    if (c.qkv_bias) {
      list.vector(layer + "self_attn.q_proj.bias", c.q_width());
      list.vector(layer + "self_attn.k_proj.bias", c.kv_width());
      list.vector(layer + "self_attn.v_proj.bias", c.kv_width());
    }
    if (c.qk_norm) {
      list.vector(layer + "self_attn.q_norm.weight", c.head_dim);
      list.vector(layer + "self_attn.k_norm.weight", c.head_dim);
    }
    list.matrix(layer + "self_attn.o_proj.weight", c.width, c.q_width());
    list.vector(layer + "post_attention_layernorm.weight", c.width);
    list.matrix(layer + "mlp.gate_proj.weight", c.ffn, c.width);
    list.matrix(layer + "mlp.up_proj.weight", c.ffn, c.width);
    list.matrix(layer + "mlp.down_proj.weight", c.width, c.ffn);
  }
  list.vector("model.norm.weight", c.width);
  if (!c.tied_embeddings) list.matrix("lm_head.weight", c.vocab, c.width);
  return list.take();
}

Weights::Weights(const Config& config)
    : config_(config),
      tensors_(tensor_list(config)),
      block_(static_cast<size_t>(tensors_.back().offset + tensors_.back().size())) {}

Weights Weights::random(const Config& config, uint64_t seed) {
  Weights weights(config);
  const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(config.layers));
  for (size_t i = 0; i < weights.tensors_.size(); ++i) {
    const TensorInfo& info = weights.tensors_[i];
    const bool onto_residual =
        ends_with(info.name, "o_proj.weight") || ends_with(info.name, "down_proj.weight");
    const double deviation = onto_residual ? residual : 0.02;
    const float vectors = ends_with(info.name, ".bias") ? 0.0f : 1.0f;
    base::Random random(seed, i);  // a tensor's numbers do not depend on the others' sizes
    for (float& value : weights.tensor(info.name)) {
      value = info.is_vector ? vectors : static_cast<float>(random.normal() * deviation);
    }
  }
  return weights;
}

std::span<float> Weights::tensor(std::string_view name) {
  const TensorInfo& info = find(tensors_, name);
  return block().subspan(static_cast<size_t>(info.offset), static_cast<size_t>(info.size()));
}

std::span<const float> Weights::tensor(std::string_view name) const {
  const TensorInfo& info = find(tensors_, name);
  return block().subspan(static_cast<size_t>(info.offset), static_cast<size_t>(info.size()));
}

}  // namespace retort::model
