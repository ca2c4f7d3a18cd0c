#include "model/prune.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>

#include "base/check.h"

namespace retort::model {
namespace {

using Indices = std::vector<int64_t>;

Indices first(int64_t count) {
  Indices all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

void check_kept(const Indices& kept, int64_t size) {
  RETORT_CHECK(!kept.empty() && kept.front() >= 0 && kept.back() < size, "{} of {}", kept.size(),
               size);
  for (size_t i = 1; i < kept.size(); ++i) RETORT_CHECK(kept[i - 1] < kept[i]);
}

void check_plan(const Config& c, const PrunePlan& plan) {
  check_kept(plan.layers, c.layers);
  check_kept(plan.width, c.width);
  check_kept(plan.vocab, c.vocab);
  RETORT_CHECK_EQ(plan.kv_heads.size(), plan.layers.size());
  RETORT_CHECK_EQ(plan.ffn.size(), plan.layers.size());
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    check_kept(plan.kv_heads[i], c.kv_heads);
    check_kept(plan.ffn[i], c.ffn);
    RETORT_CHECK_EQ(plan.kv_heads[i].size(), plan.kv_heads[0].size());
    RETORT_CHECK_EQ(plan.ffn[i].size(), plan.ffn[0].size());
  }
}

// Rows of kept heads, `size` each.
Indices rows_of(const Indices& heads, int64_t size) {
  Indices rows;
  for (const int64_t head : heads) {
    for (int64_t i = 0; i < size; ++i) rows.push_back(head * size + i);
  }
  return rows;
}

// Copies tensors from the old weights to the new ones.
class Copier {
 public:
  Copier(const Weights& from, Weights& to) : from_(from), to_(to) {}

  void matrix(const std::string& name, const std::string& old_name, const Indices& rows,
              const Indices& cols) {
    const std::span<const float> old = from_.tensor(old_name);
    float* next = to_.tensor(name).data();
    const int64_t old_cols = info(old_name).cols;
    for (const int64_t row : rows) {
      const float* line = old.data() + row * old_cols;
      for (const int64_t col : cols) *next++ = line[col];
    }
  }
  void vector(const std::string& name, const std::string& old_name, const Indices& kept,
              double scale = 1) {
    matrix(name, old_name, {0}, kept);
    for (float& value : to_.tensor(name)) value = static_cast<float>(value * scale);
  }

 private:
  const TensorInfo& info(const std::string& name) const {
    return *std::ranges::find(from_.tensors(), name, &TensorInfo::name);
  }

  const Weights& from_;
  Weights& to_;
};

struct KeptLayer {
  const Indices &kv_heads, &ffn, &width;
  double norm_scale;
};

void copy_layer(Copier& copier, const Config& c, const KeptLayer& kept, const std::string& now,
                const std::string& old) {
  const Indices q = rows_of(kept.kv_heads, c.heads / c.kv_heads * c.head_dim);
  const Indices kv = rows_of(kept.kv_heads, c.head_dim);
  const auto matrix = [&](const char* name, const Indices& rows, const Indices& cols) {
    copier.matrix(now + name, old + name, rows, cols);
  };
  const auto vector = [&](const char* name, const Indices& rows, double scale = 1) {
    copier.vector(now + name, old + name, rows, scale);
  };
  vector("input_layernorm.weight", kept.width, kept.norm_scale);
  matrix("self_attn.q_proj.weight", q, kept.width);
  matrix("self_attn.k_proj.weight", kv, kept.width);
  matrix("self_attn.v_proj.weight", kv, kept.width);
  if (c.qkv_bias) {
    vector("self_attn.q_proj.bias", q);
    vector("self_attn.k_proj.bias", kv);
    vector("self_attn.v_proj.bias", kv);
  }
  if (c.qk_norm) {
    vector("self_attn.q_norm.weight", first(c.head_dim));
    vector("self_attn.k_norm.weight", first(c.head_dim));
  }
  matrix("self_attn.o_proj.weight", kept.width, q);
  vector("post_attention_layernorm.weight", kept.width, kept.norm_scale);
  matrix("mlp.gate_proj.weight", kept.ffn, kept.width);
  matrix("mlp.up_proj.weight", kept.ffn, kept.width);
  matrix("mlp.down_proj.weight", kept.width, kept.ffn);
}

// To six digits, which are the same again after a file that keeps it in fp32.
double scaled_epsilon(const Config& c, int64_t width) {
  const double exact = c.norm_eps * static_cast<double>(c.width) / static_cast<double>(width);
  return std::strtod(fmt::format("{:.6g}", exact).c_str(), nullptr);
}

}  // namespace

PrunePlan whole_plan(const Config& c) {
  const auto layers = static_cast<size_t>(c.layers);
  return {.layers = first(c.layers),
          .kv_heads = std::vector<Indices>(layers, first(c.kv_heads)),
          .ffn = std::vector<Indices>(layers, first(c.ffn)),
          .width = first(c.width),
          .vocab = first(c.vocab)};
}

Config pruned_config(const Config& config, const PrunePlan& plan) {
  check_plan(config, plan);
  Config out = config;
  out.layers = static_cast<int64_t>(plan.layers.size());
  out.kv_heads = static_cast<int64_t>(plan.kv_heads[0].size());
  out.heads = config.heads / config.kv_heads * out.kv_heads;
  out.ffn = static_cast<int64_t>(plan.ffn[0].size());
  out.width = static_cast<int64_t>(plan.width.size());
  out.vocab = static_cast<int64_t>(plan.vocab.size());
  if (out.width != config.width) out.norm_eps = scaled_epsilon(config, out.width);
  return out;
}

Weights prune(const Weights& weights, const PrunePlan& plan) {
  const Config& old = weights.config();
  Weights out(pruned_config(old, plan));
  // y = w x / sqrt(mean x^2): a mean over fewer channels of the same sum is larger.
  const double scale =
      std::sqrt(static_cast<double>(old.width) / static_cast<double>(out.config().width));
  Copier copier(weights, out);
  copier.matrix("model.embed_tokens.weight", "model.embed_tokens.weight", plan.vocab, plan.width);
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    copy_layer(copier, old, {plan.kv_heads[i], plan.ffn[i], plan.width, scale},
               "model.layers." + std::to_string(i) + ".",
               "model.layers." + std::to_string(plan.layers[i]) + ".");
  }
  copier.vector("model.norm.weight", "model.norm.weight", plan.width, scale);
  if (!old.tied_embeddings) {
    copier.matrix("lm_head.weight", "lm_head.weight", plan.vocab, plan.width);
  }
  return out;
}

}  // namespace retort::model
