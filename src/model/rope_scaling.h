// How a model's rotation is stretched beyond the positions that it was first trained for: each
// frequency theta^(-2i/D) is divided by a number of its own. Files spell this in several ways
// (linear, llama3 and longrope in config.json, a factor or the tensor rope_freqs.weight in GGUF);
// all of them come down to these divisors, one a frequency, none where nothing is stretched.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace retort::model {

// Llama 3.1's rule: wavelengths above original_positions / low_freq_factor are divided by `factor`,
// those below original_positions / high_freq_factor by 1, those between by a ramp of both.
struct Llama3Scaling {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_positions = 8192;
};
std::vector<float> llama3_divisors(const Llama3Scaling& scaling, int64_t head_dim, double theta);
// The parameters that these divisors come from, where they are of the kind that released models
// have (a ramp from 1 to 4, original positions a power of two). Rounding of a float is forgiven.
std::optional<Llama3Scaling> llama3_scaling(std::span<const float> divisors, double theta);

// The one number by which every frequency is divided, 1 for none; nothing where they differ.
std::optional<float> linear_factor(std::span<const float> divisors);

// One form for equal tables: all ones are none, and what llama3_scaling() knows is its table.
std::vector<float> canonical_divisors(std::vector<float> divisors, double theta);

// From config.json of transformers 4 (rope_theta, rope_scaling) or 5 (rope_parameters). A scaling
// that is no fixed table of divisors is refused by name.
Result<double> rope_theta_from_hf(const json::Value& config_json);
Result<std::vector<float>> rope_divisors_from_hf(const json::Value& config_json, int64_t head_dim,
                                                 double theta);
// The value of rope_scaling; null for none. Divisors of no simpler kind are longrope's.
json::Value rope_scaling_to_hf(std::span<const float> divisors, double theta,
                               int64_t max_positions);

}  // namespace retort::model
