// One block of fp32 tensors as a safetensors file whose header follows from the tensor list alone,
// so that reading compares bytes instead of parsing them.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/weights.h"

namespace retort::train {

using Digests = std::vector<std::string>;  // SHA-256 as hex, one a tensor

Digests tensor_digests(const std::vector<model::TensorInfo>& tensors, std::span<const float> block);
// Written and synced.
Result<void> write_tensor_file(const std::string& path,
                               const std::vector<model::TensorInfo>& tensors,
                               std::span<const float> block);
// Refuses another size, another header, and a tensor that has another digest (by name).
Result<std::vector<float>> read_tensor_file(const std::string& path,
                                            const std::vector<model::TensorInfo>& tensors,
                                            const Digests& digests);

}  // namespace retort::train
