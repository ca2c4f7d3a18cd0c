#include "model/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "kernels/gradient_check.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

using kernels::relative_difference;
using testing::HasSubstr;

const Config kBase = tiny(true);

TEST(LoraTest, FirstValuesAreThoseOfPeft) {
  const Adapter adapter = Adapter::random(kBase, {.rank = 4}, 1);
  double squares = 0;
  int64_t count = 0;
  for (const TensorInfo& info : adapter.tensors()) {
    const bool is_a = info.name.find("lora_A") != std::string::npos;
    EXPECT_EQ(is_a ? info.rows : info.cols, 4) << info.name;
    for (int64_t i = info.offset; i < info.offset + info.size(); ++i) {
      const double value = adapter.block()[static_cast<size_t>(i)];
      if (!is_a) {
        ASSERT_EQ(value, 0) << info.name;
        continue;
      }
      const double share = value * std::sqrt(static_cast<double>(info.cols));
      ASSERT_LE(std::abs(share), 1) << info.name;
      squares += share * share;
      ++count;
    }
  }
  EXPECT_NEAR(squares / static_cast<double>(count), 1.0 / 3, 0.03);  // uniform in [-1, 1]
  const auto same = Adapter::random(kBase, {.rank = 4}, 1),
             other = Adapter::random(kBase, {.rank = 4}, 2);
  EXPECT_TRUE(std::ranges::equal(adapter.block(), same.block()));
  EXPECT_FALSE(std::ranges::equal(adapter.block(), other.block()));
}

TEST(LoraTest, TargetsThatReadTheSameInputStandTogether) {
  const Adapter adapter(kBase,
                        {.rank = 3, .targets = {Projection::q, Projection::v, Projection::o}});
  const LowRank q = adapter.at(1, Projection::q), v = adapter.at(1, Projection::v);
  EXPECT_EQ(v.a_offset, q.a_offset + 3 * 12);
  EXPECT_EQ(q.b_offset, v.a_offset + 3 * 12);
  EXPECT_EQ(v.b_offset, q.b_offset + 24 * 3);
  EXPECT_EQ(adapter.at(1, Projection::o).a_offset, v.b_offset + 12 * 3);
  EXPECT_EQ(adapter.tensors().back().name,
            "base_model.model.model.layers.1.self_attn.o_proj.lora_B.weight");
}

TEST(LoraTest, ScaleIsAlphaOverRankOrItsRoot) {
  EXPECT_FLOAT_EQ((LoraConfig{.rank = 16, .alpha = 8}.scale()), 0.5f);
  EXPECT_FLOAT_EQ((LoraConfig{.rank = 16, .alpha = 8, .rank_stabilised = true}.scale()), 2.0f);
}

TEST(LoraTest, MergeAddsTheProduct) {
  const LoraConfig lora = {.rank = 2, .alpha = 3, .targets = {Projection::k, Projection::down}};
  Adapter adapter = Adapter::random(kBase, lora, 3);
  const auto values = kernels::random_floats(static_cast<int64_t>(adapter.block().size()), 4);
  std::ranges::copy(values, adapter.block().begin());
  const Weights before = Weights::random(kBase, 5);
  Weights after = before;
  merge(after, adapter);
  for (const TensorInfo& info : before.tensors()) {
    const std::span<const float> was = before.tensor(info.name), is = after.tensor(info.name);
    const bool k = info.name == "model.layers.1.self_attn.k_proj.weight";
    if (!k && info.name.find("k_proj") == std::string::npos &&
        info.name.find("down_proj") == std::string::npos) {
      EXPECT_TRUE(std::ranges::equal(was, is)) << info.name;
    }
    if (!k) continue;
    const LowRank low = adapter.at(1, Projection::k);
    for (int64_t row = 0; row < 12; ++row) {
      for (int64_t col = 0; col < 12; ++col) {
        const double product =
            double{low.b[row * 2]} * low.a[col] + double{low.b[row * 2 + 1]} * low.a[12 + col];
        ASSERT_NEAR(is[row * 12 + col], was[row * 12 + col] + 1.5 * product, 1e-5);
      }
    }
  }
}

class Peft : public ::testing::TestWithParam<PeftAdapter> {};
INSTANTIATE_TEST_SUITE_P(Adapters, Peft, ::testing::ValuesIn(kPeftAdapters),
                         [](const auto& test) { return test.param.base; });

// What PEFT wrote and what PyTorch made of it (tests/golden/model/make_lora.py).
TEST_P(Peft, MergedWeightsGiveItsLogits) {
  const std::string folder = golden(GetParam().base), made = base::join(folder, GetParam().adapter);
  auto weights = load_weights(folder);
  ASSERT_TRUE(weights.ok()) << weights.error().text();
  const auto adapter = load_adapter(made, weights->config());
  ASSERT_TRUE(adapter.ok()) << adapter.error().text();
  const auto file = artifact::SafetensorsFile::open(base::join(made, "expected.safetensors"));
  ASSERT_TRUE(file.ok());
  double unused = 0;
  const Batch batch = golden_batch(folder, &unused);
  merge(*weights, *adapter);
  Network network(*weights, static_cast<int64_t>(batch.tokens.size()), Precision::fp32);
  EXPECT_LT(relative_difference(network.logits(batch), expected(*file, "logits")), 2e-5);
}

class LoraFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(golden("tied/lora.all"), folder_);
    base_ = load_weights(golden("tied"))->config();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string refusal() const {
    const auto loaded = load_adapter(folder_, base_);
    return loaded ? "" : loaded.error().text();
  }
  std::string with(const std::string& key, const json::Value& value) const {
    const std::string path = folder_ / "adapter_config.json";
    const std::string before = *base::read_file(path);
    json::Value config = *json::parse(before);
    config.set(key, value);
    EXPECT_TRUE(base::write_file_atomic(path, json::dump(config)).ok());
    const std::string said = refusal();
    EXPECT_TRUE(base::write_file_atomic(path, before).ok());
    return said;
  }
  std::filesystem::path folder_;
  Config base_;
};

TEST_F(LoraFile, WhatWasWrittenReadsBackEqual) {
  const LoraConfig lora = {
      .rank = 3, .alpha = 4.5, .rank_stabilised = true, .targets = {Projection::q, Projection::up}};
  const Adapter adapter = Adapter::random(base_, lora, 6);
  ASSERT_TRUE(save_adapter(adapter, folder_, "a base").ok());
  const auto read = load_adapter(folder_, base_);
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->lora(), lora);
  EXPECT_TRUE(std::ranges::equal(read->block(), adapter.block()));
}

TEST_F(LoraFile, SettingsThatAreNotBuiltAreNamed) {
  EXPECT_EQ(with("lora_dropout", 0.1), "");
  EXPECT_EQ(with("target_modules", ".*_proj"), "");  // a pattern: the tensors tell
  EXPECT_THAT(with("peft_type", "LOHA"), HasSubstr("LOHA"));
  EXPECT_THAT(with("task_type", "SEQ_CLS"), HasSubstr("SEQ_CLS"));
  EXPECT_THAT(with("bias", "lora_only"), HasSubstr("bias"));
  EXPECT_THAT(with("init_lora_weights", "pissa"), HasSubstr("pissa"));
  for (const char* key : {"use_dora", "lora_bias", "fan_in_fan_out", "a_setting_of_tomorrow"}) {
    EXPECT_THAT(with(key, true), HasSubstr(key));
  }
  for (const char* key : {"modules_to_save", "layers_to_transform", "trainable_token_indices"}) {
    EXPECT_THAT(with(key, json::Value::array({1})), HasSubstr(key));
  }
  for (const char* key : {"rank_pattern", "alpha_pattern"}) {
    EXPECT_THAT(with(key, json::Value::object({{"q_proj", 2}})), HasSubstr(key));
  }
  EXPECT_THAT(with("target_modules", json::Value::array({"q_proj", "lm_head"})),
              HasSubstr("lm_head"));
  EXPECT_THAT(with("r", 1000000000), HasSubstr("rank"));
  EXPECT_THAT(with("r", -1), HasSubstr("rank"));
  EXPECT_THAT(with("lora_alpha", 0), HasSubstr("alpha"));
  EXPECT_THAT(with("lora_alpha", "8"), HasSubstr("lora_alpha"));
}

TEST_F(LoraFile, TensorsThatDoNotFitAreNamed) {
  EXPECT_EQ(refusal(), "");
  EXPECT_THAT(with("r", 4), HasSubstr("q_proj.lora_A.weight is not 4 x 24"));
  EXPECT_THAT(with("target_modules", json::Value::array({"q_proj"})),
              HasSubstr("is no part of an adapter"));
  const Config kept = base_;
  base_.layers = 3;
  EXPECT_THAT(refusal(), HasSubstr("layers.2.self_attn.q_proj.lora_A.weight is missing"));
  base_.layers = 1;
  EXPECT_THAT(refusal(), HasSubstr("layers.1."));
  base_ = kept;
  base_.ffn = 41;
  EXPECT_THAT(refusal(), HasSubstr("41"));
  base_ = kept;
  Adapter adapter = *load_adapter(folder_, base_);
  adapter.block()[7] = std::nanf("");
  ASSERT_TRUE(save_adapter(adapter, folder_, "base").ok());
  EXPECT_THAT(refusal(), HasSubstr("not finite"));
  std::filesystem::resize_file(folder_ / "adapter_model.safetensors", 100);
  EXPECT_THAT(refusal(), HasSubstr("adapter_model.safetensors"));
  std::filesystem::remove(folder_ / "adapter_model.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("has no adapter_model.safetensors"));
  std::filesystem::remove(folder_ / "adapter_config.json");
  EXPECT_THAT(refusal(), HasSubstr("adapter_config.json"));
}

}  // namespace
}  // namespace retort::model
