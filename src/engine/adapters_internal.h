// Adapters of low rank beside one engine's weights, as it computes with them: fp32, packed for
// products of few rows. What a row gets depends on that row and its adapter alone.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/packed_matrix.h"
#include "model/lora.h"

namespace retort::engine {

class EngineAdapter {
 public:
  struct Target {
    kernels::PackedMatrix a;  // [r, in]
    kernels::PackedMatrix b;  // [out, r], times the adapter's scale
  };

  explicit EngineAdapter(const model::Adapter& adapter);

  // Null where the projection is no target.
  const Target* at(int64_t layer, model::Projection projection) const;
  int64_t rank() const { return rank_; }
  int64_t memory_bytes() const;

 private:
  using Layer = std::array<std::optional<Target>, std::size(model::kProjections)>;
  int64_t rank_;
  std::vector<Layer> layers_;
};

using EngineAdapters = std::vector<std::unique_ptr<EngineAdapter>>;
// From folders as PEFT writes them; one that does not fit the model is refused.
Result<EngineAdapters> load_adapters(const std::vector<std::string>& folders,
                                     const model::Config& base);

// Some rows of one adapter's, and where they go.
struct LowRankRows {
  int64_t rows = 0;
  float* x = nullptr;  // [rows, in]
  float* y = nullptr;
  int64_t ld_y = 0;
  float* scratch = nullptr;  // rows * r floats
};
// y += scale B (A x), of the outputs of B's tiles [first, last).
void add_low_rank(const EngineAdapter::Target& target, const LowRankRows& rows, int64_t first_tile,
                  int64_t last_tile);

}  // namespace retort::engine
