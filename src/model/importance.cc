#include "model/importance.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/check.h"

namespace retort::model {
namespace {

using Scores = std::vector<double>;

double dot(const float* a, const float* b, int64_t size) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// Sums over all tokens seen; finish() makes means of them.
class Meter {
 public:
  explicit Meter(const Config& config) : config_(config) {
    const auto layers = static_cast<size_t>(config.layers);
    sums_ = {.layers = {},
             .kv_heads = {layers, Scores(static_cast<size_t>(config.kv_heads))},
             .ffn = {layers, Scores(static_cast<size_t>(config.ffn))},
             .width = Scores(static_cast<size_t>(config.width))};
  }

  void see(const BlockView& view) {
    add_sizes(view.normed_in);
    add_sizes(view.normed_mid);
    if (view.block == config_.layers) return;
    const auto block = static_cast<size_t>(view.block);
    const auto tokens = static_cast<int64_t>(view.input.size()) / config_.width;
    if (view.block == 0) tokens_ += tokens;
    add_squares(view.inner, sums_.ffn[block]);
    for (int64_t token = 0; token < tokens; ++token) add_heads(view, token, sums_.kv_heads[block]);
  }

  Importance finish() {
    RETORT_CHECK(tokens_ > 0);
    const double tokens = static_cast<double>(tokens_);
    for (auto& layer : sums_.kv_heads) {
      for (double& value : layer) value /= tokens;
    }
    for (auto& layer : sums_.ffn) {
      for (double& value : layer) value = std::sqrt(value / tokens);
    }
    for (double& value : sums_.width) value /= tokens;
    return std::move(sums_);
  }

 private:
  void add_sizes(std::span<const float> rows) {
    Scores& sums = sums_.width;
    for (size_t at = 0; at < rows.size(); at += sums.size()) {
      for (size_t i = 0; i < sums.size(); ++i) {
        sums[i] += std::abs(static_cast<double>(rows[at + i]));
      }
    }
  }
  static void add_squares(std::span<const float> rows, Scores& sums) {
    for (size_t at = 0; at < rows.size(); at += sums.size()) {
      for (size_t i = 0; i < sums.size(); ++i) {
        const auto value = static_cast<double>(rows[at + i]);
        sums[i] += value * value;
      }
    }
  }
  void add_heads(const BlockView& view, int64_t token, Scores& sums) const {
    const int64_t group = config_.heads / config_.kv_heads;
    for (int64_t head = 0; head < config_.heads; ++head) {
      const float* out = view.attended.data() + token * config_.q_width() + head * config_.head_dim;
      sums[static_cast<size_t>(head / group)] += std::sqrt(dot(out, out, config_.head_dim));
    }
  }

  const Config& config_;
  Importance sums_;
  int64_t tokens_ = 0;
};

// The indices of the `count` highest scores, ascending; of equals the first.
std::vector<int64_t> highest(const Scores& scores, int64_t count) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(count));
  std::ranges::sort(order);
  return order;
}

Result<void> check_count(int64_t keep, int64_t size, const char* what) {
  if (keep >= 0 && keep <= size) return {};
  return base::usage_error(fmt::format("{} of {} {} cannot be kept", keep, size, what), what,
                           fmt::format("take 1 to {}, or 0 for all", size));
}

}  // namespace

Importance measure_activations(Network& network, const Config& config,
                               std::span<const Batch> texts) {
  Meter meter(config);
  network.observe([&](const BlockView& view) { meter.see(view); });
  for (const Batch& batch : texts) network.loss(batch);
  network.observe(nullptr);
  return meter.finish();
}

// A block whose two outputs onto the residual stream are zero changes nothing.
std::vector<double> losses_without_layers(Network& network, Weights& weights,
                                          std::span<const Batch> texts) {
  std::vector<double> losses;
  for (int64_t i = 0; i < weights.config().layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const auto attention = weights.tensor(layer + "self_attn.o_proj.weight");
    const auto inner = weights.tensor(layer + "mlp.down_proj.weight");
    const std::vector<float> attention_was(attention.begin(), attention.end());
    const std::vector<float> inner_was(inner.begin(), inner.end());
    std::ranges::fill(attention, 0.0f);
    std::ranges::fill(inner, 0.0f);
    network.refresh();
    double sum = 0;
    for (const Batch& batch : texts) sum += network.loss(batch).nll_sum;
    losses.push_back(sum);
    std::ranges::copy(attention_was, attention.begin());
    std::ranges::copy(inner_was, inner.begin());
  }
  network.refresh();
  return losses;
}

Result<void> check_counts(const Config& config, const KeepCounts& keep) {
  const int64_t group = config.heads / config.kv_heads;
  RETORT_TRY_VOID(check_count(keep.layers, config.layers, "layers"));
  RETORT_TRY_VOID(check_count(keep.width, config.width, "channels of width"));
  RETORT_TRY_VOID(check_count(keep.ffn, config.ffn, "channels of ffn"));
  RETORT_TRY_VOID(check_count(keep.heads, config.heads, "heads"));
  if (keep.heads % group == 0) return {};
  return base::usage_error(
      fmt::format("{} heads share keys and values by {}, so {} of them cannot be kept",
                  config.heads, group, keep.heads),
      "heads", fmt::format("take a multiple of {}", group));
}

PrunePlan plan_by_importance(const Config& config, const Importance& importance,
                             const KeepCounts& keep) {
  const int64_t group = config.heads / config.kv_heads;
  PrunePlan plan = whole_plan(config);
  if (keep.layers > 0) plan.layers = highest(importance.layers, keep.layers);
  if (keep.width > 0) plan.width = highest(importance.width, keep.width);
  plan.kv_heads.resize(plan.layers.size());
  plan.ffn.resize(plan.layers.size());
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const auto layer = static_cast<size_t>(plan.layers[i]);
    if (keep.heads > 0) plan.kv_heads[i] = highest(importance.kv_heads[layer], keep.heads / group);
    if (keep.ffn > 0) plan.ffn[i] = highest(importance.ffn[layer], keep.ffn);
  }
  return plan;
}

}  // namespace retort::model
