// Dropout (Srivastava et al. 2014, JMLR 15; where it stands in a transformer: Vaswani et al. 2017,
// section 5.4): y = x / (1 - rate) where a channel is kept, else 0. Which ones are kept is a
// function of the row's key and the channel alone, so that backward and a forward pass
// that is made again see the same ones without keeping a mask, and neither the rows around nor the
// instruction set matter.
#pragma once
#include <cstdint>

#include "kernels/convert.h"

namespace retort::kernels {

template <class T>
struct Dropout {
  int64_t rows = 0;
  int64_t width = 0;               // below 2^32
  float rate = 0;                  // from 0 to below 1
  const uint32_t* keys = nullptr;  // [rows], any numbers
  const T* x = nullptr;            // [rows, width]
  T* y = nullptr;                  // [rows, width]; may be x
};

void dropout(const Dropout<float>& args);
void dropout(const Dropout<Bf16>& args);

void dropout_reference(const Dropout<float>& args);

}  // namespace retort::kernels
