// The inner loops of every op, written once with vectors of a compile-time width and compiled once
// for each instruction set; loops() picks. What is included by loops_avx2.cc and loops_avx512.cc
// must define no function outside their own namespace and call none that is inline elsewhere:
// the linker might keep the copy that this processor cannot run.
#pragma once
#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/distill.h"
#include "kernels/dropout.h"
#include "kernels/matmul.h"
#include "kernels/rmsnorm.h"
#include "kernels/swiglu.h"

namespace retort::kernels {

// Rows, or elements, or row pairs [begin, end).
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

// A rectangle of a product's result.
struct Tile {
  Range m;
  Range n;
};
constexpr int64_t kTileRows = 6;  // multiples of every micro kernel's rows and columns
constexpr int64_t kTileColumns = 32;
constexpr int64_t kBlockK = 256;  // packed blocks: of B and of A, both in the second-level cache
constexpr int64_t kBlockN = 256;
constexpr int64_t kBlockM = 96;
constexpr int64_t kMatmulScratch = kBlockK * (kBlockN + kBlockM);

// One (document, kv head) pair of attention.
struct AttentionTask {
  int64_t first = 0;  // token
  int64_t length = 0;
  int64_t kv_head = 0;
};
constexpr int64_t kQueryBlock = 48;        // query rows that are held at once
constexpr int64_t kScoreStrideMost = 160;  // between their rows of scores, in every build

template <class T>
struct TypedLoops {
  void (*matmul)(const MatmulShape&, const T* a, const T* b, float* c, Tile, float* scratch);
  void (*rmsnorm)(const Rmsnorm<T>&, Range rows);
  void (*rmsnorm_backward)(const RmsnormBackward<T>&, Range rows, float* dweight);
  void (*swiglu)(const Swiglu<T>&, Range rows);
  void (*swiglu_backward)(const SwigluBackward<T>&, Range rows);
  void (*dropout)(const Dropout<T>&, Range rows);
  void (*cross_entropy)(const CrossEntropy<T>&, Range rows);
  void (*distill_dense)(const Distill<T>&, Range rows);
  void (*distill_sparse)(const Distill<T>&, Range rows);
  void (*attention)(const Attention<T>&, AttentionTask, float* scratch);
  void (*attention_backward)(const AttentionBackward<T>&, AttentionTask, float* scratch);
};

struct Loops {
  TypedLoops<float> f32;
  TypedLoops<Bf16> bf16;
  void (*swiglu_rounded)(const Swiglu<Bf16, float>&, Range rows);
  void (*to_bf16)(const float*, Bf16*, Range);
  void (*to_float)(const Bf16*, float*, Range);
  void (*adamw)(const AdamW&, const AdamWState&, Range);
  double (*sum_of_squares)(const float*, Range);
  void (*exp)(const float*, float*, Range);  // for the test of its bound, as log
  void (*log)(const float*, float*, Range);
  const char* name;
};

const Loops& loops();
// Null where the processor has not got it; for tests.
const Loops* loops_portable();
const Loops* loops_avx2();
const Loops* loops_avx512();
const Loops* loops_avx512_bf16();

inline const TypedLoops<float>& typed_loops(const float*) {
  return loops().f32;
}
inline const TypedLoops<Bf16>& typed_loops(const Bf16*) {
  return loops().bf16;
}

}  // namespace retort::kernels
