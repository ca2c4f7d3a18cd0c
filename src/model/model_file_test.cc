#include "model/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "artifact/safetensors.h"
#include "base/files.h"
#include "json/value.h"
#include "kernels/gradient_check.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

using testing::HasSubstr;

class Golden : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         ::testing::Values("tied", "untied", "llama3", "qwen2", "qwen3"));

// What PyTorch and transformers made of the same files (tests/golden/model/make_golden.py, and
// make_families.py, which keeps the gradients of vectors and of some matrices).
TEST_P(Golden, LossLogitsAndGradientsEqualPyTorchs) {
  const std::string folder = golden(GetParam());
  const auto weights = load_weights(folder);
  ASSERT_TRUE(weights.ok()) << weights.error().text();
  double nll_sum = 0;
  const Batch batch = golden_batch(folder, &nll_sum);
  const auto file = artifact::SafetensorsFile::open(base::join(folder, "expected.safetensors"));
  ASSERT_TRUE(file.ok());

  Network network(*weights, static_cast<int64_t>(batch.tokens.size()), Precision::fp32);
  std::vector<float> gradients(weights->block().size());
  const LossSum loss = network.forward_backward(batch, 1.0f, gradients);
  EXPECT_NEAR(loss.nll_sum, nll_sum, 1e-4 * nll_sum);
  EXPECT_LT(kernels::relative_difference(network.logits(batch), expected(*file, "logits")), 1e-5);
  int compared = 0;
  for (const TensorInfo& info : weights->tensors()) {
    const std::span<const float> mine(gradients.data() + info.offset,
                                      static_cast<size_t>(info.size()));
    if (file->find("gradient." + info.name) == nullptr) continue;
    const std::vector<float> theirs = expected(*file, "gradient." + info.name);
    ++compared;
    // transformers gives the input embedding of the padding id, row 0, no gradient.
    const size_t from = info.name.ends_with("embed_tokens.weight") ? size_t(info.cols) : 0;
    EXPECT_LT(kernels::relative_difference(mine.subspan(from), std::span(theirs).subspan(from)),
              2e-5)
        << info.name;
  }
  EXPECT_GE(compared, 7);
}

class Families : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, Families, ::testing::Values("llama3", "qwen2", "qwen3"));

// Both were written from the same model, the GGUF in llama.cpp's layout (make_families.py).
TEST_P(Families, FolderAndGgufAreOneModel) {
  const auto folder = load_weights(golden(GetParam()));
  ASSERT_TRUE(folder.ok()) << folder.error().text();
  const auto gguf = load_weights(base::join(golden(GetParam()), "model.gguf"));
  ASSERT_TRUE(gguf.ok()) << gguf.error().text();
  EXPECT_EQ(folder->config(), gguf->config());
  for (const TensorInfo& info : folder->tensors()) {
    const auto mine = folder->tensor(info.name), theirs = gguf->tensor(info.name);
    EXPECT_TRUE(std::equal(mine.begin(), mine.end(), theirs.begin())) << info.name;
  }
  EXPECT_EQ(folder->config().family(), std::string(GetParam()).substr(0, 5));
}

class ModelFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(golden("tied"), folder_, std::filesystem::copy_options::recursive);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string refusal() const {
    const auto opened = ModelFile::open(folder_);
    return opened ? "" : opened.error().text();
  }
  std::filesystem::path folder_;
};

TEST_F(ModelFileTest, PartsNamedByAnIndexAreOneModel) {
  const auto whole = load_weights(golden("tied"));
  const auto source = artifact::SafetensorsFile::open(golden("tied/model.safetensors"));
  const auto& tensors = source->tensors();
  json::Value map = json::Value::object();
  for (size_t part = 0; part < 2; ++part) {
    const std::string name = part == 0 ? "a.safetensors" : "b.safetensors";
    std::vector<artifact::SafeTensorSpec> specs;
    for (size_t i = part; i < tensors.size(); i += 2) {
      specs.push_back({tensors[i].name, tensors[i].dtype, tensors[i].shape});
      map.set(tensors[i].name, name);
    }
    auto writer = artifact::SafetensorsWriter::create(folder_ / name, {}, specs);
    for (size_t i = part; i < tensors.size(); i += 2) {
      ASSERT_TRUE(writer->add_bytes(source->bytes(tensors[i])).ok());
    }
    ASSERT_TRUE(writer->finish().ok());
  }
  std::filesystem::remove(folder_ / "model.safetensors");
  const json::Value index = json::Value::object({{"weight_map", std::move(map)}});
  ASSERT_TRUE(
      base::write_file_atomic(folder_ / "model.safetensors.index.json", json::dump(index)).ok());
  const auto parts = load_weights(folder_);
  ASSERT_TRUE(parts.ok()) << parts.error().text();
  EXPECT_TRUE(std::equal(parts->block().begin(), parts->block().end(), whole->block().begin()));
}

TEST_F(ModelFileTest, WhatIsMissingOrOddIsNamed) {
  const std::string config = *base::read_file(folder_ / "config.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = config;
    changed.replace(changed.find(from), from.size(), to);
    EXPECT_TRUE(base::write_file_atomic(folder_ / "config.json", changed).ok());
    return refusal();
  };
  EXPECT_THAT(with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
              HasSubstr("model.layers.2.input_layernorm.weight is missing"));
  EXPECT_THAT(with("\"vocab_size\": 61", "\"vocab_size\": 62"), HasSubstr("61 x 24"));
  EXPECT_THAT(with("\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\""), HasSubstr("gelu"));
  EXPECT_EQ(with("x", "x"), "");
  std::filesystem::resize_file(folder_ / "model.safetensors", 900);
  EXPECT_THAT(refusal(), HasSubstr("model.safetensors"));
  std::filesystem::remove(folder_ / "model.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("no model.safetensors"));
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_THAT(refusal(), HasSubstr("no config.json in this folder"));
  ASSERT_TRUE(base::write_file_atomic(folder_ / "adapter_config.json", "{}").ok());
  EXPECT_THAT(refusal(), HasSubstr("an adapter alone"));
  EXPECT_THAT(ModelFile::open(folder_ / "absent.gguf").error().text(), HasSubstr("absent.gguf"));
}

// A model that states another family than its tensors are of would be computed wrongly.
TEST_F(ModelFileTest, TensorsOfAnotherFamilyAreNamed) {
  std::filesystem::remove_all(folder_);
  std::filesystem::copy(golden("qwen2"), folder_, std::filesystem::copy_options::recursive);
  std::string config = *base::read_file(folder_ / "config.json");
  const auto replace = [&](const std::string& from, const std::string& to) {
    config.replace(config.find(from), from.size(), to);
  };
  replace("Qwen2ForCausalLM", "LlamaForCausalLM");
  replace("\"qwen2\"", "\"llama\"");
  ASSERT_TRUE(base::write_file_atomic(folder_ / "config.json", config).ok());
  EXPECT_THAT(refusal(), HasSubstr("_proj.bias is no part of a llama model"));
  replace("LlamaForCausalLM", "Qwen3ForCausalLM");
  replace("\"llama\"", "\"qwen3\"");
  ASSERT_TRUE(base::write_file_atomic(folder_ / "config.json", config).ok());
  EXPECT_THAT(refusal(), HasSubstr("512 x 64"));  // Qwen3's heads are of 128 unless stated
}

// The fixture's architecture is renamed in place; all names are of five letters.
TEST_F(ModelFileTest, TensorsOfAnotherFamilyAreNamedInGguf) {
  const auto renamed = [&](const char* family, const char* to) {
    std::string bytes = *base::read_file(base::join(golden(family), "model.gguf"));
    for (size_t at = 0; (at = bytes.find(family, at)) != std::string::npos; at += 5) {
      bytes.replace(at, 5, to);
    }
    EXPECT_TRUE(base::write_file_atomic(folder_ / "model.gguf", bytes).ok());
    const auto opened = ModelFile::open(folder_ / "model.gguf");
    return opened ? std::string("opened") : opened.error().text();
  };
  EXPECT_EQ(renamed("qwen2", "qwen2"), "opened");
  EXPECT_THAT(renamed("qwen2", "llama"), HasSubstr("bias is no part of a llama model"));
  EXPECT_THAT(renamed("qwen2", "qwen3"), HasSubstr("attn_q_norm.weight is missing"));
  EXPECT_THAT(renamed("qwen3", "llama"), HasSubstr("norm.weight is no part of a llama model"));
  EXPECT_THAT(renamed("qwen3", "qwen2"), HasSubstr("attn_q.bias is missing"));
  EXPECT_THAT(renamed("qwen3", "gemma"), HasSubstr("architecture \"gemma\""));
}

}  // namespace
}  // namespace retort::model
