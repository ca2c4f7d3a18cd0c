// A weight matrix as decoding reads it: once a step, from memory, so it stays as small as its file
// holds it. Rows of W (outputs) stand in tiles of 16, one a vector lane:
//   f32, f16, bf16   a tile is [in][16] numbers
//   quantised        a tile is codes, then scales, for blocks of 32 inputs; codes of 4 neighbouring
//                    inputs of an output stand together, as int8 dot products want them
// A quantised weight is scale * code + offset (q4), scale * (code - 8) (q4_centred) or
// scale * (code - 128) (q8), with scale and offset in binary16: the same bytes that GGUF's Q4_1,
// Q4_0 and Q8_0 hold. Filling different rows is safe from several threads; reading from any.
#pragma once
#include <cstdint>

#include "tensor/buffer.h"

namespace retort::kernels {

enum class PackedFormat : uint8_t { f32, f16, bf16, q4, q4_centred, q8 };

constexpr int64_t kTileOutputs = 16;
constexpr int64_t kCodeBlock = 32;  // inputs that share a scale

class PackedMatrix {
 public:
  PackedMatrix() = default;
  // Quantised formats need `in` to be whole blocks.
  PackedMatrix(PackedFormat format, int64_t out, int64_t in);

  static int64_t memory_bytes(PackedFormat format, int64_t out, int64_t in);

  // One row of f32, f16 (values as their bits) or bf16.
  void set_row(int64_t row, const float* values);
  void set_row_half(int64_t row, const uint16_t* bits);
  // One row of a quantised format: `in` codes, and in / 32 scales (and offsets, of q4 alone).
  void set_row_codes(int64_t row, const uint8_t* codes, const uint16_t* scales,
                     const uint16_t* offsets);
  // The row as numbers: what the products compute with.
  void get_row(int64_t row, float* values) const;

  PackedFormat format() const { return format_; }
  bool quantised() const { return format_ >= PackedFormat::q4; }
  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  int64_t blocks() const { return in_ / kCodeBlock; }
  int64_t tiles() const { return (out_ + kTileOutputs - 1) / kTileOutputs; }
  const uint8_t* tile(int64_t index) const { return data_.data() + index * tile_bytes_; }
  int64_t bytes() const { return data_.size(); }

 private:
  PackedFormat format_ = PackedFormat::f32;
  int64_t out_ = 0;
  int64_t in_ = 0;
  int64_t tile_bytes_ = 0;
  tensor::Buffer<uint8_t> data_;
};

// Bytes of the codes of one block of one tile: 16 outputs, 32 inputs.
constexpr int64_t code_bytes(PackedFormat format) {
  return format == PackedFormat::q8 ? 512 : 256;
}

}  // namespace retort::kernels
