// Training speed of one model shape: the loss is first compared with a plain forward pass in
// double, then the step's matrix products are timed alone, streamed over the layers as the step
// streams them, then whole steps: forward, backward, gradient norm, AdamW. `lora` trains an adapter
// of rank 16 beside every projection of smollm2. Prints one JSON line.
//
//   retort_bench_train_step [student|smollm2|lora|POINT] [fp32|bf16] [seconds]
//
// A POINT is SHAPE@CONTEXTxDOCUMENTS, SHAPE smollm2 or LAYERSxWIDTH ("8x256@1024x4").
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "artifact/safetensors.h"
#include "base/cpu.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/random.h"
#include "kernels/adamw.h"
#include "kernels/norm.h"
#include "model/network.h"
#include "plain_forward.h"
#include "products.h"
#include "tensor/buffer.h"

namespace {

using namespace retort;
using kernels::Bf16;
using model::Batch;
using model::Config;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Task {
  std::string name;
  Config config;
  int64_t tokens;
  std::vector<int32_t> lengths;  // of documents, repeated until the batch is full
  int64_t rank = 0;              // of an adapter of all projections; 0: every weight is trained
};

// What a step changes.
struct Model {
  model::Weights weights;
  std::optional<model::Adapter> adapter;

  const model::Adapter* trained() const { return adapter ? &*adapter : nullptr; }
  std::span<float> block() { return adapter ? adapter->block() : weights.block(); }
  model::Network network(int64_t tokens, model::Precision precision) const {
    return {weights, tokens, precision, trained()};
  }
};

// An adapter's B is not zero, so that it counts in the loss that both sides compare.
Model make_model(const Task& task) {
  Model made{model::Weights::random(task.config, 1), std::nullopt};
  if (task.rank == 0) return made;
  made.adapter = model::Adapter::random(
      task.config, {.rank = task.rank, .alpha = 2.0 * static_cast<double>(task.rank)}, 1);
  base::Random random(2);
  for (float& value : made.block()) {
    if (value == 0) value = static_cast<float>(0.02 * random.normal());
  }
  return made;
}

int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) * 1024;
  }
  return 0;
}

// torch_peer.py makes the same batch: both draw from the same recurrence.
class Draw {
 public:
  uint32_t below(uint32_t n) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<uint32_t>((uint64_t{state_} * n) >> 32);
  }

 private:
  uint32_t state_ = 12345;
};

Batch make_batch(const Task& task, int64_t tokens) {
  Batch batch;
  batch.doc_starts.push_back(0);
  Draw draw;
  for (size_t document = 0; batch.doc_starts.back() < tokens; ++document) {
    const int64_t left = tokens - batch.doc_starts.back();
    const int64_t length = std::min<int64_t>(left, task.lengths[document % task.lengths.size()]);
    for (int64_t i = 0; i < length; ++i) {
      const auto vocab = static_cast<uint32_t>(task.config.vocab);
      batch.tokens.push_back(static_cast<int32_t>(draw.below(vocab)));
      const auto target = static_cast<int32_t>(draw.below(vocab));
      batch.targets.push_back(i * 10 < length * 3 ? -1 : target);  // the question does not count
    }
    batch.doc_starts.push_back(static_cast<int32_t>(batch.tokens.size()));
  }
  return batch;
}

template <class F>
double best_time(double seconds, F f) {
  double best = 1e30;
  const double stop = now() + seconds;
  do {
    const double start = now();
    f();
    best = std::min(best, now() - start);
  } while (now() < stop);
  return best;
}

// The weights and the loss of the whole batch, for the peer: it trains the same model on the same
// data, and must agree before it is timed.
bool leave_reference(const Task& task, const Model& made, model::Precision precision) {
  const char* shared = std::getenv("RETORT_BENCH_SHARED");
  if (shared == nullptr) return true;
  const Batch batch = make_batch(task, task.tokens);
  const model::LossSum loss = made.network(task.tokens, precision).loss(batch);
  std::vector<artifact::SafeTensorSpec> specs;
  for (const auto& info : made.weights.tensors()) {
    specs.push_back({info.name, "F32",
                     info.is_vector ? std::vector<int64_t>{info.cols}
                                    : std::vector<int64_t>{info.rows, info.cols}});
  }
  const std::string stem = base::join(shared, task.name);
  auto writer = artifact::SafetensorsWriter::create(
      stem + ".safetensors",
      {{"loss", fmt::format("{:.6f}", loss.nll_sum / static_cast<double>(loss.tokens))}}, specs);
  if (!writer) return false;
  for (const auto& info : made.weights.tensors()) {
    if (!writer->add(made.weights.tensor(info.name))) return false;
  }
  if (made.adapter && !model::save_adapter(*made.adapter, stem + ".adapter", task.name)) {
    return false;
  }
  return writer->finish().ok();
}

int check_loss(const Task& task, const Model& made, model::Precision precision) {
  const Batch batch = make_batch(task, std::min<int64_t>(task.lengths[0], 24));
  model::Network network = made.network(static_cast<int64_t>(batch.tokens.size()), precision);
  const double found = network.loss(batch).nll_sum;
  model::Weights whole = made.weights;
  if (made.adapter) model::merge(whole, *made.adapter);
  const double expected = bench::PlainForward(whole).nll(batch);
  const double bound = precision == model::Precision::bf16 ? 5e-3 : 1e-5;
  fmt::print(stderr, "loss {:.6f}, plain forward {:.6f}\n", found, expected);
  if (std::abs(found - expected) <= bound * expected) return 0;
  fmt::print(stderr, "the losses differ: nothing is timed\n");
  return 1;
}

struct Times {
  double products = 1e30;
  double step = 1e30;
  double product_flops = 0;
  int64_t peak_bytes = 0;  // of the process after whole steps, before products alone
};

// Products and whole steps take turns, so that a change of the machine's load meets both.
Times measure(const Task& task, Model& made, model::Precision precision, double seconds) {
  const Batch batch = make_batch(task, task.tokens);
  const auto counted =
      static_cast<int64_t>(std::ranges::count_if(batch.targets, [](int32_t t) { return t >= 0; }));
  const auto size = static_cast<int64_t>(made.block().size());
  model::Network network = made.network(task.tokens, precision);
  tensor::Buffer<float> gradients(size), m(size), v(size);
  int64_t step = 0;
  const auto train = [&] {
    std::fill_n(gradients.data(), size, 0.0f);
    network.forward_backward(batch, 1.0f / static_cast<float>(counted), gradients.span());
    const double norm = std::sqrt(kernels::sum_of_squares(gradients.span()));
    kernels::adamw_step({.lr = 1e-4f,
                         .weight_decay = 0.1f,
                         .step = ++step,
                         .gradient_scale = static_cast<float>(std::min(1.0, 1.0 / norm))},
                        {size, made.block().data(), gradients.data(), m.data(), v.data()});
    network.refresh();
  };
  train();
  Times times;
  times.peak_bytes = peak_memory_bytes();
  const auto alternate = [&](auto products) {
    times.product_flops = products.flops();
    products.run();  // not timed: pages and caches are new
    for (int round = 0; round < 3; ++round) {
      times.products = std::min(times.products, best_time(seconds / 6, [&] { products.run(); }));
      times.step = std::min(times.step, best_time(seconds / 6, train));
    }
  };
  if (network.precision() == model::Precision::bf16) {
    alternate(bench::Products<Bf16>(task.config, task.tokens, counted, task.rank));
  } else {
    alternate(bench::Products<float>(task.config, task.tokens, counted, task.rank));
  }
  return times;
}

const Config kStudent{.vocab = 4096,
                      .width = 256,
                      .layers = 8,
                      .heads = 8,
                      .kv_heads = 4,
                      .head_dim = 32,
                      .ffn = 704};
const Config kSmollm2{.vocab = 49152,
                      .width = 576,
                      .layers = 30,
                      .heads = 9,
                      .kv_heads = 3,
                      .head_dim = 64,
                      .ffn = 1536};

// torch_peer.py makes the same of the same name.
Config shape_of(const std::string& name) {
  if (name == "smollm2") return kSmollm2;
  Config config = kStudent;
  const size_t times = name.find('x');
  config.layers = std::atoll(name.c_str());
  config.width = times == std::string::npos ? 0 : std::atoll(name.c_str() + times + 1);
  config.heads = config.width / config.head_dim;
  config.kv_heads = config.heads / 2;
  config.ffn = (config.width * 8 / 3 + 32) / 64 * 64;
  return config;
}

std::optional<Task> task_of(const std::string& name) {
  if (name == "student") return Task{name, kStudent, 4096, {256}};
  if (name == "smollm2") return Task{name, kSmollm2, 2048, {512}};
  if (name == "lora") return Task{name, kSmollm2, 2048, {512}, 16};
  const size_t at = name.find('@'), times = name.rfind('x');
  if (at == std::string::npos || times == std::string::npos || times < at) return std::nullopt;
  const int64_t context = std::atoll(name.c_str() + at + 1);
  const int64_t documents = std::atoll(name.c_str() + times + 1);
  Task task{
      name, shape_of(name.substr(0, at)), context * documents, {static_cast<int32_t>(context)}};
  task.config.max_positions = std::max<int64_t>(context, 2048);
  if (!model::validate(task.config) || context < 2 || documents < 1) return std::nullopt;
  return task;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string shape = argc > 1 ? argv[1] : "student";
  const std::string format = argc > 2 ? argv[2] : "automatic";
  const double seconds = argc > 3 ? std::atof(argv[3]) : 12;
  const auto found = task_of(shape);
  if (!found) {
    fmt::print(stderr, "there is no task \"{}\"\n", shape);
    return 2;
  }
  const Task& task = *found;
  const model::Precision wanted = format == "fp32"   ? model::Precision::fp32
                                  : format == "bf16" ? model::Precision::bf16
                                                     : model::Precision::automatic;
  Model made = make_model(task);
  const model::Precision precision = made.network(1, wanted).precision();
  if (check_loss(task, made, precision) != 0) return 1;
  if (!leave_reference(task, made, precision)) return 1;
  const Times times = measure(task, made, precision, seconds);
  const auto tokens = static_cast<double>(task.tokens);
  fmt::print(R"({{"claim": "train_step", "shape": "{}", "trained_parameters": {}, "format": "{}", )"
             R"("machine": "{}", "threads": {}, "tokens_per_second": {:.0f}, )"
             R"("limit_tokens_per_second": {:.0f}, "products_gflops": {:.1f}, "share": {:.3f}, )"
             R"("peak_memory_mib": {}}})"
             "\n",
             task.name, made.block().size(), precision == model::Precision::bf16 ? "bf16" : "fp32",
             base::cpu_summary(), base::thread_count(), tokens / times.step,
             tokens / times.products, times.product_flops / times.products / 1e9,
             times.products / times.step, times.peak_bytes >> 20);
  return 0;
}
