// A student as one GGUF file of its family's architecture, as llama.cpp expects it.
#pragma once
#include <string>

#include "base/result.h"
#include "model/weights.h"
#include "release/formats.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

namespace retort::release {

struct GgufInput {
  const model::Weights& weights;
  const tokenizer::Tokenizer& tokenizer;
  tokenizer::TokenId stop_token = -1;  // ends an assistant's turn
  std::string name;                    // general.name
  std::string description;
  std::string licence;  // SPDX identifier, "" for none stated
  Format format = Format::f32;
};

// A model of which such a file would say less than it is, is refused.
Result<void> write_gguf(const GgufInput& input, const std::string& path);

// llama.cpp turns pairs of neighbouring rows where Hugging Face turns halves of a head: row
// (h, half, j) of a [heads * head_dim, cols] matrix goes to (h, j, half).
std::vector<float> rows_for_llama_cpp(std::span<const float> rows, int64_t heads, int64_t head_dim,
                                      int64_t cols);

}  // namespace retort::release
