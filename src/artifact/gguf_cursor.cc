#include "artifact/gguf_cursor_internal.h"

#include <fmt/core.h>

namespace retort::artifact {
namespace {

constexpr int kArrayDepth = 4;
// The smallest bytes of a string (its length) and of an array (type and count).
constexpr uint64_t kStringBytes = 8;
constexpr uint64_t kArrayBytes = 12;

}  // namespace

Error GgufCursor::fault(const std::string& message) const {
  return base::bad_input(message, fmt::format("{} at byte {}", where_, position_),
                         "the file is damaged or no GGUF file; get it again");
}

Error GgufCursor::ends_in(const char* what) const {
  return fault(fmt::format("the file ends inside {}", what));
}

Result<std::string> GgufCursor::take_string(const char* what, uint64_t limit_bytes) {
  RETORT_TRY(const auto size, take<uint64_t>(what));
  if (size > left()) return ends_in(what);
  if (size > limit_bytes) return fault(fmt::format("{} has {} bytes", what, size));
  std::string text(reinterpret_cast<const char*>(bytes_.data()) + position_, size);
  position_ += size;
  return text;
}

Result<uint64_t> GgufCursor::take_count(const char* what, uint64_t least_bytes) {
  RETORT_TRY(const auto count, take<uint64_t>(what));
  if (count > left() / least_bytes) {
    return fault(fmt::format("{} is {}, more than the file has room for", what, count));
  }
  return count;
}

template <class T>
Result<GgufArray> GgufCursor::take_numbers(uint64_t count) {
  if (count > left() / sizeof(T)) return ends_in("an array");
  std::vector<T> items(count);
  if (count > 0) std::memcpy(items.data(), bytes_.data() + position_, count * sizeof(T));
  position_ += count * sizeof(T);
  return GgufArray{std::move(items)};
}

Result<GgufArray> GgufCursor::take_bools(uint64_t count) {
  if (count > left()) return ends_in("an array");
  std::vector<bool> items(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint8_t byte = bytes_[position_ + i];
    if (byte > 1) return fault("a boolean is neither 0 nor 1");
    items[i] = byte == 1;
  }
  position_ += count;
  return GgufArray{std::move(items)};
}

Result<GgufArray> GgufCursor::take_strings(uint64_t count) {
  if (count > left() / kStringBytes) return ends_in("an array of strings");
  std::vector<std::string> items;
  items.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    RETORT_TRY(auto item, take_string("a string of an array", UINT64_MAX));
    items.push_back(std::move(item));
  }
  return GgufArray{std::move(items)};
}

Result<GgufArray> GgufCursor::take_array(int depth) {
  RETORT_TRY(const auto type, take<uint32_t>("the type of an array"));
  RETORT_TRY(const auto count, take_count("the length of an array", 1));
  switch (type) {
    case 0:
      return take_numbers<uint8_t>(count);
    case 1:
      return take_numbers<int8_t>(count);
    case 2:
      return take_numbers<uint16_t>(count);
    case 3:
      return take_numbers<int16_t>(count);
    case 4:
      return take_numbers<uint32_t>(count);
    case 5:
      return take_numbers<int32_t>(count);
    case 6:
      return take_numbers<float>(count);
    case 7:
      return take_bools(count);
    case 8:
      return take_strings(count);
    case 9:
      break;
    case 10:
      return take_numbers<uint64_t>(count);
    case 11:
      return take_numbers<int64_t>(count);
    case 12:
      return take_numbers<double>(count);
    default:
      return fault(fmt::format("{} is no value type", type));
  }
  if (depth >= kArrayDepth) return fault("arrays are nested too deeply");
  if (count > left() / kArrayBytes) return ends_in("an array of arrays");
  std::vector<GgufArray> items;
  for (uint64_t i = 0; i < count; ++i) {
    RETORT_TRY(auto item, take_array(depth + 1));
    items.push_back(std::move(item));
  }
  return GgufArray{std::move(items)};
}

namespace {

template <class T>
Result<GgufValue> as_value(Result<T> taken) {
  if (!taken) return taken.error();
  return GgufValue(std::in_place_type<T>, std::move(*taken));
}

}  // namespace

Result<GgufValue> GgufCursor::take_value(uint32_t type) {
  const char* what = "a metadata value";
  switch (type) {
    case 0:
      return as_value(take<uint8_t>(what));
    case 1:
      return as_value(take<int8_t>(what));
    case 2:
      return as_value(take<uint16_t>(what));
    case 3:
      return as_value(take<int16_t>(what));
    case 4:
      return as_value(take<uint32_t>(what));
    case 5:
      return as_value(take<int32_t>(what));
    case 6:
      return as_value(take<float>(what));
    case 7:
      break;
    case 8:
      return as_value(take_string(what, UINT64_MAX));
    case 9:
      return as_value(take_array(1));
    case 10:
      return as_value(take<uint64_t>(what));
    case 11:
      return as_value(take<int64_t>(what));
    case 12:
      return as_value(take<double>(what));
    default:
      return fault(fmt::format("{} is no value type", type));
  }
  RETORT_TRY(const auto byte, take<uint8_t>(what));
  if (byte > 1) return fault("a boolean is neither 0 nor 1");
  return GgufValue(std::in_place_type<bool>, byte == 1);
}

}  // namespace retort::artifact
