// What training changes: tensors in one block of fp32, all weights of a model or an adapter's. And
// what belongs to them element by element, such as an optimizer's moments.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "model/weights.h"

namespace retort::train {

struct Trainable {
  const std::vector<model::TensorInfo>* tensors = nullptr;
  std::span<float> block = {};
};

// Laid out as the block of a Trainable.
struct NamedBlock {
  std::string name;
  std::span<float> values;
};

}  // namespace retort::train
