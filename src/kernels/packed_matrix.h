// A weight matrix as decoding reads it: once a step, from memory, so it stays as small as its file
// holds it. Rows of W (outputs) stand in tiles of 16, one a vector lane:
//   f32, f16, bf16   a tile is [in][16] numbers
//   quantised        a tile is codes for blocks of 32 inputs, then what scales them (TileParts)
// A quantised weight is scale * (code - centre), or scale * code + offset, with scale and offset in
// binary16 for each block. Formats with factors have one scale (and offset) for 256 inputs, which a
// small integer for each block, or for each half of one, multiplies. Those are the same bytes that
// GGUF's types hold; code_shape() says which is which.
//   Codes of 4 neighbouring inputs of an output (a quad) stand together, as int8 dot products want
// them. Bits of a code lie in planes of 8, 4, 2 or 1: in a plane of n bits a vector of 16 quads
// holds 8 / n quads of the block, the first in the lowest bits.
//   Filling different rows is safe from several threads; reading from any.
#pragma once
#include <cstdint>

#include "tensor/buffer.h"

namespace retort::kernels {

// k2 to k6 are the types with factors.
enum class PackedFormat : uint8_t {
  f32,
  f16,
  bf16,
  q4,          // Q4_1
  q4_centred,  // Q4_0
  q4_uneven,   // IQ4_NL
  q5,          // Q5_1
  q5_centred,  // Q5_0
  q8,          // Q8_0
  k2,
  k3,
  k4,
  k5,
  k6
};

constexpr int64_t kTileOutputs = 16;
constexpr int64_t kCodeBlock = 32;    // inputs of a block
constexpr int64_t kFactorSpan = 256;  // inputs that share a scale which factors multiply

struct CodeShape {
  int bits = 0;
  int centre = 0;
  bool offsets = false;
  bool uneven = false;  // a code is an index into kUnevenLevels
  int group = 32;       // inputs that share a factor
  bool factors = false;
};
constexpr CodeShape code_shape(PackedFormat format) {
  switch (format) {
    case PackedFormat::q4:
      return {.bits = 4, .offsets = true};
    case PackedFormat::q4_centred:
      return {.bits = 4, .centre = 8};
    case PackedFormat::q4_uneven:
      return {.bits = 4, .uneven = true};
    case PackedFormat::q5:
      return {.bits = 5, .offsets = true};
    case PackedFormat::q5_centred:
      return {.bits = 5, .centre = 16};
    case PackedFormat::q8:
      return {.bits = 8, .centre = 128};
    case PackedFormat::k2:
      return {.bits = 2, .offsets = true, .group = 16, .factors = true};
    case PackedFormat::k3:
      return {.bits = 3, .centre = 4, .group = 16, .factors = true};
    case PackedFormat::k4:
      return {.bits = 4, .offsets = true, .factors = true};
    case PackedFormat::k5:
      return {.bits = 5, .offsets = true, .factors = true};
    case PackedFormat::k6:
      return {.bits = 6, .centre = 32, .group = 16, .factors = true};
    default:
      return {};
  }
}
constexpr int8_t kUnevenLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

// Of a code's bits, those in the first plane; the rest are in a second one.
constexpr int first_plane(int bits) {
  return bits == 8 ? 8 : bits >= 4 ? 4 : 2;
}
// Bytes of the codes of one block of one tile: 16 outputs, 32 inputs.
constexpr int64_t code_bytes(PackedFormat format) {
  return 64 * code_shape(format).bits;
}

// Where the parts of a tile begin, in bytes; the codes stand at its beginning.
struct TileParts {
  int64_t scales = 0;          // [in / 32 or 256][16] binary16
  int64_t offsets = 0;         // likewise, or nothing
  int64_t factors = 0;         // [in / group][16] int8, or nothing
  int64_t offset_factors = 0;  // likewise
  int64_t bytes = 0;
};

// A row of a quantised format; what the format lacks is null.
struct CodedRow {
  const uint8_t* codes = nullptr;          // [in]
  const uint16_t* scales = nullptr;        // [in / 32], or [in / 256] with factors
  const uint16_t* offsets = nullptr;       // likewise
  const int8_t* factors = nullptr;         // [in / group]
  const int8_t* offset_factors = nullptr;  // likewise
};

class PackedMatrix {
 public:
  PackedMatrix() = default;
  // Quantised formats need `in` to be whole blocks, those with factors whole spans.
  PackedMatrix(PackedFormat format, int64_t out, int64_t in);

  static int64_t memory_bytes(PackedFormat format, int64_t out, int64_t in);

  // One row of f32, f16 (values as their bits) or bf16.
  void set_row(int64_t row, const float* values);
  void set_row_half(int64_t row, const uint16_t* bits);
  void set_row_codes(int64_t row, const CodedRow& from);
  // The row as numbers: what the products compute with.
  void get_row(int64_t row, float* values) const;

  PackedFormat format() const { return format_; }
  bool quantised() const { return format_ >= PackedFormat::q4; }
  bool reads_half_sums() const { return quantised() && code_shape(format_).group < kCodeBlock; }
  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  int64_t blocks() const { return in_ / kCodeBlock; }
  int64_t tiles() const { return (out_ + kTileOutputs - 1) / kTileOutputs; }
  const uint8_t* tile(int64_t index) const { return data_.data() + index * parts_.bytes; }
  const TileParts& parts() const { return parts_; }
  int64_t bytes() const { return data_.size(); }

 private:
  void get_codes(int64_t row, int64_t block, uint8_t* codes) const;
  void get_coded_row(int64_t row, float* values) const;

  PackedFormat format_ = PackedFormat::f32;
  int64_t out_ = 0;
  int64_t in_ = 0;
  TileParts parts_;
  tensor::Buffer<uint8_t> data_;
};

}  // namespace retort::kernels
