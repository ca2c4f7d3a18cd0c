#include "model/config.h"

#include <fmt/core.h>

#include <cmath>

#include "model/weights.h"

namespace retort::model {
namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 24;

Result<void> require(bool condition, std::string_view what, std::string value) {
  if (condition) return {};
  return base::bad_input(fmt::format("the model's {} cannot be {}", what, value), "",
                         "check the model's configuration");
}

}  // namespace

int64_t Config::parameters() const {
  int64_t total = 0;
  for (const TensorInfo& tensor : tensor_list(*this)) total += tensor.size();
  return total;
}

const char* Config::family() const {
  return qk_norm ? "qwen3" : qkv_bias ? "qwen2" : "llama";
}

double Config::training_flops_per_token(int64_t context) const {
  const auto block = static_cast<double>(width * (2 * q_width() + 2 * kv_width() + 3 * ffn));
  const auto scores = static_cast<double>(q_width() * (context + 1));  // the causal half, twice
  const double forward =
      2 * (static_cast<double>(layers) * (block + scores) + static_cast<double>(width * vocab));
  return 3 * forward;
}

Result<void> validate(const Config& c) {
  const auto dimension = [](int64_t n) { return n > 0 && n <= kMaxDimension; };
  RETORT_TRY_VOID(require(dimension(c.vocab), "vocabulary size", std::to_string(c.vocab)));
  RETORT_TRY_VOID(require(dimension(c.width), "width", std::to_string(c.width)));
  RETORT_TRY_VOID(
      require(c.layers > 0 && c.layers <= 4096, "number of layers", std::to_string(c.layers)));
  RETORT_TRY_VOID(
      require(c.heads > 0 && c.heads <= 65536, "number of heads", std::to_string(c.heads)));
  RETORT_TRY_VOID(require(c.kv_heads > 0 && c.heads % c.kv_heads == 0,
                          fmt::format("number of key-value heads (of {} heads)", c.heads),
                          std::to_string(c.kv_heads)));
  RETORT_TRY_VOID(require(c.head_dim > 0 && c.head_dim % 2 == 0 && c.head_dim <= 4096, "head size",
                          std::to_string(c.head_dim)));
  RETORT_TRY_VOID(require(dimension(c.ffn), "inner width", std::to_string(c.ffn)));
  RETORT_TRY_VOID(
      require(dimension(c.max_positions), "number of positions", std::to_string(c.max_positions)));
  RETORT_TRY_VOID(require(std::isfinite(c.rope_theta) && c.rope_theta > 1, "rope_theta",
                          std::to_string(c.rope_theta)));
  RETORT_TRY_VOID(
      require(c.norm_eps > 0 && c.norm_eps < 1, "norm epsilon", std::to_string(c.norm_eps)));
  RETORT_TRY_VOID(
      require(!c.qkv_bias || !c.qk_norm, "attention", "one with biases and head norms"));
  const auto divisors = static_cast<int64_t>(c.rope_divisors.size());
  RETORT_TRY_VOID(
      require(divisors == 0 || divisors == c.head_dim / 2,
              fmt::format("number of rope divisors (of {} frequencies)", c.head_dim / 2),
              std::to_string(divisors)));
  for (const float divisor : c.rope_divisors) {
    RETORT_TRY_VOID(
        require(std::isfinite(divisor) && divisor > 0, "rope divisor", fmt::format("{}", divisor)));
  }
  // Every factor is bounded above, so these products fit a double exactly enough.
  const double per_layer = static_cast<double>(c.width) *
                           static_cast<double>(2 * (c.heads + c.kv_heads) * c.head_dim + 3 * c.ffn);
  const double total = per_layer * static_cast<double>(c.layers) +
                       2 * static_cast<double>(c.vocab) * static_cast<double>(c.width);
  return require(total < 1e12, "number of parameters", fmt::format("{:.3g}", total));
}

}  // namespace retort::model
