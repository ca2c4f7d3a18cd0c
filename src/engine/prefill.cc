#include <algorithm>

#include "base/check.h"
#include "base/parallel.h"
#include "engine/heads_internal.h"
#include "engine/prefill_internal.h"
#include "kernels/decode.h"
#include "kernels/matmul.h"
#include "kernels/rmsnorm.h"
#include "kernels/swiglu.h"

namespace retort::engine {
namespace {

using kernels::Product;
using model::Projection;

// A piece of attention work: query positions that share a key-value head.
struct AttentionJob {
  const PrefillPart* part;
  int64_t row;    // of the first token in the batch
  int64_t token;  // of the part
  int64_t tokens;
};

template <class T>
class PrefillPass final : public Prefill {
 public:
  PrefillPass(EngineWeights& weights, KvPool& pool, const kernels::RopeTable& rope,
              int64_t tokens_max)
      : weights_(weights),
        c_(weights.config()),
        pool_(pool),
        rope_(rope),
        tokens_max_(tokens_max),
        qkv_width_(c_.qkv_width()),
        residual_(tokens_max * c_.width),
        delta_(tokens_max * c_.width),
        rstd_(tokens_max),
        normed_(tokens_max * c_.width),
        qkv_(tokens_max * qkv_width_),
        attended_(tokens_max * c_.q_width()),
        attended_t_(tokens_max * c_.q_width()),
        gate_up_(tokens_max * 2 * c_.ffn),
        act_(tokens_max * c_.ffn),
        scratch_stride_(kernels::paged_attention_scratch(rope.positions())),
        scratch_(scratch_stride_ * base::thread_count()) {}

  void run(std::span<const PrefillPart> parts) override {
    lay_out(parts);
    embed(parts);
    const auto& dense = weights_.dense_layers<T>();
    for (int64_t i = 0; i < c_.layers; ++i) {
      const PackedLayer& norms = weights_.layers()[static_cast<size_t>(i)];
      const DenseLayer<T>& layer = dense[static_cast<size_t>(i)];
      normalise(norms.norm_in, i > 0);
      multiply(normed_.data(), layer.qkv, qkv_width_, c_.width, qkv_.data());
      float* const keys = qkv_.data() + c_.q_width();
      add_adapters(parts, i, {Projection::q, normed_.data(), c_.width, qkv_.data(), qkv_width_});
      add_adapters(parts, i, {Projection::k, normed_.data(), c_.width, keys, qkv_width_});
      add_adapters(parts, i,
                   {Projection::v, normed_.data(), c_.width, keys + c_.kv_width(), qkv_width_});
      store_positions(i, parts);
      attend(i);
      round(attended_.data(), attended_t_.data(), tokens_ * c_.q_width());
      multiply(attended_t_.data(), layer.out, c_.width, c_.q_width(), delta_.data());
      add_adapters(parts, i,
                   {Projection::o, attended_t_.data(), c_.q_width(), delta_.data(), c_.width});
      normalise(norms.norm_mid, true);
      multiply(normed_.data(), layer.gate_up, 2 * c_.ffn, c_.width, gate_up_.data());
      add_adapters(parts, i,
                   {Projection::gate, normed_.data(), c_.width, gate_up_.data(), 2 * c_.ffn});
      add_adapters(
          parts, i,
          {Projection::up, normed_.data(), c_.width, gate_up_.data() + c_.ffn, 2 * c_.ffn});
      kernels::swiglu(kernels::Swiglu<T, float>{tokens_, c_.ffn, gate_up_.data(), act_.data()});
      multiply(act_.data(), layer.down, c_.width, c_.ffn, delta_.data());
      add_adapters(parts, i, {Projection::down, act_.data(), c_.ffn, delta_.data(), c_.width});
    }
    normalise(weights_.final_norm(), true);
  }

  const float* residual() const override { return residual_.data(); }

  void logits(int64_t first, int64_t rows, float* to) override {
    RETORT_CHECK(rows <= kScoreRows && first + rows <= tokens_, "{} + {}", first, rows);
    kernels::matmul({.product = Product::nt, .m = rows, .n = c_.vocab, .k = c_.width},
                    normed_.data() + first * c_.width, weights_.dense_head<T>().data(), to);
  }

  int64_t memory_bytes() const override {
    const auto small = static_cast<int64_t>(sizeof(T));
    return 4 * (residual_.size() + delta_.size() + rstd_.size() + qkv_.size() + attended_.size() +
                gate_up_.size() + scratch_.size()) +
           small * (normed_.size() + attended_t_.size() + act_.size());
  }

 private:
  void lay_out(std::span<const PrefillPart> parts) {
    tokens_ = 0;
    jobs_.clear();
    const int64_t group = c_.heads / c_.kv_heads;
    const int64_t most = std::max<int64_t>(kernels::kAttentionRows / group, 1);
    for (const PrefillPart& part : parts) {
      const auto count = static_cast<int64_t>(part.tokens.size());
      for (int64_t at = 0; at < count; at += most) {
        jobs_.push_back({&part, tokens_ + at, at, std::min(most, count - at)});
      }
      tokens_ += count;
    }
    RETORT_CHECK(tokens_ > 0 && tokens_ <= tokens_max_, "{} tokens", tokens_);
  }

  // f(row, part, position) for every token, on all threads.
  template <class F>
  void each_token(std::span<const PrefillPart> parts, F f) {
    base::parallel_for(tokens_, 4, [&](int64_t begin, int64_t end) {
      int64_t first = 0;
      for (const PrefillPart& part : parts) {
        const auto count = static_cast<int64_t>(part.tokens.size());
        for (int64_t row = std::max(begin, first); row < std::min(end, first + count); ++row) {
          f(row, part, row - first);
        }
        first += count;
      }
    });
  }

  void embed(std::span<const PrefillPart> parts) {
    const kernels::PackedMatrix& table =
        c_.tied_embeddings ? weights_.head()[0] : weights_.embedding();
    each_token(parts, [&](int64_t row, const PrefillPart& part, int64_t at) {
      table.get_row(part.tokens[static_cast<size_t>(at)], residual_.data() + row * c_.width);
    });
  }

  void normalise(const std::vector<float>& weight, bool with_delta) {
    kernels::rmsnorm(kernels::Rmsnorm<T>{.rows = tokens_,
                                         .width = c_.width,
                                         .eps = static_cast<float>(c_.norm_eps),
                                         .x = residual_.data(),
                                         .delta = with_delta ? delta_.data() : nullptr,
                                         .weight = weight.data(),
                                         .sum = residual_.data(),
                                         .y = normed_.data(),
                                         .rstd = rstd_.data()});
  }

  void multiply(const T* x, const tensor::Buffer<T>& weights, int64_t out, int64_t in, float* y) {
    kernels::matmul({.product = Product::nt, .m = tokens_, .n = out, .k = in}, x, weights.data(),
                    y);
  }

  struct Adapted {
    Projection projection;
    const T* x;
    int64_t in;
    float* y;
    int64_t ld_y;
  };
  // What the parts' adapters add to a projection's output, some rows at once.
  void add_adapters(std::span<const PrefillPart> parts, int64_t layer, const Adapted& to) {
    constexpr int64_t kRows = 16;
    int64_t first = 0;
    for (const PrefillPart& part : parts) {
      const auto count = static_cast<int64_t>(part.tokens.size());
      const auto* target =
          part.adapter == nullptr ? nullptr : part.adapter->at(layer, to.projection);
      if (target != nullptr) {
        base::parallel_for((count + kRows - 1) / kRows, 1, [&](int64_t begin, int64_t end) {
          std::vector<float> x(static_cast<size_t>(kRows * to.in));
          std::vector<float> scratch(static_cast<size_t>(kRows * target->a.out()));
          for (int64_t at = begin * kRows; at < std::min(end * kRows, count); at += kRows) {
            const int64_t rows = std::min(kRows, count - at);
            widen(to.x + (first + at) * to.in, x.data(), rows * to.in);
            add_low_rank(*target,
                         {rows, x.data(), to.y + (first + at) * to.ld_y, to.ld_y, scratch.data()},
                         0, target->b.tiles());
          }
        });
      }
      first += count;
    }
  }

  static void widen(const T* from, float* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = tensor::to_float(from[i]);
  }

  void store_positions(int64_t layer, std::span<const PrefillPart> parts) {
    const Heads heads(c_, weights_.layers()[static_cast<size_t>(layer)], rope_);
    each_token(parts, [&](int64_t row, const PrefillPart& part, int64_t at) {
      const int64_t position = part.first_position + at;
      float* qkv = qkv_.data() + row * qkv_width_;
      heads.make_queries(qkv, 0, c_.heads, position);
      for (int64_t h = 0; h < c_.kv_heads; ++h) {
        heads.make_key_and_value(qkv, h, position);
        const float* key = qkv + c_.q_width() + h * c_.head_dim;
        kernels::store_position(pool_.head(layer, h, part.pages), position, key,
                                key + c_.kv_width());
      }
    });
  }

  // Long and short pieces alternate between the threads.
  void attend(int64_t layer) {
    const int64_t group = c_.heads / c_.kv_heads;
    const auto count = static_cast<int64_t>(jobs_.size()) * c_.kv_heads;
    base::parallel_team([&](int thread, int threads) {
      float* scratch = scratch_.data() + thread * scratch_stride_;
      for (int64_t i = thread; i < count; i += threads) {
        const AttentionJob& job = jobs_[static_cast<size_t>(i / c_.kv_heads)];
        const int64_t kv_head = i % c_.kv_heads;
        const int64_t column = kv_head * group * c_.head_dim;
        kernels::paged_attention(
            {pool_.head(layer, kv_head, job.part->pages), job.part->first_position + job.token,
             job.tokens, group, qkv_.data() + job.row * qkv_width_ + column, qkv_width_,
             attended_.data() + job.row * c_.q_width() + column, c_.q_width(), scratch});
      }
    });
  }

  static void round(const float* from, T* to, int64_t count) {
    if constexpr (std::is_same_v<T, float>) {
      std::copy_n(from, count, to);
    } else {
      kernels::to_bf16(from, to, count);
    }
  }

  EngineWeights& weights_;
  const model::Config& c_;
  KvPool& pool_;
  const kernels::RopeTable& rope_;
  int64_t tokens_max_;
  int64_t qkv_width_;
  int64_t tokens_ = 0;
  std::vector<AttentionJob> jobs_;
  tensor::Buffer<float> residual_, delta_, rstd_;
  tensor::Buffer<T> normed_;
  tensor::Buffer<float> qkv_, attended_;
  tensor::Buffer<T> attended_t_;
  tensor::Buffer<float> gate_up_;
  tensor::Buffer<T> act_;
  int64_t scratch_stride_;
  tensor::Buffer<float> scratch_;
};

}  // namespace

std::unique_ptr<Prefill> Prefill::create(EngineWeights& weights, KvPool& pool,
                                         const kernels::RopeTable& rope, int64_t tokens_max) {
  if (weights.dense_bf16()) {
    return std::make_unique<PrefillPass<Bf16>>(weights, pool, rope, tokens_max);
  }
  return std::make_unique<PrefillPass<float>>(weights, pool, rope, tokens_max);
}

}  // namespace retort::engine
