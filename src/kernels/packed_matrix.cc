#include "kernels/packed_matrix.h"

#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace retort::kernels {
namespace {

constexpr int64_t kQuads = kCodeBlock / 4;  // of one output in a block
constexpr int64_t kVectorBytes = kTileOutputs * 4;

TileParts parts_of(PackedFormat format, int64_t in) {
  constexpr int64_t kAlign = 64;
  const CodeShape shape = code_shape(format);
  TileParts parts;
  if (shape.bits == 0) {
    parts.bytes = in * kTileOutputs * (format == PackedFormat::f32 ? 4 : 2);
  } else {
    const int64_t halves = in / (shape.factors ? kFactorSpan : kCodeBlock) * kTileOutputs * 2;
    const int64_t factors = shape.factors ? in / shape.group * kTileOutputs : 0;
    parts.scales = in / kCodeBlock * code_bytes(format);
    parts.offsets = parts.scales + halves;
    parts.factors = parts.offsets + (shape.offsets ? halves : 0);
    parts.offset_factors = parts.factors + factors;
    parts.bytes = parts.offset_factors + (shape.offsets ? factors : 0);
  }
  parts.bytes = (parts.bytes + kAlign - 1) / kAlign * kAlign;
  return parts;
}

// `bits` of every code, from bit `at` on: a block's quads of one output to or from a plane.
struct Plane {
  int bits, at;
  int per() const { return 8 / bits; }
  uint32_t mask() const { return ((1u << bits) - 1) * 0x01010101u; }

  void put(const uint32_t quads[kQuads], uint8_t* to) const {
    for (int64_t vector = 0; vector < kQuads / per(); ++vector) {
      uint32_t word = 0;
      for (int i = 0; i < per(); ++i) {
        word |= (quads[vector * per() + i] >> at & mask()) << bits * i;
      }
      std::memcpy(to + vector * kVectorBytes, &word, 4);
    }
  }
  void add(const uint8_t* from, uint32_t quads[kQuads]) const {
    for (int64_t quad = 0; quad < kQuads; ++quad) {
      uint32_t word;
      std::memcpy(&word, from + quad / per() * kVectorBytes, 4);
      quads[quad] |= (word >> bits * (quad % per()) & mask()) << at;
    }
  }
};

// f(plane, where it begins among the codes of a block)
template <class F>
void each_plane(PackedFormat format, F f) {
  const int bits = code_shape(format).bits;
  const int first = first_plane(bits);
  f(Plane{first, 0}, 0);
  if (bits > first) f(Plane{bits - first, first}, first * kVectorBytes);
}

// Numbers of one lane, 16 lanes side by side.
template <class T>
void put_lane(uint8_t* to, int64_t lane, const T* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + (i * kTileOutputs + lane) * static_cast<int64_t>(sizeof(T)), from + i,
                sizeof(T));
  }
}
template <class T>
T lane_at(const uint8_t* from, int64_t lane, int64_t index) {
  T value;
  std::memcpy(&value, from + (index * kTileOutputs + lane) * static_cast<int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}

}  // namespace

PackedMatrix::PackedMatrix(PackedFormat format, int64_t out, int64_t in)
    : format_(format), out_(out), in_(in), parts_(parts_of(format, in)) {
  RETORT_CHECK(out > 0 && in > 0, "{} x {}", out, in);
  const int64_t whole = code_shape(format).factors ? kFactorSpan : kCodeBlock;
  RETORT_CHECK(!quantised() || in % whole == 0, "{} inputs", in);
  data_ = tensor::Buffer<uint8_t>(tiles() * parts_.bytes);
}

int64_t PackedMatrix::memory_bytes(PackedFormat format, int64_t out, int64_t in) {
  return (out + kTileOutputs - 1) / kTileOutputs * parts_of(format, in).bytes;
}

void PackedMatrix::set_row(int64_t row, const float* values) {
  RETORT_CHECK(format_ == PackedFormat::f32 || format_ == PackedFormat::bf16);
  uint8_t* tile = data_.data() + row / kTileOutputs * parts_.bytes;
  const int64_t lane = row % kTileOutputs;
  if (format_ == PackedFormat::f32) return put_lane(tile, lane, values, in_);
  for (int64_t i = 0; i < in_; ++i) {
    const tensor::Bf16 rounded = tensor::to_bf16(values[i]);
    put_lane(tile + i * kTileOutputs * 2, lane, &rounded, 1);
  }
}

void PackedMatrix::set_row_half(int64_t row, const uint16_t* bits) {
  RETORT_CHECK(format_ == PackedFormat::f16);
  put_lane(data_.data() + row / kTileOutputs * parts_.bytes, row % kTileOutputs, bits, in_);
}

void PackedMatrix::set_row_codes(int64_t row, const CodedRow& from) {
  RETORT_CHECK(quantised());
  const CodeShape shape = code_shape(format_);
  uint8_t* tile = data_.data() + row / kTileOutputs * parts_.bytes;
  const int64_t lane = row % kTileOutputs;
  for (int64_t block = 0; block < blocks(); ++block) {
    uint32_t quads[kQuads];
    std::memcpy(quads, from.codes + block * kCodeBlock, sizeof quads);
    each_plane(format_, [&](const Plane& plane, int64_t begin) {
      plane.put(quads, tile + block * code_bytes(format_) + begin + lane * 4);
    });
  }
  const int64_t scales = in_ / (shape.factors ? kFactorSpan : kCodeBlock);
  put_lane(tile + parts_.scales, lane, from.scales, scales);
  if (shape.offsets) put_lane(tile + parts_.offsets, lane, from.offsets, scales);
  if (!shape.factors) return;
  const int64_t factors = in_ / shape.group;
  put_lane(tile + parts_.factors, lane, from.factors, factors);
  if (shape.offsets) put_lane(tile + parts_.offset_factors, lane, from.offset_factors, factors);
}

void PackedMatrix::get_codes(int64_t row, int64_t block, uint8_t* codes) const {
  uint32_t quads[kQuads] = {};
  const uint8_t* from = tile(row / kTileOutputs) + block * code_bytes(format_);
  each_plane(format_, [&](const Plane& plane, int64_t begin) {
    plane.add(from + begin + row % kTileOutputs * 4, quads);
  });
  std::memcpy(codes, quads, sizeof quads);
}

void PackedMatrix::get_coded_row(int64_t row, float* values) const {
  const CodeShape shape = code_shape(format_);
  const uint8_t* from = tile(row / kTileOutputs);
  const int64_t lane = row % kTileOutputs;
  const auto scaled = [&](int64_t halves, int64_t factors, int64_t input) {
    const int64_t index = input / (shape.factors ? kFactorSpan : kCodeBlock);
    const float scale = tensor::half_to_float(lane_at<uint16_t>(from + halves, lane, index));
    if (!shape.factors) return scale;
    return scale * static_cast<float>(lane_at<int8_t>(from + factors, lane, input / shape.group));
  };
  for (int64_t begin = 0; begin < in_; begin += shape.group) {
    uint8_t codes[kCodeBlock];
    get_codes(row, begin / kCodeBlock, codes);
    const float scale = scaled(parts_.scales, parts_.factors, begin);
    const float offset = shape.offsets ? scaled(parts_.offsets, parts_.offset_factors, begin) : 0;
    for (int64_t i = begin; i < begin + shape.group; ++i) {
      const uint8_t code = codes[i % kCodeBlock];
      values[i] =
          static_cast<float>(shape.uneven ? kUnevenLevels[code] : code - shape.centre) * scale;
      if (shape.offsets) values[i] += offset;
    }
  }
}

void PackedMatrix::get_row(int64_t row, float* values) const {
  if (quantised()) return get_coded_row(row, values);
  const uint8_t* from = tile(row / kTileOutputs);
  const int64_t lane = row % kTileOutputs;
  for (int64_t i = 0; i < in_; ++i) {
    if (format_ == PackedFormat::f32) {
      values[i] = lane_at<float>(from, lane, i);
    } else {
      const auto bits = lane_at<uint16_t>(from, lane, i);
      values[i] = format_ == PackedFormat::f16 ? tensor::half_to_float(bits)
                                               : tensor::to_float(tensor::Bf16{bits});
    }
  }
}

}  // namespace retort::kernels
