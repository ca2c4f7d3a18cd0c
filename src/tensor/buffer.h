// A zeroed block of numbers aligned for vector loads. Large blocks ask for huge pages, which spares
// the matrix products most of their address translation. Moves, does not copy.
#pragma once
#include <cstdint>
#include <span>
#include <utility>

namespace retort::tensor {

// Rounded up to 64 bytes; aborts the program when there is no memory.
void* allocate_aligned(int64_t size_bytes);
void free_aligned(void* memory, int64_t size_bytes);  // the size that was asked for

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(allocate_aligned(size * static_cast<int64_t>(sizeof(T))))),
        size_(size) {}
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { free_aligned(data_, size_ * static_cast<int64_t>(sizeof(T))); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  std::span<T> span() { return {data_, static_cast<size_t>(size_)}; }
  std::span<const T> span() const { return {data_, static_cast<size_t>(size_)}; }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace retort::tensor
