#include "tensor/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace retort::tensor {
namespace {
constexpr int64_t kHugePage = int64_t{2} << 20;
}  // namespace

void* allocate_aligned(int64_t size_bytes) {
  RETORT_CHECK(size_bytes >= 0 && size_bytes < int64_t{1} << 46, "size {}", size_bytes);
  if (size_bytes == 0) return nullptr;
  const bool large = size_bytes >= 2 * kHugePage;
  const int64_t alignment = large ? kHugePage : 64;
  const int64_t rounded = (size_bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(rounded));
  RETORT_CHECK(memory != nullptr, "no memory for {} bytes", rounded);
  if (large) madvise(memory, static_cast<size_t>(rounded), MADV_HUGEPAGE);
  std::memset(memory, 0, static_cast<size_t>(rounded));
  return memory;
}

void free_aligned(void* memory) {
  std::free(memory);
}

}  // namespace retort::tensor
