// Quantised tensor types taken apart: every one of them stands for scale * (code - centre), or
// scale * code + offset, with a scale for each group of 32 or 16 neighbouring elements. Whoever
// computes with codes instead of numbers reads them here; dequantise() goes the same way.
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "artifact/tensor_type.h"

namespace retort::artifact {

struct CodeForm {
  int64_t group = 32;    // elements that share a scale
  int centre = 0;        // taken from a code before it is scaled
  bool offsets = false;  // an offset a group is added
  bool table = false;    // a code is an index into kUnevenLevels
};

// Nothing for types that hold plain numbers or that cannot be read.
std::optional<CodeForm> code_form(TensorType type);

// The levels of IQ4_NL, closer together around zero.
constexpr std::array<int8_t, 16> kUnevenLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};

// One block: info.block codes, and block / group scales and offsets. Exact: products of the file's
// binary16 and small integers fit a float. `offsets` is left alone where the form has none.
void unpack_block(TensorType type, const uint8_t* block, uint8_t* codes, float* scales,
                  float* offsets);

}  // namespace retort::artifact
