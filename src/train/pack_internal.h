// Values as bytes, for the other processes of the same run: they are the same program, so plain
// values go as they lie in memory. A type lists its fields once, for both ways. Private to the
// room.
#pragma once
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "base/check.h"

namespace retort::train {

class Packer {
 public:
  template <class... T>
  void fields(const T&... values) {
    (put(values), ...);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  template <class T>
  void put(const std::vector<T>& values) {
    put(values.size());
    for (const T& one : values) put(one);
  }
  void put(const std::string& text) {
    put(text.size());
    bytes_ += text;
  }

  std::string bytes_;
};

// In the order of packing; reading past the end is a programmer's mistake.
class Unpacker {
 public:
  explicit Unpacker(std::string bytes) : bytes_(std::move(bytes)) {}
  template <class... T>
  void fields(T&... values) {
    (get(values), ...);
  }

 private:
  const char* next(size_t size) {
    RETORT_CHECK(size <= bytes_.size() - at_, "{} bytes are wanted of {}", size,
                 bytes_.size() - at_);
    const char* found = bytes_.data() + at_;
    at_ += size;
    return found;
  }
  template <class T>
  void get(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(&value, next(sizeof(T)), sizeof(T));
  }
  template <class T>
  void get(std::vector<T>& values) {
    size_t size = 0;
    get(size);
    values.clear();
    for (size_t i = 0; i < size; ++i) {
      T one{};  // a vector of bool has no elements that could be referred to
      get(one);
      values.push_back(std::move(one));
    }
  }
  void get(std::string& text) {
    size_t size = 0;
    get(size);
    text.assign(next(size), size);
  }

  std::string bytes_;
  size_t at_ = 0;
};

}  // namespace retort::train
