// What a training step is checked against: a forward pass from the formulas alone.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "model/network.h"
#include "model/weights.h"

namespace retort::bench {

using model::Batch;
using model::Config;

// The loss of one short document, computed token by token in double from the formulas alone.
class PlainForward {
 public:
  explicit PlainForward(const model::Weights& weights) : w_(weights), c_(weights.config()) {}

  double nll(const Batch& batch) {
    keys_.assign(static_cast<size_t>(c_.layers), {});
    values_ = keys_;
    double total = 0;
    for (size_t i = 0; i < batch.tokens.size(); ++i) {
      const Row hidden = token(batch.tokens[i], static_cast<double>(i));
      if (batch.targets[i] < 0) continue;
      const Row logits =
          product(c_.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight", hidden);
      double sum = 0;
      for (const double logit : logits) sum += std::exp(logit);
      total += std::log(sum) - logits[batch.targets[i]];
    }
    return total;
  }

 private:
  using Row = std::vector<double>;

  Row product(const std::string& name, const Row& x) const {
    const auto matrix = w_.tensor(name);
    Row y(matrix.size() / x.size());
    for (size_t o = 0; o < y.size(); ++o) {
      for (size_t i = 0; i < x.size(); ++i) y[o] += matrix[o * x.size() + i] * x[i];
    }
    return y;
  }
  Row norm(const std::string& name, const Row& x) const {
    const auto weight = w_.tensor(name);
    double squares = 0;
    for (const double v : x) squares += v * v;
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(x.size()) + c_.norm_eps);
    Row y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * rstd * weight[i];
    return y;
  }
  void turn(Row& x, double position) const {
    const int64_t half = c_.head_dim / 2;
    for (size_t head = 0; head < x.size(); head += static_cast<size_t>(c_.head_dim)) {
      for (int64_t i = 0; i < half; ++i) {
        const double power = -2.0 * static_cast<double>(i) / static_cast<double>(c_.head_dim);
        const double angle = position * std::pow(c_.rope_theta, power);
        const double a = x[head + i];
        const double b = x[head + half + i];
        x[head + i] = a * std::cos(angle) - b * std::sin(angle);
        x[head + half + i] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }
  Row attend(const Row& q, size_t layer) const {
    const auto& keys = keys_[layer];
    const auto& values = values_[layer];
    Row out(q.size());
    for (int64_t head = 0; head < c_.heads; ++head) {
      const int64_t at = head * c_.head_dim;
      const int64_t kv = head / (c_.heads / c_.kv_heads) * c_.head_dim;
      double total = 0;
      for (size_t j = 0; j < keys.size(); ++j) {
        double score = 0;
        for (int64_t d = 0; d < c_.head_dim; ++d) score += q[at + d] * keys[j][kv + d];
        const double p = std::exp(score / std::sqrt(static_cast<double>(c_.head_dim)));
        total += p;
        for (int64_t d = 0; d < c_.head_dim; ++d) out[at + d] += p * values[j][kv + d];
      }
      for (int64_t d = 0; d < c_.head_dim; ++d) out[at + d] /= total;
    }
    return out;
  }
  Row token(int32_t id, double position) {
    const auto table = w_.tensor("model.embed_tokens.weight");
    Row x(table.begin() + id * c_.width, table.begin() + (id + 1) * c_.width);
    for (int64_t layer = 0; layer < c_.layers; ++layer) {
      const std::string name = "model.layers." + std::to_string(layer) + ".";
      const Row h = norm(name + "input_layernorm.weight", x);
      Row q = product(name + "self_attn.q_proj.weight", h);
      Row k = product(name + "self_attn.k_proj.weight", h);
      turn(q, position);
      turn(k, position);
      keys_[layer].push_back(k);
      values_[layer].push_back(product(name + "self_attn.v_proj.weight", h));
      const Row o = product(name + "self_attn.o_proj.weight", attend(q, layer));
      for (size_t i = 0; i < x.size(); ++i) x[i] += o[i];
      const Row m = norm(name + "post_attention_layernorm.weight", x);
      Row gate = product(name + "mlp.gate_proj.weight", m);
      const Row up = product(name + "mlp.up_proj.weight", m);
      for (size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
      const Row down = product(name + "mlp.down_proj.weight", gate);
      for (size_t i = 0; i < x.size(); ++i) x[i] += down[i];
    }
    return norm("model.norm.weight", x);
  }

  const model::Weights& w_;
  Config c_;
  std::vector<std::vector<Row>> keys_;
  std::vector<std::vector<Row>> values_;
};

}  // namespace retort::bench
