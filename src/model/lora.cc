#include "model/lora.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"
#include "kernels/matmul.h"

namespace retort::model {
namespace {

struct FactorShape {
  int64_t out;
  int64_t in;
};

FactorShape shape_of(const Config& c, Projection projection) {
  switch (projection) {
    case Projection::q:
      return {c.q_width(), c.width};
    case Projection::k:
    case Projection::v:
      return {c.kv_width(), c.width};
    case Projection::o:
      return {c.width, c.q_width()};
    case Projection::gate:
    case Projection::up:
      return {c.ffn, c.width};
    case Projection::down:
      return {c.width, c.ffn};
  }
  return {};
}

const char* part_of_layer(Projection projection) {
  return projection < Projection::gate ? "self_attn" : "mlp";
}

// Of projections that read the same input, the first.
Projection first_beside(Projection projection) {
  if (projection <= Projection::v) return Projection::q;
  return projection == Projection::up ? Projection::gate : projection;
}

struct Factor {
  Projection projection;
  bool is_b;
};

// The factors of one layer in the order of the block.
std::vector<Factor> factors_of(const LoraConfig& lora) {
  std::vector<Factor> factors;
  for (const Projection first : kProjections) {
    if (first_beside(first) != first) continue;
    for (const bool is_b : {false, true}) {
      for (const Projection target : lora.targets) {
        if (first_beside(target) == first) factors.push_back({target, is_b});
      }
    }
  }
  return factors;
}

std::string weight_name(int64_t layer, Projection projection) {
  return fmt::format("model.layers.{}.{}.{}.weight", layer, part_of_layer(projection),
                     name(projection));
}

}  // namespace

const char* name(Projection projection) {
  constexpr const char* kNames[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                    "gate_proj", "up_proj", "down_proj"};
  return kNames[static_cast<size_t>(projection)];
}

Result<std::vector<Projection>> parse_projections(const std::vector<std::string>& names) {
  std::vector<Projection> found;
  for (const Projection projection : kProjections) {
    if (std::ranges::find(names, name(projection)) != names.end()) found.push_back(projection);
  }
  for (const std::string& one : names) {
    const bool known =
        std::ranges::any_of(kProjections, [&](Projection p) { return one == name(p); });
    if (known) continue;
    return base::usage_error(
        fmt::format("\"{}\" is no projection that an adapter can have as a target", one), "",
        "there are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj");
  }
  if (found.empty()) return base::usage_error("an adapter needs at least one target");
  return found;
}

float LoraConfig::scale() const {
  const auto r = static_cast<double>(rank);
  return static_cast<float>(alpha / (rank_stabilised ? std::sqrt(r) : r));
}

bool LoraConfig::has(Projection projection) const {
  return std::ranges::find(targets, projection) != targets.end();
}

Result<void> validate(const LoraConfig& config) {
  constexpr int64_t kRankMax = 1024;
  if (config.rank < 1 || config.rank > kRankMax) {
    return base::usage_error(
        fmt::format("the rank of an adapter is 1 to {}, not {}", kRankMax, config.rank));
  }
  constexpr double kAlphaMax = 1e6;
  if (!(config.alpha > 0 && config.alpha <= kAlphaMax)) {
    return base::usage_error(fmt::format(
        "the alpha of an adapter is above 0 and at most {}, not {}", kAlphaMax, config.alpha));
  }
  if (config.targets.empty()) return base::usage_error("an adapter needs at least one target");
  return {};
}

std::vector<TensorInfo> tensor_list(const Config& base, const LoraConfig& lora) {
  std::vector<TensorInfo> list;
  int64_t next = 0;
  for (int64_t layer = 0; layer < base.layers; ++layer) {
    for (const Factor& f : factors_of(lora)) {
      const FactorShape shape = shape_of(base, f.projection);
      list.push_back(
          {fmt::format("base_model.model.model.layers.{}.{}.{}.lora_{}.weight", layer,
                       part_of_layer(f.projection), name(f.projection), f.is_b ? "B" : "A"),
           f.is_b ? shape.out : lora.rank, f.is_b ? lora.rank : shape.in, next, false});
      next += list.back().size();
    }
  }
  return list;
}

Adapter::Adapter(const Config& base, const LoraConfig& lora)
    : base_(base), lora_(lora), tensors_(tensor_list(base, lora)) {
  RETORT_CHECK(validate(lora).ok() && std::ranges::is_sorted(lora.targets));
  block_.resize(static_cast<size_t>(tensors_.back().offset + tensors_.back().size()));
}

Adapter Adapter::random(const Config& base, const LoraConfig& lora, uint64_t seed) {
  Adapter adapter(base, lora);
  const std::vector<Factor> factors = factors_of(lora);
  for (size_t i = 0; i < adapter.tensors_.size(); ++i) {
    if (factors[i % factors.size()].is_b) continue;
    const TensorInfo& info = adapter.tensors_[i];
    // Kaiming's bound with a = sqrt(5): sqrt(6 / ((1 + a^2) in)).
    const double bound = 1 / std::sqrt(static_cast<double>(info.cols));
    base::Random random(seed, i);  // a tensor's numbers do not depend on the others' sizes
    for (int64_t j = 0; j < info.size(); ++j) {
      adapter.block_[static_cast<size_t>(info.offset + j)] =
          static_cast<float>((2 * random.uniform() - 1) * bound);
    }
  }
  return adapter;
}

LowRank Adapter::at(int64_t layer, Projection projection) const {
  RETORT_CHECK(layer >= 0 && layer < base_.layers && lora_.has(projection), "{} of layer {}",
               name(projection), layer);
  const std::vector<Factor> factors = factors_of(lora_);
  const auto [out, in] = shape_of(base_, projection);
  LowRank found;
  found.out = out;
  found.in = in;
  for (size_t i = 0; i < factors.size(); ++i) {
    if (factors[i].projection != projection) continue;
    const TensorInfo& info = tensors_[static_cast<size_t>(layer) * factors.size() + i];
    (factors[i].is_b ? found.b_offset : found.a_offset) = info.offset;
  }
  const auto size = [&](int64_t side) { return static_cast<size_t>(side * lora_.rank); };
  found.a = block().subspan(static_cast<size_t>(found.a_offset), size(in));
  found.b = block().subspan(static_cast<size_t>(found.b_offset), size(out));
  return found;
}

void merge(Weights& weights, const Adapter& adapter) {
  RETORT_CHECK(weights.config() == adapter.base());
  const LoraConfig& lora = adapter.lora();
  std::vector<float> b;
  for (int64_t layer = 0; layer < adapter.base().layers; ++layer) {
    for (const Projection target : lora.targets) {
      const LowRank low = adapter.at(layer, target);
      b.assign(low.b.begin(), low.b.end());
      for (float& value : b) value *= lora.scale();
      kernels::matmul({.product = kernels::Product::nn,
                       .m = low.out,
                       .n = low.in,
                       .k = lora.rank,
                       .accumulate = true},
                      b.data(), low.a.data(), weights.tensor(weight_name(layer, target)).data());
    }
  }
}

}  // namespace retort::model
