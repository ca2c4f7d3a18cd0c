#include "artifact/tensor_type.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "artifact/half.h"
#include "artifact/quantised.h"
#include "base/check.h"

namespace retort::artifact {
namespace {

template <class T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void store(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

// One block by way of its codes. Products of binary16 and small integers are exact in a float.
void block_numbers(TensorType type, const TensorTypeInfo& info, const CodeForm& form,
                   const uint8_t* block, float* to) {
  BlockCodes parts;
  unpack_block(type, block, parts);
  const float block_scale = f16_to_float(parts.scale);
  const float block_offset = f16_to_float(parts.offset);
  for (int64_t begin = 0, group = 0; begin < info.block; begin += form.group, ++group) {
    const float scale = block_scale * static_cast<float>(parts.factors[group]);
    for (int64_t i = begin; i < begin + form.group; ++i) {
      const uint8_t code = parts.codes[i];
      to[i] = static_cast<float>(form.table ? kUnevenLevels[code] : code - form.centre) * scale;
    }
    if (!form.offsets) continue;
    const float offset = block_offset * static_cast<float>(parts.offset_factors[group]);
    for (int64_t i = begin; i < begin + form.group; ++i) to[i] += offset;
  }
}

void quantise_q8_0_block(const float* from, uint8_t* block) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(from[i]));
  const float scale = largest / 127.0f;
  const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
  store(block, float_to_f16(scale));
  for (int i = 0; i < 32; ++i) {
    const float level = std::clamp(std::round(from[i] * inverse), -127.0f, 127.0f);
    store(block + 2 + i, static_cast<int8_t>(level == level ? level : 0.0f));
  }
}

}  // namespace

std::optional<TensorTypeInfo> type_info(TensorType type) {
  switch (type) {
    case TensorType::f32:
      return TensorTypeInfo{"F32", 1, 4};
    case TensorType::f16:
      return TensorTypeInfo{"F16", 1, 2};
    case TensorType::q4_0:
      return TensorTypeInfo{"Q4_0", 32, 18};
    case TensorType::q4_1:
      return TensorTypeInfo{"Q4_1", 32, 20};
    case TensorType::q5_0:
      return TensorTypeInfo{"Q5_0", 32, 22};
    case TensorType::q5_1:
      return TensorTypeInfo{"Q5_1", 32, 24};
    case TensorType::q8_0:
      return TensorTypeInfo{"Q8_0", 32, 34};
    case TensorType::q8_1:
      return TensorTypeInfo{"Q8_1", 32, 36};
    case TensorType::q2_k:
      return TensorTypeInfo{"Q2_K", 256, 84};
    case TensorType::q3_k:
      return TensorTypeInfo{"Q3_K", 256, 110};
    case TensorType::q4_k:
      return TensorTypeInfo{"Q4_K", 256, 144};
    case TensorType::q5_k:
      return TensorTypeInfo{"Q5_K", 256, 176};
    case TensorType::q6_k:
      return TensorTypeInfo{"Q6_K", 256, 210};
    case TensorType::q8_k:
      return TensorTypeInfo{"Q8_K", 256, 292};
    case TensorType::iq4_nl:
      return TensorTypeInfo{"IQ4_NL", 32, 18};
    case TensorType::i8:
      return TensorTypeInfo{"I8", 1, 1};
    case TensorType::i16:
      return TensorTypeInfo{"I16", 1, 2};
    case TensorType::i32:
      return TensorTypeInfo{"I32", 1, 4};
    case TensorType::i64:
      return TensorTypeInfo{"I64", 1, 8};
    case TensorType::f64:
      return TensorTypeInfo{"F64", 1, 8};
    case TensorType::bf16:
      return TensorTypeInfo{"BF16", 1, 2};
  }
  return std::nullopt;
}

const char* name(TensorType type) {
  const auto info = type_info(type);
  return info ? info->name : "unknown";
}

std::optional<int64_t> type_bytes(TensorType type, int64_t elements) {
  const auto info = type_info(type);
  int64_t bytes = 0;
  if (!info || elements < 0 || elements % info->block != 0) return std::nullopt;
  if (__builtin_mul_overflow(elements / info->block, info->block_bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

bool can_dequantise(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16 ||
         code_form(type).has_value();
}

const char* readable_types() {
  return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K or IQ4_NL";
}

Result<void> dequantise(TensorType type, std::span<const uint8_t> bytes, std::span<float> to) {
  if (!can_dequantise(type)) {
    return base::bad_input(fmt::format("tensors of type {} cannot be read", name(type)), "",
                           fmt::format("use a file of type {}", readable_types()));
  }
  const auto size = static_cast<int64_t>(to.size());
  RETORT_CHECK(type_bytes(type, size) == static_cast<int64_t>(bytes.size()), "{} bytes for {} {}",
               bytes.size(), size, name(type));
  const uint8_t* from = bytes.data();
  if (type == TensorType::f32) {
    if (size > 0) std::memcpy(to.data(), from, bytes.size());
    return {};
  }
  if (const auto form = code_form(type)) {
    const TensorTypeInfo info = *type_info(type);
    for (int64_t i = 0; i < size; i += info.block, from += info.block_bytes) {
      block_numbers(type, info, *form, from, to.data() + i);
    }
    return {};
  }
  for (float& value : to) {
    const auto bits = load<uint16_t>(from);
    value = type == TensorType::f16 ? f16_to_float(bits) : bf16_to_float(bits);
    from += 2;
  }
  return {};
}

bool can_quantise(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16 ||
         type == TensorType::q8_0;
}

Result<void> quantise(TensorType type, std::span<const float> from, std::span<uint8_t> to) {
  if (!can_quantise(type)) {
    return base::bad_input(fmt::format("tensors of type {} cannot be written", name(type)), "",
                           "write F32, F16, BF16 or Q8_0");
  }
  const auto size = static_cast<int64_t>(from.size());
  RETORT_CHECK(type_bytes(type, size) == static_cast<int64_t>(to.size()), "{} bytes for {} {}",
               to.size(), size, name(type));
  uint8_t* target = to.data();
  const TensorTypeInfo info = *type_info(type);
  for (int64_t i = 0; i < size; i += info.block, target += info.block_bytes) {
    const float* const values = from.data() + i;
    switch (type) {
      case TensorType::f32:
        store(target, *values);
        break;
      case TensorType::f16:
        store(target, float_to_f16(*values));
        break;
      case TensorType::bf16:
        store(target, float_to_bf16(*values));
        break;
      default:
        quantise_q8_0_block(values, target);
        break;
    }
  }
  return {};
}

}  // namespace retort::artifact
