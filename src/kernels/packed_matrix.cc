#include "kernels/packed_matrix.h"

#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace retort::kernels {
namespace {

constexpr int64_t kQuads = kCodeBlock / 4;  // groups of 4 codes of one output in a block

int64_t tile_bytes_of(PackedFormat format, int64_t in) {
  constexpr int64_t kAlign = 64;
  int64_t bytes = 0;
  switch (format) {
    case PackedFormat::f32:
      bytes = in * kTileOutputs * 4;
      break;
    case PackedFormat::f16:
    case PackedFormat::bf16:
      bytes = in * kTileOutputs * 2;
      break;
    case PackedFormat::q4:
      bytes = in / kCodeBlock * (256 + 64);
      break;
    case PackedFormat::q4_centred:
      bytes = in / kCodeBlock * (256 + 32);
      break;
    case PackedFormat::q8:
      bytes = in / kCodeBlock * (512 + 32);
      break;
  }
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

// Where code `input` of a block stands for an output: byte, and whether in its upper half.
struct Place {
  int64_t byte;
  bool upper;
};
Place place_of(PackedFormat format, int64_t input, int64_t lane) {
  const int64_t quad = input / 4;
  const int64_t within = lane * 4 + input % 4;
  if (format == PackedFormat::q8) return {quad * 64 + within, false};
  return {quad % (kQuads / 2) * 64 + within, quad >= kQuads / 2};
}

}  // namespace

PackedMatrix::PackedMatrix(PackedFormat format, int64_t out, int64_t in)
    : format_(format), out_(out), in_(in), tile_bytes_(tile_bytes_of(format, in)) {
  RETORT_CHECK(out > 0 && in > 0, "{} x {}", out, in);
  RETORT_CHECK(!quantised() || in % kCodeBlock == 0, "{} inputs", in);
  data_ = tensor::Buffer<uint8_t>(tiles() * tile_bytes_);
}

int64_t PackedMatrix::memory_bytes(PackedFormat format, int64_t out, int64_t in) {
  return (out + kTileOutputs - 1) / kTileOutputs * tile_bytes_of(format, in);
}

void PackedMatrix::set_row(int64_t row, const float* values) {
  RETORT_CHECK(format_ == PackedFormat::f32 || format_ == PackedFormat::bf16);
  uint8_t* tile = data_.data() + row / kTileOutputs * tile_bytes_;
  const int64_t lane = row % kTileOutputs;
  for (int64_t i = 0; i < in_; ++i) {
    if (format_ == PackedFormat::f32) {
      std::memcpy(tile + (i * kTileOutputs + lane) * 4, values + i, 4);
    } else {
      const tensor::Bf16 rounded = tensor::to_bf16(values[i]);
      std::memcpy(tile + (i * kTileOutputs + lane) * 2, &rounded, 2);
    }
  }
}

void PackedMatrix::set_row_half(int64_t row, const uint16_t* bits) {
  RETORT_CHECK(format_ == PackedFormat::f16);
  uint8_t* tile = data_.data() + row / kTileOutputs * tile_bytes_;
  for (int64_t i = 0; i < in_; ++i) {
    std::memcpy(tile + (i * kTileOutputs + row % kTileOutputs) * 2, bits + i, 2);
  }
}

void PackedMatrix::set_row_codes(int64_t row, const uint8_t* codes, const uint16_t* scales,
                                 const uint16_t* offsets) {
  RETORT_CHECK(quantised());
  uint8_t* tile = data_.data() + row / kTileOutputs * tile_bytes_;
  const int64_t lane = row % kTileOutputs;
  const int64_t stride = code_bytes(format_);
  for (int64_t block = 0; block < blocks(); ++block) {
    uint8_t* to = tile + block * stride + lane * 4;
    const uint8_t* from = codes + block * kCodeBlock;
    if (format_ == PackedFormat::q8) {
      for (int64_t quad = 0; quad < kQuads; ++quad) std::memcpy(to + quad * 64, from + quad * 4, 4);
      continue;
    }
    for (int64_t quad = 0; quad < kQuads / 2; ++quad) {
      uint32_t low, high;
      std::memcpy(&low, from + quad * 4, 4);
      std::memcpy(&high, from + (quad + kQuads / 2) * 4, 4);
      const uint32_t both = low | high << 4;
      std::memcpy(to + quad * 64, &both, 4);
    }
  }
  uint8_t* to = tile + blocks() * stride + lane * 2;
  for (int64_t block = 0; block < blocks(); ++block) {
    std::memcpy(to + block * 32, scales + block, 2);
    if (format_ == PackedFormat::q4) {
      std::memcpy(to + (blocks() + block) * 32, offsets + block, 2);
    }
  }
}

void PackedMatrix::get_row(int64_t row, float* values) const {
  const uint8_t* from = tile(row / kTileOutputs);
  const int64_t lane = row % kTileOutputs;
  const auto half_at = [&](int64_t index) {
    uint16_t bits;
    std::memcpy(&bits, from + index * 2, 2);
    return bits;
  };
  for (int64_t i = 0; i < in_; ++i) {
    const int64_t at = i * kTileOutputs + lane;
    if (format_ == PackedFormat::f32) {
      std::memcpy(values + i, from + at * 4, 4);
    } else if (format_ == PackedFormat::bf16) {
      values[i] = tensor::to_float(tensor::Bf16{half_at(at)});
    } else if (format_ == PackedFormat::f16) {
      values[i] = tensor::half_to_float(half_at(at));
    } else {
      const int64_t block = i / kCodeBlock;
      const int64_t scales = blocks() * code_bytes(format_) / 2 + lane;
      const float scale = tensor::half_to_float(half_at(scales + block * kTileOutputs));
      const Place place = place_of(format_, i % kCodeBlock, lane);
      const uint8_t byte = from[block * code_bytes(format_) + place.byte];
      if (format_ == PackedFormat::q8) {
        values[i] = static_cast<float>(byte - 128) * scale;
        continue;
      }
      const int code = place.upper ? byte >> 4 : byte & 15;
      if (format_ == PackedFormat::q4_centred) {
        values[i] = static_cast<float>(code - 8) * scale;
      } else {
        const float offset =
            tensor::half_to_float(half_at(scales + (blocks() + block) * kTileOutputs));
        values[i] = static_cast<float>(code) * scale + offset;
      }
    }
  }
}

}  // namespace retort::kernels
