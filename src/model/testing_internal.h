// For tests: tiny models and batches, and the fixtures under tests/golden/model with what PyTorch
// made of them.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "artifact/safetensors.h"
#include "base/files.h"
#include "base/random.h"
#include "json/value.h"
#include "model/network.h"

namespace retort::model {

inline std::string golden(const std::string& name) {
  return std::string(RETORT_SOURCE_DIR) + "/tests/golden/model/" + name;
}

inline Batch golden_batch(const std::string& folder, double* nll_sum) {
  const auto text = base::read_file(base::join(folder, "batch.json"));
  const auto value = json::parse(*text, "batch.json");
  Batch batch;
  for (const auto& id : value->find("tokens")->as_array()) {
    batch.tokens.push_back(static_cast<int32_t>(id.as_int()));
  }
  for (const auto& id : value->find("targets")->as_array()) {
    batch.targets.push_back(static_cast<int32_t>(id.as_int()));
  }
  batch.doc_starts.push_back(0);
  for (const auto& length : value->find("documents")->as_array()) {
    batch.doc_starts.push_back(batch.doc_starts.back() + static_cast<int32_t>(length.as_int()));
  }
  *nll_sum = *value->number_at("nll_sum");
  return batch;
}

inline std::vector<float> expected(const artifact::SafetensorsFile& file, const std::string& name) {
  const artifact::SafeTensor* tensor = file.find(name);
  std::vector<float> values(static_cast<size_t>(tensor->elements));
  EXPECT_TRUE(file.read(*tensor, values).ok());
  return values;
}

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

// Large enough that what memory is for can be told from its size.
inline Config student_shape() {
  return {.vocab = 4096,
          .width = 256,
          .layers = 8,
          .heads = 8,
          .kv_heads = 4,
          .head_dim = 32,
          .ffn = 704};
}

// Folders of base weights under tests/golden/model, and of an adapter in each.
struct PeftAdapter {
  const char* base;
  const char* adapter;
};
inline constexpr PeftAdapter kPeftAdapters[] = {{"tied", "lora.all"}, {"qwen2", "lora.some"}};

}  // namespace retort::model
