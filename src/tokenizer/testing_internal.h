// What the room's tests share: the fixtures of tests/golden/tokenizer and tiny vocabularies.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "json/value.h"
#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

inline std::string golden(const std::string& name) {
  return std::string(RETORT_SOURCE_DIR "/tests/golden/tokenizer/") + name;
}

inline json::Value golden_json(const std::string& name) {
  auto text = base::read_file(golden(name));
  EXPECT_TRUE(text) << name;
  auto value = json::parse(*text, name);
  EXPECT_TRUE(value) << name;
  return *value;
}

inline std::shared_ptr<const Tokenizer> make(Vocabulary vocabulary) {
  auto made = Tokenizer::create(std::move(vocabulary));
  EXPECT_TRUE(made) << made.error().text();
  return *made;
}

// All 256 bytes as ids 0..255, then the results of the merges, which are given as texts.
inline Vocabulary byte_vocabulary(
    const std::vector<std::pair<std::string, std::string>>& merges = {}) {
  Vocabulary made;
  for (int byte = 0; byte < 256; ++byte) made.tokens.emplace_back(1, static_cast<char>(byte));
  const auto id = [&](const std::string& token) {
    const auto found = std::find(made.tokens.begin(), made.tokens.end(), token);
    return static_cast<TokenId>(found - made.tokens.begin());
  };
  for (const auto& [left, right] : merges) {
    made.merges.emplace_back(id(left), id(right));
    if (id(left + right) == static_cast<TokenId>(made.tokens.size())) {
      made.tokens.push_back(left + right);
    }
  }
  return made;
}

// Every byte, and the control tokens of all families.
inline std::shared_ptr<const Tokenizer> vocabulary_for(const std::string& chat_template,
                                                       bool add_bos = false) {
  Vocabulary vocabulary = byte_vocabulary();
  vocabulary.special.resize(256);
  for (const char* token :
       {"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>",
        "<|eot_id|>", "<start_of_turn>", "<end_of_turn>", "<think>", "</think>"}) {
    vocabulary.tokens.emplace_back(token);
    vocabulary.special.push_back(true);
  }
  vocabulary.bos = 256;
  vocabulary.eos = 257;
  vocabulary.add_bos = add_bos;
  vocabulary.chat_template = chat_template;
  auto made = Tokenizer::create(std::move(vocabulary));
  EXPECT_TRUE(made);
  return *made;
}

inline std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::string> out;
  for (const TokenId id : tokenizer.encode(text)) out.emplace_back(tokenizer.bytes(id));
  return out;
}

// Ids as text, with the special tokens shown.
inline std::string shown(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string out;
  for (const TokenId id : ids) {
    out += tokenizer.is_special(id) ? tokenizer.vocabulary().tokens[static_cast<size_t>(id)]
                                    : std::string(tokenizer.bytes(id));
  }
  return out;
}

}  // namespace retort::tokenizer
