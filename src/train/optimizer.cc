#include "train/optimizer.h"

#include <algorithm>

namespace retort::train {
namespace {

// Embeddings and head are tables of rows that stand for tokens, not maps between channels.
bool is_map(const model::TensorInfo& tensor) {
  return !tensor.is_vector && tensor.name.find(".layers.") != std::string::npos;
}

int64_t most_elements(const std::vector<model::TensorInfo>& tensors) {
  int64_t most = 0;
  for (const auto& tensor : tensors) {
    if (is_map(tensor)) most = std::max(most, tensor.size());
  }
  return most;
}

int64_t most_short_side(const std::vector<model::TensorInfo>& tensors) {
  int64_t most = 0;
  for (const auto& tensor : tensors) {
    if (is_map(tensor)) most = std::max(most, std::min(tensor.rows, tensor.cols));
  }
  return most;
}

int64_t elements(const std::vector<model::TensorInfo>& tensors) {
  int64_t sum = 0;
  for (const auto& tensor : tensors) sum += tensor.size();
  return sum;
}

}  // namespace

Optimizer::Optimizer(const Trainable& trained, const TrainOptions& options)
    : trained_(trained),
      muon_(options.optimizer == "muon"),
      adamw_{.beta1 = static_cast<float>(options.beta1),
             .beta2 = static_cast<float>(options.beta2),
             .eps = static_cast<float>(options.eps)},
      weight_decay_(options.weight_decay),
      momentum_(options.muon_momentum),
      first_(trained.block.size()),
      second_(trained.block.size()) {
  if (!muon_) return;
  orthogonal_ = std::make_unique<kernels::Muon>(most_elements(*trained.tensors),
                                                most_short_side(*trained.tensors));
}

int64_t Optimizer::memory_bytes(const std::vector<model::TensorInfo>& tensors,
                                const TrainOptions& options) {
  const int64_t moments = 2 * elements(tensors) * static_cast<int64_t>(sizeof(float));
  if (options.optimizer != "muon") return moments;
  return moments + kernels::Muon::memory_bytes(most_elements(tensors), most_short_side(tensors));
}

void Optimizer::step(std::span<const float> gradients, const Step& step) {
  adamw_.lr = static_cast<float>(step.lr);
  adamw_.gradient_scale = static_cast<float>(step.gradient_scale);
  adamw_.step = step.number;
  for (const model::TensorInfo& tensor : *trained_.tensors) {
    const int64_t at = tensor.offset;
    float* weights = trained_.block.data() + at;
    if (muon_ && is_map(tensor)) {
      orthogonal_->step({.lr = static_cast<float>(step.lr),
                         .momentum = static_cast<float>(momentum_),
                         .weight_decay = static_cast<float>(weight_decay_),
                         .gradient_scale = static_cast<float>(step.gradient_scale)},
                        {.rows = tensor.rows,
                         .cols = tensor.cols,
                         .weights = weights,
                         .gradients = gradients.data() + at,
                         .momentum = first_.data() + at});
      continue;
    }
    adamw_.weight_decay = tensor.is_vector ? 0 : static_cast<float>(weight_decay_);
    kernels::adamw_step(adamw_, {.size = tensor.size(),
                                 .weights = weights,
                                 .gradients = gradients.data() + at,
                                 .m = first_.data() + at,
                                 .v = second_.data() + at});
  }
}

std::vector<NamedBlock> Optimizer::state() {
  return {{"adam_first", first_}, {"adam_second", second_}};
}

}  // namespace retort::train
