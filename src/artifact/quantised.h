// Quantised tensor types taken apart: every one of them stands for scale * (code - centre), or
// scale * code + offset, for each group of 32 or 16 neighbouring elements. A block has one scale
// (and offset) in binary16; blocks of several groups have small integers, a group each, that
// multiply it. Whoever computes with codes instead of numbers reads them here; dequantise() goes
// the same way.
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
  bool factors = false;  // of the block's scale and offset, a group each; else all are 1
};

// Nothing for types that hold plain numbers or that cannot be read.
std::optional<CodeForm> code_form(TensorType type);

// The levels of IQ4_NL, closer together around zero.
constexpr std::array<int8_t, 16> kUnevenLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};

// One block: info.block codes and info.block / group factors.
struct BlockCodes {
  uint16_t scale = 0;   // binary16 bits
  uint16_t offset = 0;  // likewise; as it is added
  uint8_t codes[256];
  int8_t factors[16];
  int8_t offset_factors[16];
};
void unpack_block(TensorType type, const uint8_t* block, BlockCodes& to);

}  // namespace retort::artifact
