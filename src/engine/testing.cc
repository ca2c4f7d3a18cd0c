#include <algorithm>
#include <cmath>
#include <cstring>

#include "artifact/gguf.h"
#include "artifact/half.h"
#include "base/check.h"
#include "base/random.h"
#include "engine/testing_internal.h"
#include "model/gguf_names.h"
#include "model/model_file.h"
#include "model/rope_scaling.h"
#include "tokenizer/chat.h"

namespace retort::engine {
namespace {

using artifact::GgufArray;
using artifact::TensorType;

tokenizer::Vocabulary small_vocabulary() {
  tokenizer::Vocabulary made;
  for (int byte = 0; byte < 256; ++byte) made.tokens.emplace_back(1, static_cast<char>(byte));
  const auto id = [&](const std::string& token) {
    return static_cast<tokenizer::TokenId>(
        std::find(made.tokens.begin(), made.tokens.end(), token) - made.tokens.begin());
  };
  for (const auto& [left, right] : {std::pair<const char*, const char*>{"h", "e"},
                                    {" ", "t"},
                                    {" t", "he"},
                                    {"a", "n"},
                                    {"\xC3", "\xA9"}}) {
    made.merges.emplace_back(id(left), id(right));
    made.tokens.push_back(std::string(left) + right);
  }
  made.special.assign(made.tokens.size(), false);
  for (const char* name : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    made.tokens.emplace_back(name);
    made.special.push_back(true);
  }
  made.chat_template = tokenizer::chatml_template_text();
  return made;
}

// Round-to-nearest codes between a block's smallest and largest number.
void quantise_four_bits(const float* from, bool centred, std::string& out) {
  const auto [low, high] = std::minmax_element(from, from + 32);
  const float reach = std::max(std::fabs(*low), std::fabs(*high));
  const float scale = centred ? reach / 8 : (*high - *low) / 15;
  const float zero = centred ? -8 * scale : *low;
  const auto put_half = [&](float value) {
    const uint16_t bits = artifact::float_to_f16(value);
    out.append(reinterpret_cast<const char*>(&bits), 2);
  };
  put_half(scale);
  if (!centred) put_half(zero);
  const auto code = [&](int i) {
    const float level = scale > 0 ? std::round((from[i] - zero) / scale) : 0;
    return static_cast<int>(std::clamp(level, 0.0f, 15.0f));
  };
  for (int i = 0; i < 16; ++i) out += static_cast<char>(code(i) | code(i + 16) << 4);
}

// Blocks of random codes: what they stand for is whatever the file's reader says. Their binary16
// numbers stand where the type keeps them, and are small enough for a lively model.
std::string random_blocks(TensorType type, size_t values, uint64_t seed) {
  std::vector<int64_t> places = {0};
  float scale = 0.004f;
  if (type == TensorType::q5_1) places = {0, 2};
  if (type == TensorType::q2_k) places = {80, 82};
  if (type == TensorType::q3_k) places = {108};
  if (type == TensorType::q4_k || type == TensorType::q5_k) places = {0, 2};
  if (type == TensorType::q6_k) places = {208};
  if (type == TensorType::q2_k) scale = 0.003f;
  if (type == TensorType::q3_k) scale = 0.0006f;
  if (type == TensorType::q4_k || type == TensorType::q5_k || type == TensorType::q6_k) {
    scale = 0.00004f;
  }
  if (type == TensorType::iq4_nl) scale = 0.0007f;
  const auto info = *artifact::type_info(type);
  std::string out(static_cast<size_t>(*artifact::type_bytes(type, static_cast<int64_t>(values))),
                  0);
  base::Random random(seed);
  for (char& byte : out) byte = static_cast<char>(random.below(256));
  for (size_t block = 0; block < out.size(); block += static_cast<size_t>(info.block_bytes)) {
    for (const int64_t place : places) {
      const auto spread = static_cast<float>(1 + 0.2 * random.normal());
      const uint16_t bits =
          artifact::float_to_f16(place == places[0] ? scale * spread : -8 * scale * spread);
      std::memcpy(out.data() + block + static_cast<size_t>(place), &bits, 2);
    }
  }
  return out;
}

std::string encoded(const std::vector<float>& values, TensorType type) {
  std::string out;
  if (!artifact::can_quantise(type) && type != TensorType::q4_0 && type != TensorType::q4_1) {
    return random_blocks(type, values.size(), values.size() + static_cast<uint64_t>(type));
  }
  if (type == TensorType::q4_0 || type == TensorType::q4_1) {
    for (size_t i = 0; i < values.size(); i += 32) {
      quantise_four_bits(values.data() + i, type == TensorType::q4_0, out);
    }
    return out;
  }
  const auto bytes = artifact::type_bytes(type, static_cast<int64_t>(values.size()));
  out.resize(static_cast<size_t>(*bytes));
  RETORT_CHECK(
      artifact::quantise(type, values, {reinterpret_cast<uint8_t*>(out.data()), out.size()}).ok());
  return out;
}

artifact::GgufMetadata metadata_of(const model::Config& c) {
  auto printable = tokenizer::to_printable(small_vocabulary());
  std::vector<int32_t> types;
  for (const bool special : printable.special) types.push_back(special ? 3 : 1);
  artifact::GgufMetadata metadata = model::gguf_shape(c);
  metadata.emplace_back("tokenizer.ggml.model", std::string("gpt2"));
  metadata.emplace_back("tokenizer.ggml.pre", std::string("smollm"));
  metadata.emplace_back("tokenizer.ggml.tokens", GgufArray{std::move(printable.tokens)});
  metadata.emplace_back("tokenizer.ggml.token_type", GgufArray{std::move(types)});
  metadata.emplace_back("tokenizer.ggml.merges", GgufArray{std::move(printable.merges)});
  metadata.emplace_back("tokenizer.chat_template", small_vocabulary().chat_template);
  return metadata;
}

}  // namespace

std::shared_ptr<const tokenizer::Tokenizer> small_tokenizer() {
  auto made = tokenizer::Tokenizer::create(small_vocabulary());
  RETORT_CHECK(made.ok());
  return *made;
}

model::Weights small_weights(const SmallModel& options) {
  model::Config config;
  config.vocab = small_tokenizer()->size();
  config.width = options.width;
  config.layers = 3;
  config.heads = options.heads;
  config.kv_heads = options.kv_heads;
  config.head_dim = options.head_dim;
  config.ffn = options.ffn;
  config.max_positions = 2048;
  config.tied_embeddings = options.tied;
  config.qkv_bias = options.qkv_bias;
  config.qk_norm = options.qk_norm;
  if (options.stretched) {
    config.rope_divisors =
        model::llama3_divisors({.original_positions = 64}, config.head_dim, config.rope_theta);
  }
  auto weights = model::Weights::random(config, options.seed);
  for (const auto& info : weights.tensors()) {
    base::Random random(options.seed + 7, static_cast<uint64_t>(info.offset));
    const float centre = info.name.ends_with(".bias") ? 0 : 1;
    for (float& value : weights.tensor(info.name)) {
      value = info.is_vector ? static_cast<float>(centre + 0.2 * random.normal()) : value * 6;
    }
  }
  return weights;
}

SmallModel small_model_for(TensorType type, uint64_t seed) {
  if (artifact::type_info(type)->block <= 32) return {.seed = seed};
  return {.seed = seed, .width = 256, .head_dim = 64, .ffn = 256};
}

TensorType some_type(const model::TensorInfo& info) {
  using enum TensorType;
  constexpr TensorType kTypes[] = {q6_k, q4_k, q8_0, f16,  q5_k,   q4_1, f32, q5_0,
                                   q3_k, bf16, q2_k, q5_1, iq4_nl, q4_0, q6_k};
  return kTypes[static_cast<size_t>(info.offset / 64) % std::size(kTypes)];
}

model::Weights write_gguf(const model::Weights& weights, TensorType type, const std::string& path) {
  return write_mixed_gguf(
      weights, [&](const model::TensorInfo&) { return type; }, path);
}

model::Weights write_mixed_gguf(const model::Weights& weights, const TypeOf& type_of,
                                const std::string& path) {
  const model::Config& c = weights.config();
  std::vector<artifact::GgufTensorSpec> specs;
  const auto rope_table = model::gguf_rope_table(c);
  if (!rope_table.empty()) {
    specs.push_back({model::kGgufRopeTable, {c.head_dim / 2}, TensorType::f32});
  }
  for (const auto& info : weights.tensors()) {
    std::vector<int64_t> dims = {info.cols};
    if (!info.is_vector) dims.push_back(info.rows);
    specs.push_back(
        {model::gguf_name(info.name), dims, info.is_vector ? TensorType::f32 : type_of(info)});
  }
  auto writer = artifact::GgufWriter::create(path, metadata_of(c), specs);
  RETORT_CHECK(writer.ok());
  if (!rope_table.empty()) RETORT_CHECK(writer->add(rope_table).ok());
  for (const auto& info : weights.tensors()) {
    const auto from = weights.tensor(info.name);
    std::vector<float> values(from.begin(), from.end());
    if (model::paired_heads(info.name, c) > 0) {
      const int64_t half = c.head_dim / 2;
      for (int64_t row = 0; row < info.rows; ++row) {
        const int64_t inside = row % c.head_dim;
        const int64_t to = row - inside + (inside % half) * 2 + inside / half;
        std::copy_n(from.data() + row * info.cols, info.cols, values.data() + to * info.cols);
      }
    }
    const std::string bytes = encoded(values, info.is_vector ? TensorType::f32 : type_of(info));
    RETORT_CHECK(
        writer->add_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}).ok());
  }
  RETORT_CHECK(writer->finish().ok());
  auto loaded = model::load_weights(path);
  RETORT_CHECK(loaded.ok());
  return std::move(*loaded);
}

}  // namespace retort::engine
