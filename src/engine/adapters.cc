#include "engine/adapters_internal.h"

#include "kernels/decode.h"

namespace retort::engine {
namespace {

using kernels::PackedFormat;
using kernels::PackedMatrix;

PackedMatrix packed(std::span<const float> values, int64_t out, int64_t in, float scale) {
  PackedMatrix matrix(PackedFormat::f32, out, in);
  std::vector<float> row(static_cast<size_t>(in));
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      row[static_cast<size_t>(i)] = scale * values[static_cast<size_t>(o * in + i)];
    }
    matrix.set_row(o, row.data());
  }
  return matrix;
}

}  // namespace

EngineAdapter::EngineAdapter(const model::Adapter& adapter) : rank_(adapter.lora().rank) {
  layers_.resize(static_cast<size_t>(adapter.base().layers));
  for (int64_t layer = 0; layer < adapter.base().layers; ++layer) {
    for (const model::Projection projection : adapter.lora().targets) {
      const model::LowRank low = adapter.at(layer, projection);
      layers_[static_cast<size_t>(layer)][static_cast<size_t>(projection)] = Target{
          packed(low.a, rank_, low.in, 1), packed(low.b, low.out, rank_, adapter.lora().scale())};
    }
  }
}

const EngineAdapter::Target* EngineAdapter::at(int64_t layer, model::Projection projection) const {
  const auto& target = layers_[static_cast<size_t>(layer)][static_cast<size_t>(projection)];
  return target ? &*target : nullptr;
}

int64_t EngineAdapter::memory_bytes() const {
  int64_t bytes = 0;
  for (const Layer& layer : layers_) {
    for (const auto& target : layer) {
      if (target) bytes += target->a.bytes() + target->b.bytes();
    }
  }
  return bytes;
}

Result<EngineAdapters> load_adapters(const std::vector<std::string>& folders,
                                     const model::Config& base) {
  EngineAdapters out;
  for (const std::string& folder : folders) {
    RETORT_TRY(const auto adapter, model::load_adapter(folder, base));
    out.push_back(std::make_unique<EngineAdapter>(adapter));
  }
  return out;
}

void add_low_rank(const EngineAdapter::Target& target, const LowRankRows& rows, int64_t first_tile,
                  int64_t last_tile) {
  if (first_tile >= last_tile) return;
  const int64_t rank = target.a.out();
  const auto values = [&](int64_t width, float* at) {
    kernels::Rows made;
    made.rows = rows.rows;
    made.width = width;
    made.values = at;
    return made;
  };
  kernels::row_product({&target.a, values(target.a.in(), rows.x), rows.scratch, rank, false}, 0,
                       target.a.tiles());
  kernels::row_product({&target.b, values(rank, rows.scratch), rows.y, rows.ld_y, true}, first_tile,
                       last_tile);
}

}  // namespace retort::engine
