// Low-rank adaptation (Hu et al. 2021, "LoRA", arXiv 2106.09685). The weights of a model stay as
// they are; beside each matrix W [out, in] that is a target stand A [r, in] and B [out, r], and
// the matrix acts as W + scale B A:
//   y = W x + scale B (A x),  scale = alpha / r
// or alpha / sqrt(r) where it is rank-stabilised (Kalajdzievski 2023, arXiv 2312.03732). Targets
// are the same in every layer. On disk an adapter is a folder as PEFT writes and reads it. Plain
// data; no thread rules.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/weights.h"

namespace retort::model {

// The matrices of a layer that can be targets, in the order of the forward pass.
enum class Projection { q, k, v, o, gate, up, down };
inline constexpr Projection kProjections[] = {Projection::q,   Projection::k,    Projection::v,
                                              Projection::o,   Projection::gate, Projection::up,
                                              Projection::down};
const char* name(Projection projection);  // "q_proj"
// The projections of these names, in order and each once; another name is a usage error, and so
// is none.
Result<std::vector<Projection>> parse_projections(const std::vector<std::string>& names);

struct LoraConfig {
  int64_t rank = 16;  // r
  double alpha = 32;
  bool rank_stabilised = false;
  std::vector<Projection> targets{std::begin(kProjections), std::end(kProjections)};  // in order

  float scale() const;
  bool has(Projection projection) const;
  bool operator==(const LoraConfig&) const = default;
};
// Refuses a rank outside 1 to 1024, an alpha that is not positive and finite, and no targets.
Result<void> validate(const LoraConfig& config);

// In the order of the block (below): layer by layer.
std::vector<TensorInfo> tensor_list(const Config& base, const LoraConfig& lora);

// One target in one layer, views into an adapter's block.
struct LowRank {
  std::span<const float> a;  // [r, in]
  std::span<const float> b;  // [out, r]
  int64_t out = 0;
  int64_t in = 0;
  int64_t a_offset = 0;  // in the block
  int64_t b_offset = 0;
};

// A and B of every target as fp32 in one contiguous block, named as PEFT names them:
// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight". The A of targets that read the
// same input (q, k, v; gate, up) stand one under another, before their B.
class Adapter {
 public:
  Adapter(const Config& base, const LoraConfig& lora);  // zeros
  // A uniform within 1 / sqrt(in), B zero: PEFT's first values, here a function of seed. The model
  // then acts as without an adapter.
  static Adapter random(const Config& base, const LoraConfig& lora, uint64_t seed);

  const Config& base() const { return base_; }
  const LoraConfig& lora() const { return lora_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  std::span<float> block() { return block_; }
  std::span<const float> block() const { return block_; }
  // A projection that is no target is a programmer's mistake.
  LowRank at(int64_t layer, Projection projection) const;

 private:
  Config base_;
  LoraConfig lora_;
  std::vector<TensorInfo> tensors_;
  std::vector<float> block_;
};

// weights += scale B A at every target. Of other shapes than the adapter's base: a programmer's
// mistake.
void merge(Weights& weights, const Adapter& adapter);

// A folder of adapter_config.json and adapter_model.safetensors (F32, F16, BF16). Refused by name:
// other methods than LoRA and settings of PEFT that are not built (DoRA, biases, ranks that differ
// between layers, layers left out, whole modules beside it, ...), tensors that are missing, of
// another base model's shape or unknown, and values that are not finite. Memory is bounded by the
// files' sizes.
Result<Adapter> load_adapter(const std::string& folder, const Config& base);
// Writes both files into the folder, which is made. `base_name` is what PEFT calls the base model:
// a name or a path.
Result<void> save_adapter(const Adapter& adapter, const std::string& folder,
                          const std::string& base_name);

}  // namespace retort::model
