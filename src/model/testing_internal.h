// Tiny models and batches that the room's tests share.
#pragma once
#include <string>
#include <vector>

#include "base/random.h"
#include "model/network.h"

namespace retort::model {

inline Config tiny(bool tied) {
  return {.vocab = 29,
          .width = 12,
          .layers = 2,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 6,
          .ffn = 20,
          .tied_embeddings = tied};
}

// Larger weights than a fresh model's, so that every part of it matters to the loss.
inline Weights lively(const Config& config, uint64_t seed) {
  Weights weights = Weights::random(config, seed);
  for (const TensorInfo& info : weights.tensors()) {
    base::Random random(seed + 1, static_cast<uint64_t>(info.offset));
    for (float& w : weights.tensor(info.name)) {
      w = info.is_vector ? static_cast<float>(1 + 0.2 * random.normal())
                         : static_cast<float>(0.3 * random.normal());
    }
  }
  return weights;
}

inline Batch make_batch(const std::vector<int32_t>& lengths, int32_t vocab, uint64_t seed) {
  Batch batch;
  base::Random random(seed);
  batch.doc_starts.push_back(0);
  for (const int32_t length : lengths) {
    for (int32_t i = 0; i < length; ++i) {
      batch.tokens.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab))));
      const bool counts = random.uniform() < 0.7;
      const auto target = static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab)));
      batch.targets.push_back(counts ? target : -1);
    }
    batch.doc_starts.push_back(static_cast<int32_t>(batch.tokens.size()));
  }
  return batch;
}

// What families add to a llama, each in an untied and in a tied model.
inline Config family(const std::string& name) {
  Config config = tiny(name == "qwen2");
  config.qkv_bias = name == "qwen2";
  config.qk_norm = name == "qwen3";
  if (name == "llama3") config.rope_divisors = {1, 1.7f, 4};
  return config;
}

}  // namespace retort::model
