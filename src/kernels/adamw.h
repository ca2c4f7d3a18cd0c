// One step of AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, "Decoupled
// weight decay regularization", algorithm 2) and bias correction (Kingma and Ba 2015).
//   m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2
//   w = w - lr (m / (1-beta1^step)) / (sqrt(v / (1-beta2^step)) + eps) - lr decay w
// Elementwise over n elements on all compute threads; the result does not depend on their number.
#pragma once
#include <cstdint>

namespace retort::kernels {

struct AdamW {
  float lr = 0;
  float beta1 = 0.9f;
  float beta2 = 0.95f;
  float eps = 1e-8f;
  float weight_decay = 0;
  int64_t step = 1;          // counts from 1
  float gradient_scale = 1;  // multiplies every gradient first: clipping costs no pass of its own
};

struct AdamWState {
  int64_t size = 0;
  float* weights = nullptr;
  const float* gradients = nullptr;
  float* m = nullptr;
  float* v = nullptr;
};

void adamw_step(const AdamW& options, const AdamWState& state);
void adamw_step_reference(const AdamW& options, const AdamWState& state);

}  // namespace retort::kernels
