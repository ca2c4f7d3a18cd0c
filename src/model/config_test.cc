#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>

#include "model/rope_scaling.h"
#include "model/weights.h"

namespace retort::model {
namespace {

Config student() {
  return {.vocab = 4096,
          .width = 256,
          .layers = 8,
          .heads = 8,
          .kv_heads = 4,
          .head_dim = 32,
          .ffn = 704};
}

TEST(Config, SurvivesTheTripThroughHuggingFaceJson) {
  Config config = student();
  config.tied_embeddings = false;
  config.rope_theta = 123456.5;
  config.norm_eps = 1e-6;
  const auto back = config_from_hf(config_to_hf(config, 1, 2, 0));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(*back, config);
}

TEST(Config, EveryFamilySurvivesTheTrip) {
  for (const auto& [family, bias, norm] :
       {std::tuple{"llama", false, false}, {"qwen2", true, false}, {"qwen3", false, true}}) {
    Config config = student();
    config.qkv_bias = bias;
    config.qk_norm = norm;
    config.rope_divisors = llama3_divisors({}, config.head_dim, config.rope_theta);
    const json::Value written = config_to_hf(config, 1, 2, 0);
    EXPECT_EQ(*written.string_at("model_type"), family);
    const auto back = config_from_hf(written);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(*back, config);
    EXPECT_EQ(config.family(), std::string(family));
  }
}

TEST(Config, BiasesWithHeadNormsAndOddTablesAreRefused) {
  Config config = student();
  config.rope_divisors = {1, 2};
  EXPECT_THAT(validate(config).error().text(), testing::HasSubstr("rope divisors"));
  config.rope_divisors.assign(16, NAN);
  EXPECT_THAT(validate(config).error().text(), testing::HasSubstr("rope divisor"));
  config.rope_divisors = {};
  config.qkv_bias = config.qk_norm = true;
  EXPECT_THAT(validate(config).error().text(), testing::HasSubstr("head norms"));
}

TEST(Config, PositionsEndWithASlidingWindow) {
  const auto positions = [](const char* settings) {
    auto v = config_to_hf(student(), 1, 2, 0);
    const auto changes = json::parse(settings);
    for (const auto& [key, value] : changes->as_object()) v.set(key, value);
    v.set("architectures", nullptr);
    const auto config = config_from_hf(v);
    return config ? config->max_positions : -1;
  };
  EXPECT_EQ(positions(R"({"model_type": "mistral", "sliding_window": 512})"), 512);
  EXPECT_EQ(positions(R"({"model_type": "mistral", "sliding_window": 4096})"), 2048);
  EXPECT_EQ(positions(R"({"model_type": "mistral", "sliding_window": null})"), 2048);
  EXPECT_EQ(positions(R"({"model_type": "mistral", "sliding_window": 0})"), -1);
  EXPECT_EQ(positions(R"({"model_type": "mistral", "max_position_embeddings": 9999})"), 4096);
  EXPECT_EQ(positions(R"({"model_type": "qwen2", "sliding_window": 512})"), 2048);
  EXPECT_EQ(positions(R"({"model_type": "qwen3", "sliding_window": 512,
                          "use_sliding_window": true})"),
            512);
}

TEST(Config, ReadsWhatTransformers5Writes) {
  const auto text = json::parse(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}})");
  const auto config = config_from_hf(*text);
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->rope_theta, 5000);
  EXPECT_EQ(config->kv_heads, 2);
  EXPECT_EQ(config->head_dim, 4);
  EXPECT_FALSE(config->tied_embeddings);
}

TEST(Config, RefusesByName) {
  const auto refused = [](const char* key, json::Value value) {
    json::Value v = config_to_hf(student(), 1, 2, 0);
    v.set(key, std::move(value));
    const auto config = config_from_hf(v);
    return config ? std::string("accepted") : config.error().text();
  };
  EXPECT_THAT(refused("hidden_act", "gelu"), testing::HasSubstr("gelu"));
  EXPECT_THAT(refused("attention_bias", true), testing::HasSubstr("attention_bias"));
  EXPECT_THAT(refused("mlp_bias", true), testing::HasSubstr("mlp_bias"));
  EXPECT_THAT(refused("model_type", "gemma"), testing::HasSubstr("gemma"));
  EXPECT_THAT(refused("model_type", "mistral"), testing::HasSubstr("MistralForCausalLM"));
  EXPECT_THAT(refused("architectures", json::Value::array({"GPT2LMHeadModel"})),
              testing::HasSubstr("GPT2LMHeadModel"));
  EXPECT_THAT(refused("rope_scaling", json::Value::object({{"rope_type", "yarn"}})),
              testing::HasSubstr("yarn"));
  EXPECT_THAT(refused("layer_types", json::Value::array({"linear_attention"})),
              testing::HasSubstr("linear_attention"));
  EXPECT_THAT(refused("num_key_value_heads", 3), testing::HasSubstr("key-value"));
  EXPECT_THAT(refused("head_dim", 33), testing::HasSubstr("head size"));
  EXPECT_THAT(refused("num_hidden_layers", 0), testing::HasSubstr("layers"));
  EXPECT_THAT(refused("vocab_size", int64_t{1} << 60), testing::HasSubstr("vocabulary"));
  EXPECT_THAT(refused("hidden_size", nullptr), testing::HasSubstr("hidden_size"));
}

TEST(WeightsTest, TheListCoversTheBlockWithoutGaps) {
  for (const bool tied : {true, false}) {
    Config config = student();
    config.tied_embeddings = tied;
    const auto list = tensor_list(config);
    int64_t next = 0;
    for (const TensorInfo& tensor : list) {
      EXPECT_EQ(tensor.offset, next) << tensor.name;
      next += tensor.size();
    }
    EXPECT_EQ(next, config.parameters());
    EXPECT_EQ(Weights(config).block().size(), static_cast<size_t>(next));
    EXPECT_EQ(list.back().name, tied ? "model.norm.weight" : "lm_head.weight");
  }
}

TEST(WeightsTest, RandomOnesAreAFunctionOfTheSeed) {
  const Config config = {
      .vocab = 300, .width = 64, .layers = 2, .heads = 2, .kv_heads = 1, .head_dim = 32, .ffn = 96};
  const Weights one = Weights::random(config, 7);
  const Weights same = Weights::random(config, 7);
  const Weights other = Weights::random(config, 8);
  EXPECT_TRUE(std::ranges::equal(one.block(), same.block()));
  EXPECT_FALSE(std::ranges::equal(one.block(), other.block()));
  EXPECT_EQ(one.tensor("model.norm.weight")[3], 1.0f);
  double squares = 0;
  const auto embedding = one.tensor("model.embed_tokens.weight");
  for (const float w : embedding) squares += static_cast<double>(w) * w;
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(embedding.size())), 0.02, 0.0005);
  const auto down = one.tensor("model.layers.1.mlp.down_proj.weight");
  squares = 0;
  for (const float w : down) squares += static_cast<double>(w) * w;
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(down.size())), 0.01, 0.0005);
}

}  // namespace
}  // namespace retort::model
