// The element types of GGUF tensors: how large a row of them is, and what numbers it stands for.
// Quantised types come in blocks of 32 (or 256) elements along a row.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"

namespace retort::artifact {

// Numbered as in the file.
enum class TensorType : uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q8_1 = 9,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq4_nl = 20,
  i8 = 24,
  i16 = 25,
  i32 = 26,
  i64 = 27,
  f64 = 28,
  bf16 = 30,
};

struct TensorTypeInfo {
  const char* name;  // "Q4_1"
  int64_t block;     // elements a block
  int64_t block_bytes;
};

// Nothing for a number that is no known type.
std::optional<TensorTypeInfo> type_info(TensorType type);
const char* name(TensorType type);

// Bytes of `elements` in whole blocks; nothing when they are no whole blocks or too many to count.
std::optional<int64_t> type_bytes(TensorType type, int64_t elements);

// Numbers of the types that can be read, exactly as ggml defines them; others are refused by name.
// `bytes` holds exactly as many whole blocks as `to` has room for, which the caller sees to.
bool can_dequantise(TensorType type);
const char* readable_types();  // "F32, F16, ... or IQ4_NL", for a refusal
Result<void> dequantise(TensorType type, std::span<const uint8_t> bytes, std::span<float> to);

// The way back: F32, F16, BF16, and Q8_0 as llama.cpp rounds it (scale max|x| / 127 in binary16).
bool can_quantise(TensorType type);
Result<void> quantise(TensorType type, std::span<const float> from, std::span<uint8_t> to);

}  // namespace retort::artifact
