// One step of Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"):
//   M = mu M + (1 - mu) G;   U = orthogonal((1 - mu) G + mu M)          (Nesterov)
//   W = W - lr decay W - lr 0.2 sqrt(max(rows, cols)) U
// The factor makes an update as large as one of AdamW, so that learning rates carry over (Liu et
// al. 2025, arXiv 2502.16982, section 2.2). orthogonal() is five steps of the Newton-Schulz
// iteration X = a X + (b A + c A A) X with A = X X^T, from X / |X|, which brings the singular
// values near 1, not to it: between about 0.7 and 1.2. Products are of bf16 where the processor is
// fast at it, else of fp32. Not thread-safe; runs on all compute threads.
#pragma once
#include <cstdint>

#include "kernels/convert.h"
#include "kernels/matmul.h"
#include "tensor/buffer.h"

namespace retort::kernels {

struct MuonOptions {
  float lr = 0;
  float momentum = 0.95f;
  float weight_decay = 0;
  float gradient_scale = 1;
};

struct MuonState {
  int64_t rows = 0;
  int64_t cols = 0;
  float* weights = nullptr;  // [rows, cols], as the other two
  const float* gradients = nullptr;
  float* momentum = nullptr;
};

class Muon {
 public:
  // Scratch memory for matrices of at most so many elements and of at most so short a shorter side.
  Muon(int64_t most_elements, int64_t most_short_side);
  static int64_t memory_bytes(int64_t most_elements, int64_t most_short_side);

  void step(const MuonOptions& options, const MuonState& state);

  // X [rows, cols] in place; for tests.
  void orthogonalize(int64_t rows, int64_t cols, float* x);

 private:
  // C = A B, or A B^T, with the operands rounded to bf16 where that is fast.
  void product(const MatmulShape& shape, const float* a, const float* b, float* c);
  void iterate(int64_t rows, int64_t cols, float* x);

  tensor::Buffer<float> update_, other_, gram_, mix_;
  tensor::Buffer<Bf16> left_, right_;
};

void muon_step_reference(const MuonOptions& options, const MuonState& state);

}  // namespace retort::kernels
