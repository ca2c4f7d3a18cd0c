#include "kernels/dropout.h"

namespace retort::kernels {

void dropout_reference(const Dropout<float>& args) {
  const auto dropped = static_cast<uint32_t>(static_cast<double>(args.rate) * 4294967296.0);
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t i = 0; i < args.width; ++i) {
      uint32_t hash = static_cast<uint32_t>(i) * 0x9e3779b9U ^ args.keys[row];
      hash = (hash ^ hash >> 16) * 0x7feb352dU;
      hash = (hash ^ hash >> 15) * 0x846ca68bU;
      hash ^= hash >> 16;
      const int64_t at = row * args.width + i;
      args.y[at] = hash >= dropped ? args.x[at] / (1 - args.rate) : 0;
    }
  }
}

}  // namespace retort::kernels
