#include <algorithm>

#include "artifact/gguf.h"
#include "base/files.h"
#include "tokenizer/sentencepiece_internal.h"
#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {
namespace {

// llama.cpp's token types.
constexpr int64_t kUnknown = 2;
constexpr int64_t kControl = 3;
constexpr int64_t kUserDefined = 4;
constexpr int64_t kUnused = 5;
constexpr int64_t kByte = 6;

Result<TokenId> id_at(const artifact::GgufFile& file, const char* key, size_t size) {
  RETORT_TRY(const int64_t id, file.int_at(key, -1));
  if (id < -1 || id >= static_cast<int64_t>(size)) {
    return base::bad_input("the token id " + std::to_string(id) + " is outside the vocabulary",
                           key);
  }
  return static_cast<TokenId>(id);
}

Result<std::vector<int64_t>> types_of(const artifact::GgufFile& file, size_t size) {
  RETORT_TRY(auto types, file.ints_at("tokenizer.ggml.token_type"));
  if (types.size() == size) return types;
  return base::bad_input("tokenizer.ggml.token_type has another length than the tokens");
}

Result<Vocabulary> byte_level(const artifact::GgufFile& file) {
  RETORT_TRY(const std::string pre_name, file.string_at("tokenizer.ggml.pre"));
  RETORT_TRY(const PreTokenizer pre, parse_pre_tokenizer(pre_name));
  RETORT_TRY(const auto* tokens, file.strings_at("tokenizer.ggml.tokens"));
  RETORT_TRY(const auto* merges, file.strings_at("tokenizer.ggml.merges"));
  RETORT_TRY(const auto types, types_of(file, tokens->size()));
  PrintableVocabulary printable{*tokens, *merges, {}};
  for (const int64_t type : types) {
    printable.special.push_back(type == kControl || type == kUserDefined);
  }
  return from_printable(printable, pre);
}

Result<Pieces> pieces_of(const artifact::GgufFile& file) {
  RETORT_TRY(const auto* tokens, file.strings_at("tokenizer.ggml.tokens"));
  RETORT_TRY(const auto types, types_of(file, tokens->size()));
  Pieces pieces{*tokens, {}, {}};
  for (const int64_t type : types) {
    pieces.special.push_back(type == kUnknown || type == kControl || type == kUserDefined ||
                             type == kUnused);
    pieces.byte.push_back(type == kByte);
  }
  return pieces;
}

Result<Vocabulary> sentencepiece(const artifact::GgufFile& file) {
  RETORT_TRY(const Pieces pieces, pieces_of(file));
  RETORT_TRY(Vocabulary vocabulary, from_pieces(pieces));
  RETORT_TRY(vocabulary.scores, file.floats_at("tokenizer.ggml.scores"));
  RETORT_TRY(const bool blank, file.bool_at("tokenizer.ggml.add_space_prefix", true));
  vocabulary.space_prefix = blank ? SpacePrefix::each : SpacePrefix::none;
  RETORT_TRY(const bool removes, file.bool_at("tokenizer.ggml.remove_extra_whitespaces", false));
  if (!removes) return vocabulary;
  return base::bad_input("the tokenizer removes blanks from texts, which is not supported",
                         "tokenizer.ggml.remove_extra_whitespaces");
}

// llama.cpp's name for SentencePiece's unigram kind is that of the first model that had it.
Result<Vocabulary> unigram(const artifact::GgufFile& file) {
  RETORT_TRY(const Pieces pieces, pieces_of(file));
  const bool spells = std::find(pieces.byte.begin(), pieces.byte.end(), true) != pieces.byte.end();
  RETORT_TRY(Vocabulary vocabulary, spells ? from_pieces(pieces) : from_spelt_pieces(pieces));
  vocabulary.unigram = true;
  RETORT_TRY(vocabulary.scores, file.floats_at("tokenizer.ggml.scores"));
  RETORT_TRY(const bool blank, file.bool_at("tokenizer.ggml.add_space_prefix", true));
  vocabulary.space_prefix = blank ? SpacePrefix::each : SpacePrefix::none;
  RETORT_TRY(vocabulary.drops_blanks,
             file.bool_at("tokenizer.ggml.remove_extra_whitespaces", false));
  const size_t size = vocabulary.tokens.size();
  RETORT_TRY(vocabulary.unk, id_at(file, "tokenizer.ggml.unknown_token_id", size));
  constexpr const char* kCharsmap = "tokenizer.ggml.precompiled_charsmap";
  if (!file.has(kCharsmap)) return vocabulary;
  RETORT_TRY(const auto bytes, file.ints_at(kCharsmap));
  for (const int64_t byte : bytes) vocabulary.charsmap += static_cast<char>(byte & 0xff);
  return vocabulary;
}

Result<Vocabulary> read(const artifact::GgufFile& file, const std::string& model) {
  if (model == "gpt2") return byte_level(file);
  if (model == "llama") return sentencepiece(file);
  if (model == "t5") return unigram(file);
  return base::bad_input(
      "the tokenizer \"" + model + "\" is not supported", "tokenizer.ggml.model",
      "use a model with byte-level BPE (gpt2) or SentencePiece's (llama, or t5 for its unigram)");
}

Result<Vocabulary> vocabulary_of(const artifact::GgufFile& file) {
  RETORT_TRY(const std::string model, file.string_at("tokenizer.ggml.model"));
  RETORT_TRY(Vocabulary vocabulary, read(file, model));
  const auto* tokens = &vocabulary.tokens;
  RETORT_TRY(const auto types, types_of(file, tokens->size()));
  for (const int64_t type : types) vocabulary.shown.push_back(type == kUserDefined);
  RETORT_TRY(vocabulary.bos, id_at(file, "tokenizer.ggml.bos_token_id", tokens->size()));
  RETORT_TRY(vocabulary.eos, id_at(file, "tokenizer.ggml.eos_token_id", tokens->size()));
  RETORT_TRY(vocabulary.pad, id_at(file, "tokenizer.ggml.padding_token_id", tokens->size()));
  RETORT_TRY(vocabulary.add_bos, file.bool_at("tokenizer.ggml.add_bos_token", model == "llama"));
  RETORT_TRY(vocabulary.chat_template, file.string_at("tokenizer.chat_template", ""));
  return vocabulary;
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_tokenizer_gguf(const artifact::GgufFile& file) {
  auto vocabulary = vocabulary_of(file);
  if (!vocabulary) return vocabulary.error().at(file.where());
  auto made = Tokenizer::create(std::move(*vocabulary));
  if (!made) return made.error().at(file.where());
  return made;
}

Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::string& model_path) {
  if (base::is_directory(model_path)) {
    return load_tokenizer_json(base::join(model_path, "tokenizer.json"));
  }
  RETORT_TRY(const auto file, artifact::GgufFile::open(model_path));
  return load_tokenizer_gguf(file);
}

}  // namespace retort::tokenizer
