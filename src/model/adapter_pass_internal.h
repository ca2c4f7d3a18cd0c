// How an adapter takes part in the passes. Each fused matrix of the network (queries, keys and
// values are one, gate and up another) is multiplied with W + scale B A, formed when the adapter
// changes: that costs about r / N of a pass, while low-rank products beside each product of the
// network would read and write every activation once more. Where products are of bf16, this sum is
// what is rounded. Backward finds the gradients of A and B alone, never that of W.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "model/buffers_internal.h"
#include "model/lora.h"

namespace retort::model {

enum Fused : int { kQkv, kOut, kGateUp, kDown };
inline constexpr Fused kAllFused[] = {kQkv, kOut, kGateUp, kDown};

struct FusedShape {
  int64_t out = 0;
  int64_t in = 0;
};
FusedShape shape_of(const Config& config, Fused fused);

// The targets within one fused matrix of one layer. R: rank times their number.
struct FusedTargets {
  struct Target {
    int64_t row = 0;       // its first row in the fused matrix
    int64_t out = 0;       // its rows
    int64_t b_offset = 0;  // of B in the adapter's block
  };
  int64_t out = 0;       // of the fused matrix
  int64_t in = 0;        // likewise
  int64_t columns = 0;   // R; 0: no target is here
  int64_t a_offset = 0;  // of the targets' A, one under another, in the adapter's block
  std::vector<Target> targets;
};

template <class T>
struct AdapterBuffers {
  struct Factors {
    T* a = nullptr;          // [R, in] scale A
    T* b = nullptr;          // [out, R] scale B, each in its target's rows and its own r columns
    float* whole = nullptr;  // [out, in] W + scale B A; null where T is not float
  };
  std::vector<std::array<Factors, std::size(kAllFused)>> layers;
  float* narrow = nullptr;    // [N, R] x A^T, then dy B
  T* narrow_t = nullptr;      // the same for products; itself where T is float
  float* db = nullptr;        // [out, R] of a fused matrix of several projections
  float* scaled_b = nullptr;  // [out, r] of one target
  float* sum = nullptr;       // [out, in] before rounding; null where T is float

  AdapterBuffers(Arena& arena, const Config& config, const LoraConfig& lora, int64_t tokens);
};

template <class T>
class AdapterPass {
 public:
  struct Place {
    int64_t layer;
    Fused fused;
  };
  AdapterPass(Arena& arena, const Adapter& adapter, int64_t tokens);

  const FusedTargets& targets(Place at) const { return targets_[at.layer][at.fused]; }
  // W + scale B A of a fused matrix that has targets, from W: rounded to `rounded`, or where T is
  // float into whole(), and `rounded` is null.
  void form(Place at, const float* weights, T* rounded);
  const float* whole(Place at) const { return buffers_.layers[at.layer][at.fused].whole; }
  // With y = x (W + scale B A)^T and dy [N, out], x [N, in], adds to gradients laid out as the
  // adapter's block:
  //   dA += scale (dy B)^T x,  dB += scale dy^T (x A^T)
  void backward(Place at, int64_t tokens, const T* x, const T* dy, float* gradients);

 private:
  void scale_factors(Place at);
  void add_db(const FusedTargets& part, const T* dy, int64_t tokens, float* gradients);
  void round_narrow(int64_t size);

  const Adapter& adapter_;
  std::vector<std::array<FusedTargets, std::size(kAllFused)>> targets_;
  AdapterBuffers<T> buffers_;
};

}  // namespace retort::model
