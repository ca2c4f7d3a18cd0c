#include "model/rope_scaling.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace retort::model {
namespace {

// transformers 5 lets an older rope_scaling go before rope_parameters, and so is it here.
const json::Value* scaling_of(const json::Value& v) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json::Value* found = v.find(key);
    if (found != nullptr && found->is_object()) return found;
  }
  return nullptr;
}

constexpr double kFactorMax = 1e6;

Result<double> positive_at(const json::Value& v, const char* key) {
  RETORT_TRY(const double value, v.number_at(key));
  if (value >= 1 / kFactorMax && value <= kFactorMax) return value;
  return base::bad_input(fmt::format("the rope scaling's {} cannot be {}", key, value), key,
                         "check the model's configuration");
}

Result<std::vector<float>> llama3_from_hf(const json::Value& v, int64_t head_dim, double theta) {
  Llama3Scaling s;
  RETORT_TRY(s.factor, positive_at(v, "factor"));
  RETORT_TRY(s.low_freq_factor, positive_at(v, "low_freq_factor"));
  RETORT_TRY(s.high_freq_factor, positive_at(v, "high_freq_factor"));
  RETORT_TRY(s.original_positions, v.int_at("original_max_position_embeddings"));
  if (s.high_freq_factor <= s.low_freq_factor || s.original_positions < 1) {
    return base::bad_input("the rope scaling's ramp has no beginning below its end",
                           "high_freq_factor", "check the model's configuration");
  }
  return llama3_divisors(s, head_dim, theta);
}

Result<std::vector<float>> factors_at(const json::Value& v, const char* key) {
  const json::Value* list = v.find(key);
  if (list == nullptr || !list->is_array()) {
    return base::bad_input(fmt::format("the rope scaling has no list {}", key), key);
  }
  std::vector<float> factors;
  for (const json::Value& value : list->as_array()) {
    const double factor = value.is_number() ? value.as_number() : 0;
    if (!(factor >= 1 / kFactorMax && factor <= kFactorMax)) {
      return base::bad_input(fmt::format("{} holds {}", key, json::dump(value)), key,
                             "check the model's configuration");
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

// Where short and long texts are turned alike and scores are not rescaled, it is a fixed table.
Result<std::vector<float>> longrope_from_hf(const json::Value& v) {
  RETORT_TRY(const auto short_factors, factors_at(v, "short_factor"));
  RETORT_TRY(auto long_factors, factors_at(v, "long_factor"));
  RETORT_TRY(const double attention, v.number_at("attention_factor", 0.0));
  if (short_factors == long_factors && attention == 1) return long_factors;
  return base::bad_input(
      "the rope scaling \"longrope\" is supported only with equal factors for short and long texts",
      "rope_scaling", "use a model of rope scaling linear or llama3");
}

Result<void> refuse_partial(const json::Value& v) {
  RETORT_TRY(const double share, v.number_at("partial_rotary_factor", 1.0));
  if (share == 1) return {};
  return base::bad_input("heads that are turned in part are not supported", "partial_rotary_factor",
                         "use a model whose heads are turned whole");
}

bool close(std::span<const float> a, std::span<const float> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return std::abs(x - y) <= 2e-6f * std::abs(y); });
}

}  // namespace

std::vector<float> llama3_divisors(const Llama3Scaling& s, int64_t head_dim, double theta) {
  std::vector<float> divisors;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double power = static_cast<double>(2 * i) / static_cast<double>(head_dim);
    const double wavelength = 2 * std::numbers::pi * std::pow(theta, power);
    const double turns = static_cast<double>(s.original_positions) / wavelength;
    const double ramp = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
    const double kept = std::clamp(ramp, 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / ((1 - kept) / s.factor + kept)));
  }
  return divisors;
}

std::optional<Llama3Scaling> llama3_scaling(std::span<const float> divisors, double theta) {
  if (divisors.empty()) return std::nullopt;
  Llama3Scaling scaling;
  scaling.factor = static_cast<double>(*std::max_element(divisors.begin(), divisors.end()));
  const auto head_dim = static_cast<int64_t>(2 * divisors.size());
  for (int64_t positions = 16; positions <= int64_t{1} << 20; positions *= 2) {
    scaling.original_positions = positions;
    if (close(llama3_divisors(scaling, head_dim, theta), divisors)) return scaling;
  }
  return std::nullopt;
}

std::optional<float> linear_factor(std::span<const float> divisors) {
  if (divisors.empty()) return 1.0f;
  const bool equal = std::all_of(divisors.begin(), divisors.end(),
                                 [&](float divisor) { return divisor == divisors.front(); });
  return equal ? std::optional(divisors.front()) : std::nullopt;
}

std::vector<float> canonical_divisors(std::vector<float> divisors, double theta) {
  const auto factor = linear_factor(divisors);
  if (factor) return *factor == 1 ? std::vector<float>() : divisors;
  const auto known = llama3_scaling(divisors, theta);
  if (!known) return divisors;
  return llama3_divisors(*known, static_cast<int64_t>(2 * divisors.size()), theta);
}

Result<double> rope_theta_from_hf(const json::Value& v) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json::Value* scaling = v.find(key);
    if (scaling == nullptr || !scaling->is_object()) continue;
    if (scaling->find("rope_theta") != nullptr) return scaling->number_at("rope_theta");
  }
  return v.number_at("rope_theta", 10000.0);
}

Result<std::vector<float>> rope_divisors_from_hf(const json::Value& v, int64_t head_dim,
                                                 double theta) {
  RETORT_TRY_VOID(refuse_partial(v));
  const json::Value* scaling = scaling_of(v);
  if (scaling == nullptr) return std::vector<float>();
  RETORT_TRY_VOID(refuse_partial(*scaling));
  RETORT_TRY(const std::string older, scaling->string_at("type", "default"));
  RETORT_TRY(const std::string type, scaling->string_at("rope_type", older));
  std::vector<float> divisors;
  if (type == "linear") {
    RETORT_TRY(const double factor, positive_at(*scaling, "factor"));
    divisors.assign(static_cast<size_t>(head_dim / 2), static_cast<float>(factor));
  } else if (type == "llama3") {
    RETORT_TRY(divisors, llama3_from_hf(*scaling, head_dim, theta));
  } else if (type == "longrope") {
    RETORT_TRY(divisors, longrope_from_hf(*scaling));
  } else if (type != "default") {
    return base::bad_input("the rope scaling \"" + type + "\" is not supported", "rope_scaling",
                           "use a model of rope scaling linear or llama3, or of none");
  }
  return canonical_divisors(std::move(divisors), theta);
}

json::Value rope_scaling_to_hf(std::span<const float> divisors, double theta,
                               int64_t max_positions) {
  if (divisors.empty()) return nullptr;
  if (const auto factor = linear_factor(divisors)) {
    return json::Value::object({{"rope_type", "linear"}, {"factor", static_cast<double>(*factor)}});
  }
  if (const auto known = llama3_scaling(divisors, theta)) {
    return json::Value::object({{"rope_type", "llama3"},
                                {"factor", known->factor},
                                {"low_freq_factor", known->low_freq_factor},
                                {"high_freq_factor", known->high_freq_factor},
                                {"original_max_position_embeddings", known->original_positions}});
  }
  json::Value factors = json::Value::array();
  for (const float divisor : divisors) factors.push(static_cast<double>(divisor));
  return json::Value::object({{"rope_type", "longrope"},
                              {"factor", 1.0},
                              {"attention_factor", 1.0},
                              {"short_factor", factors},
                              {"long_factor", factors},
                              {"original_max_position_embeddings", max_positions}});
}

}  // namespace retort::model
