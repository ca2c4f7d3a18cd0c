// Reads a GGUF file from its start, never past its end. Every take is checked against what is left.
#pragma once
#include <cstring>
#include <span>
#include <string>

#include "artifact/gguf.h"

namespace retort::artifact {

class GgufCursor {
 public:
  GgufCursor(std::span<const uint8_t> bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  int64_t position() const { return static_cast<int64_t>(position_); }
  uint64_t left() const { return bytes_.size() - position_; }

  // An error at the present place of the file.
  Error fault(const std::string& message) const;

  template <class T>
  Result<T> take(const char* what) {
    if (left() < sizeof(T)) return ends_in(what);
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }
  Result<std::string> take_string(const char* what, uint64_t limit_bytes);
  // A count of things that take at least `least_bytes` each: more than can be there is an error.
  Result<uint64_t> take_count(const char* what, uint64_t least_bytes);
  Result<GgufValue> take_value(uint32_t type);

 private:
  Error ends_in(const char* what) const;
  template <class T>
  Result<GgufArray> take_numbers(uint64_t count);
  Result<GgufArray> take_bools(uint64_t count);
  Result<GgufArray> take_strings(uint64_t count);
  Result<GgufArray> take_array(int depth);

  std::span<const uint8_t> bytes_;
  const std::string& where_;
  size_t position_ = 0;
};

}  // namespace retort::artifact
