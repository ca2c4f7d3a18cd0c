#include "train/probe.h"

#include <algorithm>
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

double step_tokens_per_second(const model::Config& config, int64_t document_tokens,
                              model::Precision precision) {
  const int64_t tokens = std::max(kProbeTokens, document_tokens);
  const model::Weights weights = model::Weights::random(config, 1);
  model::Network network(weights, tokens, precision);
  std::vector<float> gradients(weights.block().size());
  model::Batch batch;
  for (int64_t i = 0; i < tokens; ++i) {
    if (i % document_tokens == 0) batch.doc_starts.push_back(static_cast<int32_t>(i));
    batch.tokens.push_back(static_cast<int32_t>(i % config.vocab));
    batch.targets.push_back(static_cast<int32_t>((i + 1) % config.vocab));
  }
  batch.doc_starts.push_back(static_cast<int32_t>(tokens));
  const float scale = 1.0F / static_cast<float>(tokens);
  const auto step = [&] {
    const double began = base::monotonic_seconds();
    network.forward_backward(batch, scale, gradients);
    return base::monotonic_seconds() - began;
  };
  step();  // packing buffers, page faults
  return static_cast<double>(tokens) / std::min(step(), step());
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
  return frozen + (options.average > 0 ? 3 : 2) * of_trained +
         Optimizer::memory_bytes(trained, options) +
         model::Network::memory_bytes(config, options.batch_tokens, precision, lora);
}

Result<Estimate> estimate(const model::Config& config, const Workload& workload,
                          const TrainOptions& options, double tokens_per_second) {
  RETORT_TRY_VOID(validate(options));
  RETORT_TRY_VOID(model::validate(config));
  RETORT_TRY(const model::Precision precision, parse_precision(options.precision));
  if (workload.rows < 1 || workload.tokens_per_row < 1) {
    return base::usage_error("there are no rows to plan for");
  }
  Estimate out;
  const int64_t per_row = std::min(workload.tokens_per_row, options.batch_tokens);
  const int64_t rows_a_step = options.accumulate * (options.batch_tokens / per_row);
  out.steps = options.epochs * ((workload.rows + rows_a_step - 1) / rows_a_step);
  out.tokens = options.epochs * workload.rows * per_row;
  const int64_t block_bytes = config.parameters() * static_cast<int64_t>(sizeof(float));
  out.memory_bytes = training_memory_bytes(config, options, precision, nullptr);
  out.checkpoint_bytes = (options.average > 0 ? 4 : 3) * block_bytes;
  out.tokens_per_second = tokens_per_second > 0
                              ? tokens_per_second
                              : step_tokens_per_second(config, per_row, precision);
  out.seconds = static_cast<double>(out.tokens) / out.tokens_per_second;
  return out;
}

}  // namespace retort::train
