// Softmax cross-entropy of rows of logits, forward and backward in one:
//   nll[r] = log(sum_v exp(logits[r,v])) - logits[r, target[r]]
//   dlogits[r,v] = scale * (softmax(logits[r])[v] - [v == target[r]])
// The caller brings only rows whose target counts, a bounded number at a time.
#pragma once
#include <cstdint>

#include "kernels/convert.h"

namespace retort::kernels {

template <class T>
struct CrossEntropy {
  int64_t rows = 0;
  int64_t vocab = 0;
  float* logits = nullptr;           // [rows, vocab]; overwritten when dlogits is given
  const int32_t* targets = nullptr;  // [rows], each below vocab
  float scale = 1;
  float* nll = nullptr;  // [rows]
  T* dlogits = nullptr;  // [rows, vocab], may be logits when T is float; none: loss alone
};

void cross_entropy(const CrossEntropy<float>& args);
void cross_entropy(const CrossEntropy<Bf16>& args);
void cross_entropy_reference(const CrossEntropy<float>& args);

}  // namespace retort::kernels
