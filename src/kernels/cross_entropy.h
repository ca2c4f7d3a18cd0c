// Softmax cross-entropy of rows of logits, forward and backward in one. With lse = log(sum_v
// exp(logits[r,v])) and p = softmax(logits[r]):
//   nll[r]  = lse - logits[r, target[r]]
//   loss[r] = w[r] weight ((1 - e) nll[r] + e mean_v(lse - logits[r,v]) + z lse^2)
//   dlogits[r,v] = scale dloss[r]/dlogits[r,v]
// e is the label smoothing (Szegedy et al. 2016), z the z-loss (PaLM, arXiv 2204.02311, section 5).
// The caller brings only rows whose target counts, a bounded number at a time.
#pragma once
#include <cstdint>

#include "kernels/convert.h"

namespace retort::kernels {

struct HardTerm {
  float weight = 1;
  float label_smoothing = 0;
  float z_loss = 0;
  bool operator==(const HardTerm&) const = default;
};

template <class T>
struct CrossEntropy {
  int64_t rows = 0;
  int64_t vocab = 0;
  float* logits = nullptr;           // [rows, vocab]; overwritten when dlogits is given
  const int32_t* targets = nullptr;  // [rows], each below vocab
  float scale = 1;
  float* nll = nullptr;  // [rows]
  T* dlogits = nullptr;  // [rows, vocab], may be logits when T is float; none: loss alone
  HardTerm hard = {};
  const float* row_weights = nullptr;  // w, [rows]; none: all one
  float* loss = nullptr;               // [rows]; none: not wanted
};

void cross_entropy(const CrossEntropy<float>& args);
void cross_entropy(const CrossEntropy<Bf16>& args);
void cross_entropy_reference(const CrossEntropy<float>& args);

}  // namespace retort::kernels
