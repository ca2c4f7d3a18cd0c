#include "tensor/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace retort::tensor {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

bool is_large(int64_t size_bytes) {
  return size_bytes >= 2 * kHugePage;
}

int64_t rounded_up(int64_t size_bytes) {
  const int64_t alignment = is_large(size_bytes) ? kHugePage : 64;
  return (size_bytes + alignment - 1) / alignment * alignment;
}

// Fresh pages of the system are zero and cost nothing before they are touched.
void* map_huge(int64_t size_bytes) {
  const auto wanted = static_cast<size_t>(size_bytes);
  const size_t mapped = wanted + kHugePage;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  RETORT_CHECK(memory != MAP_FAILED, "no memory for {} bytes", size_bytes);
  auto* begin = static_cast<uint8_t*>(memory);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + wanted, mapped - before - wanted);
  madvise(begin + before, wanted, MADV_HUGEPAGE);
  return begin + before;
}

}  // namespace

void* allocate_aligned(int64_t size_bytes) {
  RETORT_CHECK(size_bytes >= 0 && size_bytes < int64_t{1} << 46, "size {}", size_bytes);
  if (size_bytes == 0) return nullptr;
  const int64_t rounded = rounded_up(size_bytes);
  if (is_large(size_bytes)) return map_huge(rounded);
  void* memory = std::aligned_alloc(64, static_cast<size_t>(rounded));
  RETORT_CHECK(memory != nullptr, "no memory for {} bytes", rounded);
  std::memset(memory, 0, static_cast<size_t>(rounded));
  return memory;
}

void free_aligned(void* memory, int64_t size_bytes) {
  if (memory == nullptr) return;
  if (is_large(size_bytes)) {
    munmap(memory, static_cast<size_t>(rounded_up(size_bytes)));
  } else {
    std::free(memory);
  }
}

}  // namespace retort::tensor
