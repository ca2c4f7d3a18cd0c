// The gated activation of Shazeer 2020, "GLU variants improve transformer":
//   act = silu(gate) * up,  silu(z) = z / (1 + exp(-z))
// A row of gate_up holds F gates, then F ups. The exponential is a polynomial within 2 units in
// the last place.
#pragma once
#include <cstdint>

#include "kernels/convert.h"

namespace retort::kernels {

template <class T, class From = T>
struct Swiglu {
  int64_t rows = 0;
  int64_t inner = 0;              // F
  const From* gate_up = nullptr;  // [rows, 2F]
  T* act = nullptr;               // [rows, F]
};

// Makes act again beside the gradients, which is cheaper than keeping it.
template <class T>
struct SwigluBackward {
  int64_t rows = 0;
  int64_t inner = 0;
  const T* gate_up = nullptr;
  const T* dact = nullptr;  // [rows, F]
  T* dgate_up = nullptr;    // [rows, 2F]; may be gate_up itself
  T* act = nullptr;         // [rows, F]
};

void swiglu(const Swiglu<float>& args);
void swiglu(const Swiglu<Bf16>& args);
void swiglu(const Swiglu<Bf16, float>& args);
void swiglu_backward(const SwigluBackward<float>& args);
void swiglu_backward(const SwigluBackward<Bf16>& args);

void swiglu_reference(const Swiglu<float>& args);
void swiglu_backward_reference(const SwigluBackward<float>& args);

}  // namespace retort::kernels
