#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "kernels/convert.h"
#include "model/adapter_pass_internal.h"

namespace retort::model {
namespace {

using kernels::Bf16;
using kernels::Product;

void put(float value, float* to) {
  *to = value;
}
void put(float value, Bf16* to) {
  *to = tensor::to_bf16(value);
}

void copy(const float* from, float* to, int64_t size) {
  base::parallel_for(size, 1 << 15, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(float));
  });
}

// Which projections stand in a fused matrix, in the order of its rows.
std::vector<Projection> projections_in(Fused fused) {
  switch (fused) {
    case kQkv:
      return {Projection::q, Projection::k, Projection::v};
    case kOut:
      return {Projection::o};
    case kGateUp:
      return {Projection::gate, Projection::up};
    case kDown:
      return {Projection::down};
  }
  return {};
}

int64_t rows_of(const Config& c, Projection projection) {
  switch (projection) {
    case Projection::q:
      return c.q_width();
    case Projection::k:
    case Projection::v:
      return c.kv_width();
    case Projection::gate:
    case Projection::up:
      return c.ffn;
    default:
      return c.width;
  }
}

int64_t targets_among(const LoraConfig& lora, Fused fused) {
  return std::ranges::count_if(projections_in(fused), [&](Projection p) { return lora.has(p); });
}

FusedTargets targets_of(const Adapter& adapter, int64_t layer, Fused fused) {
  const Config& config = adapter.base();
  const auto [out, in] = shape_of(config, fused);
  FusedTargets found{.out = out, .in = in, .columns = 0, .a_offset = 0, .targets = {}};
  int64_t row = 0;
  for (const Projection projection : projections_in(fused)) {
    const int64_t rows = rows_of(config, projection);
    if (adapter.lora().has(projection)) {
      const LowRank low = adapter.at(layer, projection);
      if (found.columns == 0) found.a_offset = low.a_offset;
      found.columns += adapter.lora().rank;
      found.targets.push_back({row, rows, low.b_offset});
    }
    row += rows;
  }
  return found;
}

}  // namespace

FusedShape shape_of(const Config& c, Fused fused) {
  switch (fused) {
    case kQkv:
      return {c.qkv_width(), c.width};
    case kOut:
      return {c.width, c.q_width()};
    case kGateUp:
      return {2 * c.ffn, c.width};
    case kDown:
      return {c.width, c.ffn};
  }
  return {};
}

template <class T>
AdapterBuffers<T>::AdapterBuffers(Arena& arena, const Config& config, const LoraConfig& lora,
                                  int64_t tokens) {
  constexpr bool kRounded = !std::is_same_v<T, float>;
  int64_t columns_max = 0, db_max = 0, out_max = 0, matrix_max = 0;
  layers.resize(static_cast<size_t>(config.layers));
  for (const Fused fused : kAllFused) {
    const int64_t targets = targets_among(lora, fused);
    if (targets == 0) continue;
    const auto [out, in] = shape_of(config, fused);
    const int64_t columns = targets * lora.rank;
    for (auto& layer : layers) {
      layer[fused].a = arena.take<T>(columns * in);
      layer[fused].b = arena.take<T>(out * columns);
      if (!kRounded) layer[fused].whole = arena.take<float>(out * in);
    }
    columns_max = std::max(columns_max, columns);
    if (projections_in(fused).size() > 1) db_max = std::max(db_max, out * columns);
    out_max = std::max(out_max, out);
    matrix_max = std::max(matrix_max, out * in);
  }
  narrow = arena.take<float>(tokens * columns_max);
  db = arena.take<float>(db_max);
  scaled_b = arena.take<float>(out_max * lora.rank);
  if constexpr (kRounded) {
    narrow_t = arena.take<T>(tokens * columns_max);
    sum = arena.take<float>(matrix_max);
  } else {
    narrow_t = narrow;
  }
}

template <class T>
AdapterPass<T>::AdapterPass(Arena& arena, const Adapter& adapter, int64_t tokens)
    : adapter_(adapter),
      targets_(static_cast<size_t>(adapter.base().layers)),
      buffers_(arena, adapter.base(), adapter.lora(), tokens) {
  for (int64_t layer = 0; layer < adapter.base().layers; ++layer) {
    for (const Fused fused : kAllFused) targets_[layer][fused] = targets_of(adapter, layer, fused);
  }
}

// Outside of its target's rows b stays zero, as the memory came.
template <class T>
void AdapterPass<T>::scale_factors(Place at) {
  const FusedTargets& part = targets(at);
  const int64_t rank = adapter_.lora().rank;
  const float scale = adapter_.lora().scale();
  const float* block = adapter_.block().data();
  const auto& to = buffers_.layers[at.layer][at.fused];
  base::parallel_for(part.columns * part.in, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) put(scale * block[part.a_offset + i], to.a + i);
  });
  T* first = to.b;  // the target's first column in its first row
  for (const FusedTargets::Target& target : part.targets) {
    base::parallel_for(target.out, 512, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* b = block + target.b_offset + row * rank;
        T* out = first + (target.row + row) * part.columns;
        for (int64_t j = 0; j < rank; ++j) put(scale * b[j], out + j);
      }
    });
    first += rank;
  }
}

template <class T>
void AdapterPass<T>::form(Place at, const float* weights, T* rounded) {
  scale_factors(at);
  const FusedTargets& part = targets(at);
  const int64_t rank = adapter_.lora().rank;
  const float scale = adapter_.lora().scale();
  const float* a = adapter_.block().data() + part.a_offset;
  float* sum = buffers_.sum;
  if constexpr (std::is_same_v<T, float>) sum = buffers_.layers[at.layer][at.fused].whole;
  copy(weights, sum, part.out * part.in);
  for (const FusedTargets::Target& target : part.targets) {
    const float* b = adapter_.block().data() + target.b_offset;
    for (int64_t i = 0; i < target.out * rank; ++i) buffers_.scaled_b[i] = scale * b[i];
    kernels::matmul(
        {.product = Product::nn, .m = target.out, .n = part.in, .k = rank, .accumulate = true},
        buffers_.scaled_b, a, sum + target.row * part.in);
    a += rank * part.in;
  }
  if constexpr (!std::is_same_v<T, float>) kernels::to_bf16(sum, rounded, part.out * part.in);
}

template <class T>
void AdapterPass<T>::round_narrow(int64_t size) {
  if constexpr (!std::is_same_v<T, float>) {
    kernels::to_bf16(buffers_.narrow, buffers_.narrow_t, size);
  }
}

// From scale x A^T in narrow_t. Where the matrix is more than one target, one product has all rows
// and columns, and what belongs to no target is left behind.
template <class T>
void AdapterPass<T>::add_db(const FusedTargets& part, const T* dy, int64_t tokens,
                            float* gradients) {
  const bool alone = part.targets.front().out == part.out;
  float* db = alone ? gradients + part.targets.front().b_offset : buffers_.db;
  kernels::matmul(
      {.product = Product::tn, .m = part.out, .n = part.columns, .k = tokens, .accumulate = alone},
      dy, buffers_.narrow_t, db);
  if (alone) return;
  const int64_t rank = adapter_.lora().rank;
  const float* first = db;
  for (const FusedTargets::Target& target : part.targets) {
    for (int64_t row = 0; row < target.out; ++row) {
      const float* from = first + (target.row + row) * part.columns;
      float* to = gradients + target.b_offset + row * rank;
      for (int64_t j = 0; j < rank; ++j) to[j] += from[j];
    }
    first += rank;
  }
}

template <class T>
void AdapterPass<T>::backward(Place at, int64_t tokens, const T* x, const T* dy, float* gradients) {
  const FusedTargets& part = targets(at);
  const auto& f = buffers_.layers[at.layer][at.fused];
  AdapterBuffers<T>& b = buffers_;
  kernels::matmul({.product = Product::nt, .m = tokens, .n = part.columns, .k = part.in}, x, f.a,
                  b.narrow);
  round_narrow(tokens * part.columns);
  add_db(part, dy, tokens, gradients);
  kernels::matmul({.product = Product::nn, .m = tokens, .n = part.columns, .k = part.out}, dy, f.b,
                  b.narrow);
  round_narrow(tokens * part.columns);
  kernels::matmul(
      {.product = Product::tn, .m = part.columns, .n = part.in, .k = tokens, .accumulate = true},
      b.narrow_t, x, gradients + part.a_offset);
}

template struct AdapterBuffers<float>;
template struct AdapterBuffers<Bf16>;
template class AdapterPass<float>;
template class AdapterPass<Bf16>;

}  // namespace retort::model
