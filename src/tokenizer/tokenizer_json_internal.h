// What the files that read and write tokenizer.json share.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"
#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

constexpr const char* kMetaspace = "\u2581";
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Of a step's "type".
bool is_type(const json::Value& value, std::string_view type);
bool is_true(const json::Value& value, std::string_view key);
bool is_false(const json::Value& value, std::string_view key);
bool is_absent(const json::Value* value);

// Tokens by their ids, which may come in any order but must fill 0..n-1 in the end.
struct SpeltTokens : PrintableVocabulary {
  Result<void> place(const std::string& token, int64_t id);
  // Those of "added_tokens", which are special; then looks for ids without a token.
  Result<void> place_added(const json::Value& root);

  std::vector<bool> seen = {};
};

// What a SentencePiece vocabulary of Llama 2's kind puts in front of texts.
Result<SpacePrefix> read_space_prefix(const json::Value& root);
// The vocabulary of a file whose model is of type Unigram.
Result<Vocabulary> read_unigram(const json::Value& root, const json::Value& model);

}  // namespace retort::tokenizer
