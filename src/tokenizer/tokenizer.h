// Text to token ids and back: byte-level BPE with hand-coded pre-tokenizers (no regex engine), and
// SentencePiece vocabularies of both kinds, BPE and unigram.
// Immutable after construction, safe from any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace retort::artifact {
class GgufFile;
}

namespace retort::tokenizer {

using TokenId = int32_t;

enum class PreTokenizer { gpt2, smollm, llama3, qwen2 };
// As GGUF's tokenizer.ggml.pre spells them: gpt-2, smollm, llama-bpe, qwen2. Parsing refuses others
// with the list.
const char* name(PreTokenizer pre);
Result<PreTokenizer> parse_pre_tokenizer(std::string_view text);

// Whether a blank is put before a text that SentencePiece is to encode: before each that does not
// go on from other text, or not where it begins with a blank, or the first of a sequence alone.
enum class SpacePrefix { none, each, each_unless_blank, first_unless_blank };

// Where an encoded text stands in a sequence.
enum class Place { start, behind_control, inside };

// Everything a vocabulary file states. tokens[i] is the byte string (not the GPT-2 printable
// spelling) of id i; merges are pairs of ids in order of rank.
struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::pair<TokenId, TokenId>> merges;
  std::vector<bool> special;  // control tokens: never produced from text, never printed
  // Special ones that are printed all the same, as Qwen3's <think>; may be shorter than `tokens`.
  std::vector<bool> shown = {};
  PreTokenizer pre = PreTokenizer::smollm;
  // The ids of the tokens that stand for one byte each: a SentencePiece vocabulary. Empty:
  // byte-level BPE. With scores, two tokens merge into one when there is one, that of the highest
  // score first; without, as `merges` says. `pre` has no meaning.
  std::vector<TokenId> byte_tokens;
  std::vector<float> scores;
  SpacePrefix space_prefix = SpacePrefix::none;
  // SentencePiece's unigram kind: a text becomes the tokens with the highest sum of scores. What no
  // token spells is bytes, or the unknown token where byte_tokens is empty.
  bool unigram = false;
  TokenId unk = -1;
  // How SentencePiece rewrites a text before (precompiled_charsmap as its model has it; "": not at
  // all), and whether blanks at its ends and repeated ones are dropped. Unigram alone.
  std::string charsmap = {};
  bool drops_blanks = false;
  bool is_sentencepiece() const { return unigram || !byte_tokens.empty(); }
  TokenId bos = -1;  // -1: none
  TokenId eos = -1;
  TokenId pad = -1;
  bool add_bos = false;
  // A word that is a token takes it, whether or not merges lead there (as Llama 3's file says).
  bool whole_words = false;
  std::string chat_template;  // Jinja text as the file had it; "" for none. Never executed.
};

// The same in the spelling of files (tokenizer.json, GGUF): a byte is a printable character
// ("\u0120the"), a merge two of them with a blank between. Control tokens are spelt as they are.
struct PrintableVocabulary {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  std::vector<bool> special;
  std::vector<bool> shown = {};
};
// Fills tokens, merges and special, and whole_words by `pre`; the caller adds the rest. Refuses
// spellings that no byte string has and merges whose parts or result are no tokens.
Result<Vocabulary> from_printable(const PrintableVocabulary& printable, PreTokenizer pre);
PrintableVocabulary to_printable(const Vocabulary& vocabulary);

class Tokenizer {
 public:
  // Refuses duplicate tokens, merges of unknown tokens, and vocabularies without a token for a byte
  // that text of assigned characters needs. Other bytes may lack one (SmolLM2's lacks 21: control
  // characters, bytes that no UTF-8 has, the lead bytes of empty planes); encode() leaves those
  // out, as transformers and llama.cpp do.
  static Result<std::shared_ptr<const Tokenizer>> create(Vocabulary vocabulary);
  ~Tokenizer();

  int64_t size() const;
  const Vocabulary& vocabulary() const;

  // Ids of the text. Special tokens spelt in the text stay literal text. O(n log n) for any input.
  // `place` matters to SentencePiece's blank alone.
  std::vector<TokenId> encode(std::string_view text, Place place = Place::start) const;
  // The id of a special token by its exact spelling ("<|im_end|>"), -1 when there is none.
  TokenId special(std::string_view spelling) const;
  bool is_special(TokenId id) const;
  // The bytes of one token, "" for special ones that are not shown. A token may end inside a UTF-8
  // character.
  std::string_view bytes(TokenId id) const;
  // The bytes of all; special tokens are left out (the unknown one too), and the blank that
  // SentencePiece put in front.
  std::string decode(const std::vector<TokenId>& ids) const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Hugging Face tokenizer.json (byte-level BPE; SentencePiece's BPE as Llama 2 has it, and its
// unigram as T5 has it), and a model folder's tokenizer_config.json and chat_template.jinja beside
// it when they are there.
Result<std::shared_ptr<const Tokenizer>> load_tokenizer_json(const std::string& path);
// What a GGUF file holds under tokenizer.ggml.* (models "gpt2", "llama" and "t5").
Result<std::shared_ptr<const Tokenizer>> load_tokenizer_gguf(const artifact::GgufFile& file);
// That of a model on disk: a Hugging Face folder or a GGUF file.
Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::string& model_path);
// Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json and chat_template.jinja
// into a folder, so that transformers' AutoTokenizer gives equal ids on any text. Byte-level BPE
// alone; others are refused.
Result<void> save_tokenizer(const Tokenizer& tokenizer, const std::string& folder);

}  // namespace retort::tokenizer
