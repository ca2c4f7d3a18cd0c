#include "artifact/quantised.h"

#include <cstring>

#include "base/check.h"

namespace retort::artifact {
namespace {

uint16_t half_at(const uint8_t* from) {
  uint16_t bits;
  std::memcpy(&bits, from, 2);
  return bits;
}

// Types with a scale a block.
void single_scale(BlockCodes& to) {
  to.factors[0] = 1;
  to.offset_factors[0] = 1;
}

// What the K types take from a product is the negative of what is added.
uint16_t negative(uint16_t half) {
  return half ^ 0x8000;
}

// Low nibbles are the first `count` codes, high nibbles the next.
void split_nibbles(const uint8_t* from, int count, uint8_t* codes) {
  for (int i = 0; i < count; ++i) {
    codes[i] = from[i] & 15;
    codes[i + count] = static_cast<uint8_t>(from[i] >> 4);
  }
}

void q4_block(const uint8_t* block, bool offset, BlockCodes& to) {
  single_scale(to);
  to.scale = half_at(block);
  if (offset) to.offset = half_at(block + 2);
  split_nibbles(block + (offset ? 4 : 2), 16, to.codes);
}

// The fifth bits of the 32 codes are one little-endian number before the nibbles.
void q5_block(const uint8_t* block, bool offset, BlockCodes& to) {
  single_scale(to);
  to.scale = half_at(block);
  if (offset) to.offset = half_at(block + 2);
  const uint8_t* high = block + (offset ? 4 : 2);
  split_nibbles(high + 4, 16, to.codes);
  for (int i = 0; i < 32; ++i) {
    to.codes[i] = static_cast<uint8_t>(to.codes[i] | (high[i / 8] >> i % 8 & 1) << 4);
  }
}

void q8_0_block(const uint8_t* block, BlockCodes& to) {
  single_scale(to);
  to.scale = half_at(block);
  for (int i = 0; i < 32; ++i) to.codes[i] = static_cast<uint8_t>(block[2 + i] ^ 0x80);
}

// Two bits a code: a byte holds codes of four neighbouring rows of 32, two such runs a block.
void split_pairs(const uint8_t* from, uint8_t* codes) {
  for (int i = 0; i < 256; ++i) {
    codes[i] = from[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
  }
}

void q2_k_block(const uint8_t* block, BlockCodes& to) {
  to.scale = half_at(block + 80);
  to.offset = negative(half_at(block + 82));
  for (int group = 0; group < 16; ++group) {
    to.factors[group] = static_cast<int8_t>(block[group] & 15);
    to.offset_factors[group] = static_cast<int8_t>(block[group] >> 4);
  }
  split_pairs(block + 16, to.codes);
}

// Six bits a scale: the low four of scale g in a nibble of byte g % 8, the high two in one of the
// last four bytes. The third bit of a code is set where nothing is to be taken from it.
void q3_k_block(const uint8_t* block, BlockCodes& to) {
  const uint8_t* const packed = block + 96;
  to.scale = half_at(block + 108);
  for (int group = 0; group < 16; ++group) {
    const int low = packed[group % 8] >> group / 8 * 4 & 15;
    const int high = packed[8 + group % 4] >> group / 4 * 2 & 3;
    to.factors[group] = static_cast<int8_t>((low | high << 4) - 32);
  }
  split_pairs(block + 32, to.codes);
  for (int i = 0; i < 256; ++i) {
    to.codes[i] = static_cast<uint8_t>(to.codes[i] | (block[i % 32] >> i / 32 & 1) << 2);
  }
}

// Eight scales and eight offsets of six bits in twelve bytes: the first four of each lie whole in
// the low bits, the others in a nibble and in the two bits that the first four left.
void six_bit_scales(const uint8_t* block, BlockCodes& to) {
  to.scale = half_at(block);
  to.offset = negative(half_at(block + 2));
  const uint8_t* const packed = block + 4;
  for (int group = 0; group < 8; ++group) {
    int factor = packed[group] & 63;
    int lower = packed[group % 4 + 4] & 63;
    if (group >= 4) {
      factor = (packed[group + 4] & 15) | (packed[group - 4] >> 6) << 4;
      lower = packed[group + 4] >> 4 | (packed[group] >> 6) << 4;
    }
    to.factors[group] = static_cast<int8_t>(factor);
    to.offset_factors[group] = static_cast<int8_t>(lower);
  }
}

void q4_k_block(const uint8_t* block, BlockCodes& to) {
  six_bit_scales(block, to);
  for (int run = 0; run < 4; ++run) split_nibbles(block + 16 + run * 32, 32, to.codes + run * 64);
}

void q5_k_block(const uint8_t* block, BlockCodes& to) {
  six_bit_scales(block, to);
  for (int run = 0; run < 4; ++run) split_nibbles(block + 48 + run * 32, 32, to.codes + run * 64);
  for (int i = 0; i < 256; ++i) {
    to.codes[i] = static_cast<uint8_t>(to.codes[i] | (block[16 + i % 32] >> i / 32 & 1) << 4);
  }
}

void q6_k_block(const uint8_t* block, BlockCodes& to) {
  to.scale = half_at(block + 208);
  std::memcpy(to.factors, block + 192, 16);
  uint8_t high[256];
  split_pairs(block + 128, high);
  for (int run = 0; run < 2; ++run) split_nibbles(block + run * 64, 64, to.codes + run * 128);
  for (int i = 0; i < 256; ++i) to.codes[i] = static_cast<uint8_t>(to.codes[i] | high[i] << 4);
}

}  // namespace

std::optional<CodeForm> code_form(TensorType type) {
  switch (type) {
    case TensorType::q4_0:
      return CodeForm{.centre = 8};
    case TensorType::q5_0:
      return CodeForm{.centre = 16};
    case TensorType::q8_0:
      return CodeForm{.centre = 128};
    case TensorType::iq4_nl:
      return CodeForm{.table = true};
    case TensorType::q4_1:
    case TensorType::q5_1:
      return CodeForm{.offsets = true};
    case TensorType::q4_k:
    case TensorType::q5_k:
      return CodeForm{.offsets = true, .factors = true};
    case TensorType::q2_k:
      return CodeForm{.group = 16, .offsets = true, .factors = true};
    case TensorType::q3_k:
      return CodeForm{.group = 16, .centre = 4, .factors = true};
    case TensorType::q6_k:
      return CodeForm{.group = 16, .centre = 32, .factors = true};
    default:
      return std::nullopt;
  }
}

void unpack_block(TensorType type, const uint8_t* block, BlockCodes& to) {
  switch (type) {
    case TensorType::q4_0:
    case TensorType::iq4_nl:
      return q4_block(block, false, to);
    case TensorType::q4_1:
      return q4_block(block, true, to);
    case TensorType::q5_0:
      return q5_block(block, false, to);
    case TensorType::q5_1:
      return q5_block(block, true, to);
    case TensorType::q8_0:
      return q8_0_block(block, to);
    case TensorType::q2_k:
      return q2_k_block(block, to);
    case TensorType::q3_k:
      return q3_k_block(block, to);
    case TensorType::q4_k:
      return q4_k_block(block, to);
    case TensorType::q5_k:
      return q5_k_block(block, to);
    case TensorType::q6_k:
      return q6_k_block(block, to);
    default:
      RETORT_CHECK(false, "type {} has no codes", static_cast<uint32_t>(type));
  }
}

}  // namespace retort::artifact
