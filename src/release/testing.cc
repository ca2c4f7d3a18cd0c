#include <algorithm>

#include "base/check.h"
#include "model/rope_scaling.h"
#include "release/testing_internal.h"
#include "tokenizer/chat.h"

namespace retort::release {

std::shared_ptr<const tokenizer::Tokenizer> small_tokenizer() {
  tokenizer::Vocabulary vocabulary;
  const auto add = [&](std::string bytes, bool special) {
    vocabulary.tokens.push_back(std::move(bytes));
    vocabulary.special.push_back(special);
    return static_cast<tokenizer::TokenId>(vocabulary.tokens.size() - 1);
  };
  vocabulary.pad = add("<|endoftext|>", true);
  vocabulary.bos = add("<|im_start|>", true);
  vocabulary.eos = add("<|im_end|>", true);
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)), false);
  const auto id_of = [&](std::string_view text) {
    const auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), text);
    RETORT_CHECK(found != vocabulary.tokens.end(), "no token \"{}\"", text);
    return static_cast<tokenizer::TokenId>(found - vocabulary.tokens.begin());
  };
  const char* merges[][2] = {
      {" ", "t"},   {"h", "e"},   {"a", "n"},       {" t", "he"}, {"i", "n"},   {" ", "a"},
      {"o", "n"},   {"e", "r"},   {"\xC3", "\xA9"}, {" ", "s"},   {"o", "r"},   {"t", "or"},
      {" a", "n"},  {"s", "t"},   {"o", "on"},      {"m", "oon"}, {"u", "s"},   {"'", "s"},
      {"\n", "\n"}, {"us", "er"}, {"a", "b"},       {" ", " "},   {" s", "tor"}};
  for (const auto& [left, right] : merges) {
    vocabulary.merges.emplace_back(id_of(left), id_of(right));
    add(std::string(left) + right, false);
  }
  vocabulary.chat_template = tokenizer::chatml_template_text();
  auto made = tokenizer::Tokenizer::create(std::move(vocabulary));
  RETORT_CHECK(made.ok(), "{}", made.ok() ? "" : made.error().text());
  return *made;
}

namespace {

model::Config small_config(int64_t vocab, bool tied) {
  model::Config config;
  config.vocab = vocab;
  config.width = 64;
  config.layers = 3;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.ffn = 96;
  config.max_positions = 256;
  config.tied_embeddings = tied;
  return config;
}

model::Weights lively_weights(const model::Config& config, uint64_t seed) {
  auto weights = model::Weights::random(config, seed);
  for (const auto& info : weights.tensors()) {
    const bool sharp = info.name.find("q_proj") != std::string::npos ||
                       info.name.find("k_proj") != std::string::npos;
    const float bias = info.name.ends_with(".bias") ? 0.02f : 0.0f;
    auto values = weights.tensor(info.name);
    for (size_t i = 0; i < values.size(); ++i) {
      // Vectors vary as well, so that a missing or exchanged one shows.
      const auto step = static_cast<float>(i % 17);
      values[i] *= info.is_vector ? 1.0f + 0.02f * step : sharp ? 4.0f : 6.0f;
      values[i] += bias * (step - 7);
    }
  }
  return weights;
}

}  // namespace

model::Weights small_weights(int64_t vocab, bool tied, uint64_t seed) {
  return lively_weights(small_config(vocab, tied), seed);
}

model::Weights small_family(const std::string& family, int64_t vocab, uint64_t seed) {
  model::Config config = small_config(vocab, /*tied=*/family != "qwen2");
  config.qkv_bias = family == "qwen2";
  config.qk_norm = family == "qwen3";
  if (config.qk_norm) config.head_dim = 32;
  if (family == "llama3") {
    config.rope_divisors =
        model::llama3_divisors({.original_positions = 32}, config.head_dim, config.rope_theta);
  }
  if (family == "linear") config.rope_divisors.assign(8, 2.5f);
  if (family == "odd") config.rope_divisors = {1, 1.25f, 0.5f, 2, 3, 7, 7, 9};
  return lively_weights(config, seed);
}

}  // namespace retort::release
