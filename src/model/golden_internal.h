// For tests: the fixtures under tests/golden/model, tiny models and what PyTorch made of them.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "artifact/safetensors.h"
#include "base/files.h"
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

}  // namespace retort::model
