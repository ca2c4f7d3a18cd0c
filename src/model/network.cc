#include "model/network.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/cpu.h"
#include "base/parallel.h"
#include "model/pass_internal.h"

namespace retort::model {
namespace {

Precision settle(Precision precision) {
  if (precision != Precision::automatic) return precision;
  const bool fast = base::cpu_features().avx512_bf16 && kernels::have_dnnl_bf16();
  return fast ? Precision::bf16 : Precision::fp32;
}

void check_batch(const Batch& batch, const Config& config, int64_t max_tokens) {
  const auto tokens = static_cast<int64_t>(batch.tokens.size());
  RETORT_CHECK(tokens > 0 && tokens <= max_tokens, "{} tokens of at most {}", tokens, max_tokens);
  RETORT_CHECK_EQ(batch.targets.size(), batch.tokens.size());
  RETORT_CHECK(batch.doc_starts.size() >= 2 && batch.doc_starts.front() == 0 &&
               batch.doc_starts.back() == tokens &&
               std::is_sorted(batch.doc_starts.begin(), batch.doc_starts.end()));
  RETORT_CHECK(batch.weights.empty() || batch.weights.size() == batch.tokens.size());
  RETORT_CHECK(batch.teacher.rows() == 0 || batch.teacher.rows() == tokens);
  RETORT_CHECK(batch.dropout_seeds.empty() ||
               batch.dropout_seeds.size() + 1 == batch.doc_starts.size());
  for (const auto* known : {&batch.reference, &batch.drawn}) {
    RETORT_CHECK(known->empty() || known->size() == batch.tokens.size());
  }
  for (int64_t i = 0; i < tokens; ++i) {
    RETORT_CHECK(batch.tokens[i] >= 0 && batch.tokens[i] < config.vocab, "token {} is {}", i,
                 batch.tokens[i]);
    RETORT_CHECK(batch.targets[i] >= -1 && batch.targets[i] < config.vocab, "target {} is {}", i,
                 batch.targets[i]);
  }
}

}  // namespace

struct Network::Impl {
  Config config;
  int64_t max_tokens;
  Precision precision;
  int64_t trained;  // elements of a gradient
  Use use;
  std::unique_ptr<Runner> runner;
};

Network::Network(const Weights& weights, int64_t max_tokens, Precision precision,
                 const Adapter* adapter, Use use)
    : impl_(new Impl{weights.config(), max_tokens, settle(precision),
                     static_cast<int64_t>(adapter == nullptr ? weights.block().size()
                                                             : adapter->block().size()),
                     use, nullptr}) {
  RETORT_CHECK(max_tokens > 0, "max_tokens {}", max_tokens);
  RETORT_CHECK(adapter == nullptr || adapter->base() == weights.config());
  if (impl_->precision == Precision::bf16) {
    impl_->runner = std::make_unique<Pass<kernels::Bf16>>(weights, max_tokens, adapter, use);
  } else {
    impl_->runner = std::make_unique<Pass<float>>(weights, max_tokens, adapter, use);
  }
}

Network::~Network() = default;

int64_t Network::memory_bytes(const Config& config, int64_t max_tokens, Precision precision,
                              const LoraConfig* lora, Use use) {
  const int64_t buffers = settle(precision) == Precision::bf16
                              ? Pass<kernels::Bf16>::memory_bytes(config, max_tokens, lora, use)
                              : Pass<float>::memory_bytes(config, max_tokens, lora, use);
  return buffers + base::thread_count() * kernels::matmul_scratch_bytes();
}

Precision Network::precision() const {
  return impl_->precision;
}

void Network::set_objective(const Objective& objective) {
  impl_->runner->set_objective(objective);
}

int64_t Network::teacher_bytes(const Config& config, int64_t max_tokens) {
  return head_rows_for(config.vocab, max_tokens) * config.vocab *
         static_cast<int64_t>(sizeof(float));
}

void Network::set_dropout(float rate) {
  RETORT_CHECK(rate >= 0 && rate < 1, "rate {}", rate);
  impl_->runner->set_dropout(rate);
}

int64_t Network::dropout_bytes(const Config& config, int64_t max_tokens, Precision precision) {
  const size_t element =
      settle(precision) == Precision::bf16 ? sizeof(kernels::Bf16) : sizeof(float);
  return max_tokens * (config.width * static_cast<int64_t>(element) +
                       static_cast<int64_t>(sizeof(uint64_t) + sizeof(uint32_t)));
}

void Network::refresh() {
  impl_->runner->refresh();
}

void Network::observe(Observer observer) {
  impl_->runner->observe(std::move(observer));
}

LossSum Network::forward_backward(const Batch& batch, float scale, std::span<float> gradients) {
  check_batch(batch, impl_->config, impl_->max_tokens);
  RETORT_CHECK_EQ(static_cast<int64_t>(gradients.size()), impl_->trained);
  RETORT_CHECK(impl_->use != Use::inference);
  impl_->runner->forward(batch);
  const LossSum loss = impl_->runner->head(batch, scale, gradients.data());
  impl_->runner->backward(batch, gradients.data());
  return loss;
}

LossSum Network::loss(const Batch& batch, std::span<float> nll) {
  check_batch(batch, impl_->config, impl_->max_tokens);
  RETORT_CHECK(nll.empty() || nll.size() == batch.tokens.size());
  impl_->runner->forward(batch);
  const LossSum loss = impl_->runner->head(batch, 1.0f, nullptr);
  const float* next = impl_->runner->nll();
  for (size_t i = 0; i < nll.size(); ++i) nll[i] = batch.targets[i] < 0 ? 0.0f : *next++;
  return loss;
}

std::vector<float> Network::logits(const Batch& batch) {
  check_batch(batch, impl_->config, impl_->max_tokens);
  impl_->runner->forward(batch);
  std::vector<float> out(batch.tokens.size() * static_cast<size_t>(impl_->config.vocab));
  std::vector<int32_t> rows(batch.tokens.size());
  std::iota(rows.begin(), rows.end(), 0);
  impl_->runner->logits(rows, out.data());
  return out;
}

void Network::forward(const Batch& batch) {
  check_batch(batch, impl_->config, impl_->max_tokens);
  impl_->runner->forward(batch);
}

void Network::logits(std::span<const int32_t> rows, float* to) {
  impl_->runner->logits(rows, to);
}

}  // namespace retort::model
