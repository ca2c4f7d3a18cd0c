#include "train/probe.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "kernels/convert.h"
#include "kernels/matmul.h"
#include "model/weights.h"
#include "train/optimizer.h"

namespace retort::train {
namespace {

constexpr double kProbeSeconds = 0.5;
constexpr int64_t kProbeTokens = 1024;
constexpr int64_t kMostProductRows = 2048;  // products of more rows are no faster

// One product as the network does it; the sizes say which matrices it needs.
struct Task {
  kernels::MatmulShape shape;
  int64_t weights_at = 0;  // where its weights (or their gradient) lie
};

// Forward, gradient of the inputs, gradient of the weights [rows, cols], for `n` tokens.
void add_tasks(std::vector<Task>& tasks, const model::TensorInfo& w, int64_t n) {
  using kernels::Product;
  tasks.push_back({{Product::nt, n, w.rows, w.cols}, w.offset});
  tasks.push_back({{Product::nn, n, w.cols, w.rows}, w.offset});
  tasks.push_back({{Product::tn, w.rows, w.cols, n}, w.offset});
}

// With the weights frozen, and where they are a target's the gradients of A and B in place of
// theirs.
void add_frozen_tasks(std::vector<Task>& tasks, const model::TensorInfo& w, int64_t n,
                      int64_t rank) {
  using kernels::Product;
  tasks.push_back({{Product::nt, n, w.rows, w.cols}, w.offset});
  tasks.push_back({{Product::nn, n, w.cols, w.rows}, w.offset});
  if (rank == 0) return;
  tasks.push_back({{Product::nt, n, rank, w.cols}, w.offset});
  tasks.push_back({{Product::tn, w.rows, rank, n}, w.offset});
  tasks.push_back({{Product::nn, n, rank, w.rows}, w.offset});
  tasks.push_back({{Product::tn, rank, w.cols, n}, w.offset});
}

int64_t rank_at(const model::LoraConfig& lora, const std::string& name) {
  const bool target = std::ranges::any_of(lora.targets, [&](model::Projection p) {
    return name.ends_with(std::string(".") + model::name(p) + ".weight");
  });
  return target ? lora.rank : 0;
}

double flops(const Task& task) {
  return 2.0 * static_cast<double>(task.shape.m) * static_cast<double>(task.shape.n) *
         static_cast<double>(task.shape.k);
}

// Values that are neither zero nor denormal.
std::vector<float> filled(int64_t size) {
  std::vector<float> values(static_cast<size_t>(size));
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.01F * static_cast<float>(i % 97) - 0.4F;
  return values;
}

std::vector<float> convert(const std::vector<float>& values, float /*as*/) {
  return values;
}
std::vector<kernels::Bf16> convert(const std::vector<float>& values, kernels::Bf16 /*as*/) {
  std::vector<kernels::Bf16> out(values.size());
  kernels::to_bf16(values.data(), out.data(), static_cast<int64_t>(values.size()));
  return out;
}

template <class Input>
double seconds_a_pass(const std::vector<Task>& tasks, int64_t weights_size) {
  int64_t largest = 0;
  double total = 0;
  for (const Task& task : tasks) {
    const int64_t right_size = task.shape.n * task.shape.k, out_size = task.shape.m * task.shape.n;
    largest = std::max({largest, task.shape.m * task.shape.k, out_size, right_size});
    const bool of_weights = task.shape.product == kernels::Product::tn;
    weights_size = std::max(weights_size, task.weights_at + (of_weights ? out_size : right_size));
    total += flops(task);
  }
  const auto weights = convert(filled(weights_size), Input{});
  const auto left = convert(filled(largest), Input{});
  const auto right = convert(filled(largest), Input{});
  std::vector<float> out(static_cast<size_t>(std::max(largest, weights_size)));
  double done = 0;
  const auto run = [&](const Task& task) {
    const bool of_weights = task.shape.product == kernels::Product::tn;
    kernels::matmul(task.shape, left.data(),
                    of_weights ? right.data() : weights.data() + task.weights_at,
                    of_weights ? out.data() + task.weights_at : out.data());
    done += flops(task);
  };
  run(tasks.front());  // packing buffers, threads
  done = 0;
  const double began = base::monotonic_seconds();
  double now = began;
  // Mixed up, because a large model is measured by some of its products only.
  const auto order =
      base::permutation(static_cast<uint32_t>(tasks.size()), /*seed=*/1, /*stream=*/0);
  for (size_t i = 0; now - began < kProbeSeconds; i = (i + 1) % order.size()) {
    run(tasks[order[i]]);
    now = base::monotonic_seconds();
  }
  return (now - began) * total / done;
}

}  // namespace

double products_tokens_per_second(const model::Config& config, const ProductsOf& of,
                                  model::Precision precision) {
  const int64_t rows = std::min(of.tokens, kMostProductRows);
  const auto counted = static_cast<int64_t>(of.trained_share * static_cast<double>(rows));
  std::vector<Task> tasks;
  int64_t weights_size = 0;
  for (const model::TensorInfo& tensor : model::tensor_list(config)) {
    weights_size = std::max(weights_size, tensor.offset + tensor.size());
    if (tensor.is_vector) continue;
    const bool embedding = tensor.name == "model.embed_tokens.weight";
    const bool head = tensor.name == "lm_head.weight" || (embedding && config.tied_embeddings);
    if (embedding && !head) continue;  // looked up, not multiplied
    const int64_t n = head ? std::max<int64_t>(counted, 1) : rows;
    if (of.lora == nullptr) {
      add_tasks(tasks, tensor, n);
    } else {
      add_frozen_tasks(tasks, tensor, n, rank_at(*of.lora, tensor.name));
    }
  }
  const double seconds = precision == model::Precision::bf16
                             ? seconds_a_pass<kernels::Bf16>(tasks, weights_size)
                             : seconds_a_pass<float>(tasks, weights_size);
  return static_cast<double>(rows) / seconds;
}

namespace {

// Documents of any tokens, each position a target.
model::Batch some_batch(const model::Config& config, int64_t document_tokens) {
  const int64_t tokens = std::max(kProbeTokens, document_tokens);
  model::Batch batch;
  for (int64_t i = 0; i < tokens; ++i) {
    if (i % document_tokens == 0) batch.doc_starts.push_back(static_cast<int32_t>(i));
    batch.tokens.push_back(static_cast<int32_t>(i % config.vocab));
    batch.targets.push_back(static_cast<int32_t>((i + 1) % config.vocab));
  }
  batch.doc_starts.push_back(static_cast<int32_t>(tokens));
  return batch;
}

double rate_of(const model::Batch& batch, const std::function<void()>& pass) {
  const auto timed = [&] {
    const double began = base::monotonic_seconds();
    pass();
    return base::monotonic_seconds() - began;
  };
  timed();  // packing buffers, page faults
  return static_cast<double>(batch.tokens.size()) / std::min(timed(), timed());
}

}  // namespace

double step_tokens_per_second(const model::Config& config, int64_t document_tokens,
                              model::Precision precision, const model::LoraConfig* lora,
                              model::Use use) {
  const model::Weights weights = model::Weights::random(config, 1);
  std::optional<model::Adapter> adapter;
  if (lora != nullptr) adapter = model::Adapter::random(config, *lora, 1);
  const model::Batch batch = some_batch(config, document_tokens);
  const auto tokens = static_cast<int64_t>(batch.tokens.size());
  model::Network network(weights, tokens, precision, adapter ? &*adapter : nullptr, use);
  std::vector<float> gradients(adapter ? adapter->block().size() : weights.block().size());
  return rate_of(batch, [&] {
    network.forward_backward(batch, 1.0F / static_cast<float>(tokens), gradients);
  });
}

double forward_tokens_per_second(const model::Config& config, int64_t document_tokens,
                                 model::Precision precision) {
  const model::Weights weights = model::Weights::random(config, 1);
  const model::Batch batch = some_batch(config, document_tokens);
  model::Network network(weights, static_cast<int64_t>(batch.tokens.size()), precision, nullptr,
                         model::Use::inference);
  return rate_of(batch, [&] { network.loss(batch); });
}

int64_t training_memory_bytes(const model::Config& config, const TrainOptions& options,
                              model::Precision precision, const model::LoraConfig* lora) {
  const auto trained =
      lora == nullptr ? model::tensor_list(config) : model::tensor_list(config, *lora);
  int64_t elements = 0;
  for (const model::TensorInfo& tensor : trained) elements += tensor.size();
  const int64_t of_trained = elements * static_cast<int64_t>(sizeof(float));
  const int64_t frozen =
      lora == nullptr ? 0 : config.parameters() * static_cast<int64_t>(sizeof(float));
  const auto use = options.recompute == "always" ? model::Use::recomputing : model::Use::training;
  const int64_t dropping =
      options.dropout > 0 ? model::Network::dropout_bytes(config, options.batch_tokens, precision)
                          : 0;
  return frozen + (options.average > 0 ? 3 : 2) * of_trained +
         Optimizer::memory_bytes(trained, options) + dropping +
         model::Network::memory_bytes(config, options.batch_tokens, precision, lora, use);
}

}  // namespace retort::train
