#include <fmt/core.h>

#include <algorithm>
#include <span>

#include "artifact/gguf.h"
#include "base/check.h"
#include "model/gguf_names.h"
#include "release/gguf_export_internal.h"

namespace retort::release {
namespace {

using artifact::GgufArray;
using artifact::GgufMetadata;
using artifact::TensorType;

TensorType tensor_type(Format format) {
  switch (format) {
    case Format::f32:
      return TensorType::f32;
    case Format::bf16:
      return TensorType::bf16;
    case Format::f16:
      return TensorType::f16;
    case Format::q8_0:
      return TensorType::q8_0;
  }
  return TensorType::f32;
}

// llama.cpp's llama_ftype: the type of most tensors, a label for people.
uint32_t file_type(Format format) {
  switch (format) {
    case Format::f32:
      return 0;
    case Format::bf16:
      return 32;
    case Format::f16:
      return 1;
    case Format::q8_0:
      return 7;
  }
  return 0;
}

uint32_t u32(int64_t value) {
  RETORT_CHECK(value >= 0 && value <= UINT32_MAX, "{}", value);
  return static_cast<uint32_t>(value);
}

void add_vocabulary(GgufMetadata& metadata, const GgufInput& input) {
  const auto& vocabulary = input.tokenizer.vocabulary();
  auto printable = tokenizer::to_printable(vocabulary);
  constexpr int32_t kNormal = 1, kControl = 3;
  std::vector<int32_t> types;
  for (const bool special : printable.special) types.push_back(special ? kControl : kNormal);
  metadata.emplace_back("tokenizer.ggml.model", std::string("gpt2"));
  metadata.emplace_back("tokenizer.ggml.pre", std::string(tokenizer::name(vocabulary.pre)));
  metadata.emplace_back("tokenizer.ggml.tokens", GgufArray{std::move(printable.tokens)});
  metadata.emplace_back("tokenizer.ggml.token_type", GgufArray{std::move(types)});
  metadata.emplace_back("tokenizer.ggml.merges", GgufArray{std::move(printable.merges)});
  const auto add_id = [&](const char* key, tokenizer::TokenId id) {
    if (id >= 0) metadata.emplace_back(key, u32(id));
  };
  add_id("tokenizer.ggml.bos_token_id", vocabulary.bos);
  add_id("tokenizer.ggml.eos_token_id", vocabulary.eos);
  add_id("tokenizer.ggml.eot_token_id", input.stop_token);
  add_id("tokenizer.ggml.padding_token_id", vocabulary.pad);
  metadata.emplace_back("tokenizer.ggml.add_bos_token", vocabulary.add_bos);
  metadata.emplace_back("tokenizer.ggml.add_eos_token", false);
  metadata.emplace_back("tokenizer.ggml.add_space_prefix", false);
  if (!vocabulary.chat_template.empty()) {
    metadata.emplace_back("tokenizer.chat_template", vocabulary.chat_template);
  }
}

GgufMetadata metadata_of(const GgufInput& input) {
  GgufMetadata shape = model::gguf_shape(input.weights.config());
  GgufMetadata metadata = {shape.front()};  // the architecture
  metadata.emplace_back("general.type", std::string("model"));
  metadata.emplace_back("general.name", input.name);
  if (!input.description.empty()) {
    metadata.emplace_back("general.description", input.description);
  }
  if (!input.licence.empty()) metadata.emplace_back("general.license", input.licence);
  metadata.emplace_back("general.file_type", file_type(input.format));
  metadata.emplace_back("general.quantization_version", uint32_t{2});
  metadata.insert(metadata.end(), shape.begin() + 1, shape.end());
  add_vocabulary(metadata, input);
  return metadata;
}

}  // namespace

std::vector<float> rows_for_llama_cpp(std::span<const float> rows, int64_t heads, int64_t head_dim,
                                      int64_t cols) {
  RETORT_CHECK_EQ(static_cast<int64_t>(rows.size()), heads * head_dim * cols);
  std::vector<float> out(rows.size());
  const int64_t half = head_dim / 2;
  for (int64_t row = 0; row < heads * head_dim; ++row) {
    const int64_t head = row / head_dim, side = row % head_dim / half, j = row % half;
    const int64_t to = head * head_dim + 2 * j + side;
    std::copy_n(rows.begin() + row * cols, cols, out.begin() + to * cols);
  }
  return out;
}

Result<void> write_gguf(const GgufInput& input, const std::string& path) {
  if (input.tokenizer.vocabulary().is_sentencepiece()) {
    return base::bad_input("a SentencePiece vocabulary cannot be written to a GGUF file", path,
                           "export a model whose tokenizer was trained here");
  }
  const model::Config& config = input.weights.config();
  RETORT_TRY_VOID(model::check_gguf_holds(config));
  const std::span<const float> rope_table = model::gguf_rope_table(config);
  const auto frequencies = static_cast<int64_t>(rope_table.size());
  std::vector<artifact::GgufTensorSpec> specs;
  if (frequencies > 0) specs.push_back({model::kGgufRopeTable, {frequencies}, TensorType::f32});
  for (const auto& info : input.weights.tensors()) {
    const auto type = tensor_type(gguf_format(info, input.format));
    std::vector<int64_t> dims = {info.cols};
    if (!info.is_vector) dims.push_back(info.rows);
    specs.push_back({model::gguf_name(info.name), std::move(dims), type});
  }
  RETORT_TRY(auto writer, artifact::GgufWriter::create(path, metadata_of(input), std::move(specs)));
  if (frequencies > 0) RETORT_TRY_VOID(writer.add(rope_table));
  for (const auto& info : input.weights.tensors()) {
    const auto values = input.weights.tensor(info.name);
    const int64_t heads = model::paired_heads(info.name, config);
    if (heads > 0) {
      const auto rows = rows_for_llama_cpp(values, heads, config.head_dim, info.cols);
      RETORT_TRY_VOID(writer.add(rows));
    } else {
      RETORT_TRY_VOID(writer.add(values));
    }
  }
  return writer.finish();
}

}  // namespace retort::release
