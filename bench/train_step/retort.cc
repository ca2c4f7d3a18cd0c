// Training speed of one model shape: the loss is first compared with a plain forward pass in
// double, then the step's matrix products are timed alone, streamed over the layers as the step
// streams them, then whole steps: forward, backward, gradient norm, AdamW. Prints one JSON line.
//
//   retort_bench_train_step [student|smollm2] [fp32|bf16] [seconds]
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "artifact/safetensors.h"
#include "base/cpu.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/random.h"
#include "kernels/adamw.h"
#include "kernels/matmul.h"
#include "kernels/norm.h"
#include "model/network.h"
#include "tensor/buffer.h"

namespace {

using namespace retort;
using kernels::Bf16;
using kernels::Product;
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
};

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

// The loss of one short document, computed token by token in double from the formulas alone.
class PlainForward {
 public:
  explicit PlainForward(const model::Weights& weights) : w_(weights), c_(weights.config()) {}

  double nll(const Batch& batch) {
    keys_.assign(static_cast<size_t>(c_.layers), {});
    values_ = keys_;
    double total = 0;
    for (size_t i = 0; i < batch.tokens.size(); ++i) {
      const Row hidden = token(batch.tokens[i], static_cast<double>(i));
      if (batch.targets[i] < 0) continue;
      const Row logits =
          product(c_.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight", hidden);
      double sum = 0;
      for (const double logit : logits) sum += std::exp(logit);
      total += std::log(sum) - logits[batch.targets[i]];
    }
    return total;
  }

 private:
  using Row = std::vector<double>;

  Row product(const std::string& name, const Row& x) const {
    const auto matrix = w_.tensor(name);
    Row y(matrix.size() / x.size());
    for (size_t o = 0; o < y.size(); ++o) {
      for (size_t i = 0; i < x.size(); ++i) y[o] += matrix[o * x.size() + i] * x[i];
    }
    return y;
  }
  Row norm(const std::string& name, const Row& x) const {
    const auto weight = w_.tensor(name);
    double squares = 0;
    for (const double v : x) squares += v * v;
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(x.size()) + c_.norm_eps);
    Row y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * rstd * weight[i];
    return y;
  }
  void turn(Row& x, double position) const {
    const int64_t half = c_.head_dim / 2;
    for (size_t head = 0; head < x.size(); head += static_cast<size_t>(c_.head_dim)) {
      for (int64_t i = 0; i < half; ++i) {
        const double power = -2.0 * static_cast<double>(i) / static_cast<double>(c_.head_dim);
        const double angle = position * std::pow(c_.rope_theta, power);
        const double a = x[head + i];
        const double b = x[head + half + i];
        x[head + i] = a * std::cos(angle) - b * std::sin(angle);
        x[head + half + i] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }
  Row attend(const Row& q, size_t layer) const {
    const auto& keys = keys_[layer];
    const auto& values = values_[layer];
    Row out(q.size());
    for (int64_t head = 0; head < c_.heads; ++head) {
      const int64_t at = head * c_.head_dim;
      const int64_t kv = head / (c_.heads / c_.kv_heads) * c_.head_dim;
      double total = 0;
      for (size_t j = 0; j < keys.size(); ++j) {
        double score = 0;
        for (int64_t d = 0; d < c_.head_dim; ++d) score += q[at + d] * keys[j][kv + d];
        const double p = std::exp(score / std::sqrt(static_cast<double>(c_.head_dim)));
        total += p;
        for (int64_t d = 0; d < c_.head_dim; ++d) out[at + d] += p * values[j][kv + d];
      }
      for (int64_t d = 0; d < c_.head_dim; ++d) out[at + d] /= total;
    }
    return out;
  }
  Row token(int32_t id, double position) {
    const auto table = w_.tensor("model.embed_tokens.weight");
    Row x(table.begin() + id * c_.width, table.begin() + (id + 1) * c_.width);
    for (int64_t layer = 0; layer < c_.layers; ++layer) {
      const std::string name = "model.layers." + std::to_string(layer) + ".";
      const Row h = norm(name + "input_layernorm.weight", x);
      Row q = product(name + "self_attn.q_proj.weight", h);
      Row k = product(name + "self_attn.k_proj.weight", h);
      turn(q, position);
      turn(k, position);
      keys_[layer].push_back(k);
      values_[layer].push_back(product(name + "self_attn.v_proj.weight", h));
      const Row o = product(name + "self_attn.o_proj.weight", attend(q, layer));
      for (size_t i = 0; i < x.size(); ++i) x[i] += o[i];
      const Row m = norm(name + "post_attention_layernorm.weight", x);
      Row gate = product(name + "mlp.gate_proj.weight", m);
      const Row up = product(name + "mlp.up_proj.weight", m);
      for (size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
      const Row down = product(name + "mlp.down_proj.weight", gate);
      for (size_t i = 0; i < x.size(); ++i) x[i] += down[i];
    }
    return norm("model.norm.weight", x);
  }

  const model::Weights& w_;
  Config c_;
  std::vector<std::vector<Row>> keys_;
  std::vector<std::vector<Row>> values_;
};

// The products of one step and nothing else, each layer with weights and activations of its own.
template <class T>
class Products {
 public:
  Products(const Config& c, int64_t tokens, int64_t counted) : layers_(c.layers), rows_(tokens) {
    shapes_ = {{c.q_width() + 2 * c.kv_width(), c.width},
               {c.width, c.q_width()},
               {2 * c.ffn, c.width},
               {c.width, c.ffn}};
    for (int64_t layer = 0; layer < layers_; ++layer) {
      for (const Shape& s : shapes_) add(tokens, s);
    }
    head_ = {c.vocab, c.width};
    head_rows_ = counted;
    head_chunk_ = std::min(counted, (int64_t{4} << 20) / c.vocab);
    add(head_chunk_, head_);
    int64_t widest = 0;
    for (const Shape& s : shapes_) widest = std::max({widest, s.out, s.in});
    out_ = tensor::Buffer<float>(std::max(tokens * widest, head_chunk_ * c.vocab));
  }
  double flops() const {
    double total = 0;
    for (const Shape& s : shapes_) total += static_cast<double>(layers_ * rows_ * s.out * s.in);
    return 6 * (total + static_cast<double>(head_rows_ * head_.out * head_.in));
  }
  void run() {
    size_t next = 0;
    for (int64_t layer = 0; layer < layers_; ++layer) {
      for (const Shape& s : shapes_) forward(rows_, s, sets_[next++]);
    }
    for (int64_t first = 0; first < head_rows_; first += head_chunk_) {
      const int64_t rows = std::min(head_chunk_, head_rows_ - first);
      forward(rows, head_, sets_.back());
      backward(rows, head_, sets_.back());
    }
    for (int64_t layer = layers_; layer-- > 0;) {
      for (size_t i = shapes_.size(); i-- > 0;) backward(rows_, shapes_[i], sets_[--next]);
    }
  }

 private:
  struct Shape {
    int64_t out, in;
  };
  struct Set {
    tensor::Buffer<T> x, dy, weight;
    tensor::Buffer<float> dweight;
  };
  void add(int64_t rows, const Shape& s) {
    sets_.push_back({tensor::Buffer<T>(rows * s.in), tensor::Buffer<T>(rows * s.out),
                     tensor::Buffer<T>(s.out * s.in), tensor::Buffer<float>(s.out * s.in)});
  }
  void forward(int64_t rows, const Shape& s, Set& set) {
    kernels::matmul({.product = Product::nt, .m = rows, .n = s.out, .k = s.in}, set.x.data(),
                    set.weight.data(), out_.data());
  }
  void backward(int64_t rows, const Shape& s, Set& set) {
    kernels::matmul({.product = Product::nn, .m = rows, .n = s.in, .k = s.out}, set.dy.data(),
                    set.weight.data(), out_.data());
    kernels::matmul({.product = Product::tn, .m = s.out, .n = s.in, .k = rows, .accumulate = true},
                    set.dy.data(), set.x.data(), set.dweight.data());
  }

  int64_t layers_, rows_, head_rows_ = 0, head_chunk_ = 0;
  std::vector<Shape> shapes_;
  Shape head_{};
  std::vector<Set> sets_;
  tensor::Buffer<float> out_;
};

template <class F>
double best_time(double seconds, F f) {
  f();
  double best = 1e30;
  const double stop = now() + seconds;
  for (int i = 0; i < 3 || now() < stop; ++i) {
    const double start = now();
    f();
    best = std::min(best, now() - start);
  }
  return best;
}

// The weights and the loss of the whole batch, for the peer: it trains the same model on the same
// data, and must agree before it is timed.
bool leave_reference(const Task& task, const model::Weights& weights, model::Precision precision) {
  const char* shared = std::getenv("RETORT_BENCH_SHARED");
  if (shared == nullptr) return true;
  const Batch batch = make_batch(task, task.tokens);
  model::Network network(weights, task.tokens, precision);
  const model::LossSum loss = network.loss(batch);
  std::vector<artifact::SafeTensorSpec> specs;
  for (const auto& info : weights.tensors()) {
    specs.push_back({info.name, "F32",
                     info.is_vector ? std::vector<int64_t>{info.cols}
                                    : std::vector<int64_t>{info.rows, info.cols}});
  }
  const std::string stem = base::join(shared, task.name);
  auto writer = artifact::SafetensorsWriter::create(
      stem + ".safetensors",
      {{"loss", fmt::format("{:.6f}", loss.nll_sum / static_cast<double>(loss.tokens))}}, specs);
  if (!writer) return false;
  for (const auto& info : weights.tensors()) {
    if (!writer->add(weights.tensor(info.name))) return false;
  }
  return writer->finish().ok();
}

int check_loss(const Task& task, const model::Weights& weights, model::Precision precision) {
  const Batch batch = make_batch(task, std::min<int64_t>(task.lengths[0], 24));
  model::Network network(weights, static_cast<int64_t>(batch.tokens.size()), precision);
  const double found = network.loss(batch).nll_sum;
  const double expected = PlainForward(weights).nll(batch);
  const double bound = precision == model::Precision::bf16 ? 5e-3 : 1e-5;
  fmt::print(stderr, "loss {:.6f}, plain forward {:.6f}\n", found, expected);
  if (std::abs(found - expected) <= bound * expected) return 0;
  fmt::print(stderr, "the losses differ: nothing is timed\n");
  return 1;
}

struct Times {
  double products;
  double step;
  double product_flops;
};

// Products and whole steps take turns, so that a change of the machine's load meets both.
Times measure(const Task& task, model::Weights& weights, model::Precision precision,
              double seconds) {
  const Batch batch = make_batch(task, task.tokens);
  const auto counted =
      static_cast<int64_t>(std::ranges::count_if(batch.targets, [](int32_t t) { return t >= 0; }));
  const auto size = static_cast<int64_t>(weights.block().size());
  model::Network network(weights, task.tokens, precision);
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
                        {size, weights.block().data(), gradients.data(), m.data(), v.data()});
    network.refresh();
  };
  Times times{1e30, 1e30, 0};
  const auto alternate = [&](auto& products) {
    times.product_flops = products.flops();
    for (int round = 0; round < 3; ++round) {
      times.products = std::min(times.products, best_time(seconds / 6, [&] { products.run(); }));
      times.step = std::min(times.step, best_time(seconds / 6, train));
    }
  };
  if (network.precision() == model::Precision::bf16) {
    Products<Bf16> products(task.config, task.tokens, counted);
    alternate(products);
  } else {
    Products<float> products(task.config, task.tokens, counted);
    alternate(products);
  }
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string shape = argc > 1 ? argv[1] : "student";
  const std::string format = argc > 2 ? argv[2] : "automatic";
  const double seconds = argc > 3 ? std::atof(argv[3]) : 12;
  Task task{"student",
            {.vocab = 4096,
             .width = 256,
             .layers = 8,
             .heads = 8,
             .kv_heads = 4,
             .head_dim = 32,
             .ffn = 704},
            4096,
            {256}};
  if (shape == "smollm2") {
    task = {"smollm2",
            {.vocab = 49152,
             .width = 576,
             .layers = 30,
             .heads = 9,
             .kv_heads = 3,
             .head_dim = 64,
             .ffn = 1536},
            2048,
            {512}};
  }
  const model::Precision wanted = format == "fp32"   ? model::Precision::fp32
                                  : format == "bf16" ? model::Precision::bf16
                                                     : model::Precision::automatic;
  model::Weights weights = model::Weights::random(task.config, 1);
  const model::Precision precision = model::Network(weights, 1, wanted).precision();
  if (check_loss(task, weights, precision) != 0) return 1;
  if (!leave_reference(task, weights, precision)) return 1;
  const Times times = measure(task, weights, precision, seconds);
  const auto tokens = static_cast<double>(task.tokens);
  fmt::print(R"({{"claim": "train_step", "shape": "{}", "parameters": {}, "format": "{}", )"
             R"("machine": "{}", "threads": {}, "tokens_per_second": {:.0f}, )"
             R"("limit_tokens_per_second": {:.0f}, "products_gflops": {:.1f}, "share": {:.3f}}})"
             "\n",
             task.name, task.config.parameters(),
             precision == model::Precision::bf16 ? "bf16" : "fp32", base::cpu_summary(),
             base::thread_count(), tokens / times.step, tokens / times.products,
             times.product_flops / times.products / 1e9, times.products / times.step);
  return 0;
}
