// Rows of a table by token id, and the gradient: each token's row is added to its entry. Backward
// splits columns over threads, so that tokens are added in their order and the bits do not depend
// on the number of threads.
#pragma once
#include <cstdint>
#include <span>

namespace retort::kernels {

// y[i, :] = table[ids[i], :]; ids are checked by the caller to be rows of the table.
void embedding(std::span<const int32_t> ids, int64_t width, const float* table, float* y);
// dtable[ids[i], :] += dy[i, :]
void embedding_backward(std::span<const int32_t> ids, int64_t width, const float* dy,
                        float* dtable);

}  // namespace retort::kernels
