// A student as a Hugging Face folder.
#pragma once
#include <string>

#include "base/result.h"
#include "model/weights.h"
#include "release/formats.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

namespace retort::release {

struct FolderInput {
  const model::Weights& weights;
  const tokenizer::Tokenizer& tokenizer;
  tokenizer::TokenId stop_token = -1;
  Format format = Format::f32;  // f32, bf16 or f16
  std::string card;             // README.md
};

// Writes config.json, generation_config.json, model.safetensors, the tokenizer's files and
// README.md into an existing folder.
Result<void> write_folder(const FolderInput& input, const std::string& folder);

}  // namespace retort::release
