// The families of models, each against what transformers makes of the same files
// (tests/golden/model/make_families.py, which also asks llama.cpp), and against itself in every
// precision, phase and company.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "artifact/safetensors.h"
#include "base/files.h"
#include "engine/testing_internal.h"
#include "engine/testing_requests_internal.h"
#include "json/value.h"
#include "kernels/gradient_check.h"
#include "model/model_file.h"

namespace retort::engine {
namespace {

using artifact::TensorType;
using kernels::relative_difference;
using tokenizer::TokenId;

struct Fixture {
  const char* folder;
  const char* variant;  // of its configuration, over the same weights
};

class GoldenFamily : public ::testing::TestWithParam<Fixture> {
 protected:
  void SetUp() override {
    const auto batch = json::parse(*base::read_file(golden("batch.json")));
    for (const auto& id : batch->find("tokens")->as_array()) {
      tokens_.push_back(static_cast<TokenId>(id.as_int()));
    }
    for (const auto& length : batch->find("documents")->as_array()) {
      lengths_.push_back(length.as_int());
    }
    const auto file = artifact::SafetensorsFile::open(golden("expected.safetensors"));
    const std::string variant = GetParam().variant;
    const auto* tensor = file->find(variant.empty() ? "logits" : "logits." + variant);
    logits_.resize(static_cast<size_t>(tensor->elements));
    ASSERT_TRUE(file->read(*tensor, logits_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(copy_); }
  std::string golden(const std::string& name) const {
    return std::string(RETORT_SOURCE_DIR) + "/tests/golden/model/" + GetParam().folder + "/" + name;
  }
  // The folder as its variant's configuration makes it.
  std::string folder() {
    const std::string variant = GetParam().variant;
    if (variant.empty()) return golden("");
    copy_ = testing::TempDir() + "/" + variant + "." + std::to_string(getpid());
    std::filesystem::create_directory(copy_);
    std::filesystem::copy_file(golden("config." + variant + ".json"), copy_ / "config.json");
    std::filesystem::copy_file(golden("model.safetensors"), copy_ / "model.safetensors");
    return copy_;
  }
  // f(the engine's logits, transformers'), document by document.
  template <class F>
  void each_document(Engine& engine, F f) const {
    const auto vocab = static_cast<int64_t>(logits_.size() / tokens_.size());
    int64_t first = 0;
    for (const int64_t length : lengths_) {
      const auto logits =
          engine.logits({tokens_.begin() + first, tokens_.begin() + first + length});
      ASSERT_TRUE(logits.ok()) << logits.error().text();
      f(*logits, std::vector<float>(logits_.begin() + first * vocab,
                                    logits_.begin() + (first + length) * vocab));
      first += length;
    }
  }

  std::vector<TokenId> tokens_;
  std::vector<int64_t> lengths_;
  std::vector<float> logits_;
  std::filesystem::path copy_;
};
INSTANTIATE_TEST_SUITE_P(Files, GoldenFamily,
                         ::testing::Values(Fixture{"llama3", ""}, Fixture{"llama3", "linear"},
                                           Fixture{"llama3", "mistral"}, Fixture{"qwen2", ""},
                                           Fixture{"qwen3", ""}),
                         [](const auto& given) {
                           const std::string variant = given.param.variant;
                           return variant.empty() ? std::string(given.param.folder) : variant;
                         });

TEST_P(GoldenFamily, FoldersGiveTheLogitsOfTransformers) {
  const auto weights = model::load_weights(folder());
  ASSERT_TRUE(weights.ok()) << weights.error().text();
  const auto engine = engine_of(*weights);
  each_document(*engine, [](const std::vector<float>& mine, const std::vector<float>& theirs) {
    EXPECT_LT(relative_difference(mine, theirs), 1e-4);
  });
}

class GoldenGguf : public GoldenFamily {};
INSTANTIATE_TEST_SUITE_P(Files, GoldenGguf,
                         ::testing::Values(Fixture{"llama3", ""}, Fixture{"qwen2", ""},
                                           Fixture{"qwen3", ""}),
                         [](const auto& given) { return given.param.folder; });

TEST_P(GoldenGguf, GgufFilesGiveTheLogitsOfTransformers) {
  const auto exact = Engine::open(golden("model.gguf"), {.exact = true});
  ASSERT_TRUE(exact.ok()) << exact.error().text();
  each_document(**exact, [](const std::vector<float>& mine, const std::vector<float>& theirs) {
    EXPECT_LT(relative_difference(mine, theirs), 1e-4);
  });
  const auto rounded = Engine::open(golden("model.gguf"));
  ASSERT_TRUE(rounded.ok()) << rounded.error().text();
  each_document(**rounded, [](const std::vector<float>& mine, const std::vector<float>& theirs) {
    EXPECT_LT(divergence(theirs, mine, 264), 2e-3);
  });
}

struct Family {
  const char* name;
  SmallModel model;
};

class Families : public ::testing::TestWithParam<Family> {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_ = testing::TempDir() + "/family." + std::to_string(getpid()) + ".gguf";
};
INSTANTIATE_TEST_SUITE_P(
    Small, Families,
    ::testing::Values(Family{"llama3", {.tied = false, .seed = 21, .stretched = true}},
                      Family{"qwen2", {.seed = 22, .qkv_bias = true}},
                      Family{"qwen3", {.seed = 23, .head_dim = 32, .qk_norm = true}}),
    [](const auto& given) { return given.param.name; });

constexpr TensorType kStoredTypes[] = {TensorType::f32, TensorType::bf16, TensorType::q8_0,
                                       TensorType::q4_1};

// Teacher forcing: tokens that decoding chose are scored by the other path, in fp32.
TEST_P(Families, DecodingAgreesWithScoringInEveryType) {
  for (const TensorType type : kStoredTypes) {
    SCOPED_TRACE(artifact::name(type));
    const auto held = write_gguf(small_weights(GetParam().model), type, path_);
    EXPECT_EQ(held.config(), small_weights(GetParam().model).config());
    const auto reference = engine_of(held);
    const auto vocab = static_cast<size_t>(held.config().vocab);
    for (const bool exact : {false, true}) {
      const auto engine = Engine::open(path_, {.exact = exact});
      ASSERT_TRUE(engine.ok()) << engine.error().text();
      const auto prompt = random_prompt(60, 8);
      auto request = request_of(prompt, 20);
      request.sampling.seed = 3;
      const auto heard = run_all(**engine, {request})[0];
      auto all = prompt;
      all.insert(all.end(), heard.tokens.begin(), heard.tokens.end());
      const auto logits = *reference->logits(all);
      EXPECT_LT(divergence(logits, *(*engine)->logits(all), vocab), exact ? 1e-8 : 2e-3);
      double off = 0;
      for (size_t i = 0; i < heard.tokens.size(); ++i) {
        const float* row = logits.data() + (prompt.size() - 1 + i) * vocab;
        double sum = 0;
        for (size_t v = 0; v < vocab; ++v) sum += std::exp(static_cast<double>(row[v]));
        off += std::abs(row[heard.tokens[i]] - std::log(sum) - heard.logprobs[i]);
      }
      EXPECT_LT(off / 20, exact || type == TensorType::f32 ? 1e-4 : 0.05);
    }
  }
}

TEST_P(Families, NeighboursChangeNoBitOfAnAnswer) {
  for (const TensorType type : kStoredTypes) {
    write_gguf(small_weights(GetParam().model), type, path_);
    const auto open = [&] { return std::move(*Engine::open(path_, {.max_batch = 5})); };
    std::vector<Request> requests;
    for (uint64_t i = 0; i < 9; ++i) {
      requests.push_back(request_of(random_prompt(1 + 23 * static_cast<int64_t>(i), i),
                                    5 + 3 * static_cast<int64_t>(i)));
      requests.back().sampling.seed = i;
    }
    const auto together = run_all(*open(), requests);
    for (size_t i = 0; i < requests.size(); i += 3) {
      EXPECT_TRUE(same_bits(together[i], run_all(*open(), {requests[i]})[0]))
          << artifact::name(type) << ", request " << i;
    }
  }
}

}  // namespace
}  // namespace retort::engine
