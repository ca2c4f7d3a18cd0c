#include "tokenizer/tokenizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "tokenizer/bpe_internal.h"
#include "tokenizer/characters_internal.h"
#include "tokenizer/sentencepiece_internal.h"
#include "tokenizer/short_word_internal.h"
#include "tokenizer/split_internal.h"
#include "tokenizer/unigram_internal.h"
#include "tokenizer/word_table_internal.h"

namespace retort::tokenizer {
namespace {

// Bytes that text of assigned characters is made of. Lead bytes 0xf1 and up belong to planes that
// are empty or private, but for tags (0xf3), which no reader sees.
bool is_needed(uint32_t byte) {
  if (byte < 0x20) return byte == '\t' || byte == '\n' || byte == '\r';
  return byte != 0x7f && byte != 0xc0 && byte != 0xc1 && byte <= 0xf0;
}

struct Spelling {
  const char* name;
  PreTokenizer pre;
};
constexpr Spelling kSpellings[] = {{"gpt-2", PreTokenizer::gpt2},
                                   {"smollm", PreTokenizer::smollm},
                                   {"llama-bpe", PreTokenizer::llama3},
                                   {"qwen2", PreTokenizer::qwen2}};

}  // namespace

const char* name(PreTokenizer pre) {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.pre == pre) return spelling.name;
  }
  return "";
}

Result<PreTokenizer> parse_pre_tokenizer(std::string_view text) {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.name == text) return spelling.pre;
  }
  return base::bad_input(fmt::format("the pre-tokenizer \"{}\" is not known", text), "",
                         "known are gpt-2, smollm, llama-bpe and qwen2");
}

struct Tokenizer::Impl {
  Vocabulary vocabulary;
  Bpe bpe;
  // Text tokens that encode to themselves, and their ids; by length.
  ShortWordTable short_words;
  WordTable long_words;
  WordTable specials;  // special tokens by spelling
  std::optional<SentencePieces> pieces;
  std::optional<Unigram> unigram;

  Result<void> index_tokens(WordTable& texts);
  Result<void> check_ids();
  Result<void> check_bytes() const;
  std::vector<bool> byte_marks() const;
  Result<void> index_merges(const WordTable& texts);
  void index_words();
  void encode_word(std::string_view word, size_t readable, MergedWordCache& cache,
                   std::vector<TokenId>& ids) const;

  uint32_t number = next_number();  // this tokenizer's in the caches of all threads
  static uint32_t next_number() {
    static std::atomic<uint32_t> last{0};
    return ++last;
  }
};

Result<void> Tokenizer::Impl::check_ids() {
  const size_t size = vocabulary.tokens.size();
  if (size > static_cast<size_t>(INT32_MAX)) return base::bad_input("vocabulary too large");
  for (const TokenId id : {vocabulary.bos, vocabulary.eos, vocabulary.pad, vocabulary.unk}) {
    if (id < -1 || id >= static_cast<TokenId>(size)) {
      return base::bad_input(fmt::format("bos, eos, pad or unk is token {} of {}", id, size));
    }
  }
  const auto& bytes = vocabulary.byte_tokens;
  const auto outside = [&](TokenId id) { return id < 0 || id >= static_cast<TokenId>(size); };
  if (!bytes.empty() && (bytes.size() != 256 || std::any_of(bytes.begin(), bytes.end(), outside))) {
    return base::bad_input("the tokens that stand for bytes are not 256 of the vocabulary's");
  }
  return {};
}

std::vector<bool> Tokenizer::Impl::byte_marks() const {
  std::vector<bool> marks(vocabulary.tokens.size());
  for (const TokenId id : vocabulary.byte_tokens) marks[static_cast<size_t>(id)] = true;
  return marks;
}

Result<void> Tokenizer::Impl::check_bytes() const {
  if (vocabulary.is_sentencepiece()) return {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (is_needed(byte) && bpe.byte_ids[byte] < 0) {
      return base::bad_input(fmt::format("no token for byte {:#04x}", byte), "",
                             "vocabularies of BPE over bytes are read, and SentencePiece's");
    }
  }
  return {};
}

// Fills `texts` (every token that is no special one), specials and the byte tokens.
Result<void> Tokenizer::Impl::index_tokens(WordTable& texts) {
  const size_t size = vocabulary.tokens.size();
  vocabulary.special.resize(size);
  RETORT_TRY_VOID(check_ids());
  const std::vector<bool> is_byte = byte_marks();
  bpe.byte_ids.fill(-1);
  texts.reserve(size);
  specials.reserve(size);
  for (size_t i = 0; i < size; ++i) {
    const std::string& token = vocabulary.tokens[i];
    const auto id = static_cast<TokenId>(i);
    if (token.empty()) return base::bad_input(fmt::format("token {} is empty", id));
    if (is_byte[i]) continue;
    WordTable& table = vocabulary.special[i] ? specials : texts;
    if (vocabulary.special[i] && !is_valid_utf8(token)) {
      return base::bad_input(fmt::format("special token {} is not UTF-8", id));
    }
    if (!table.add(token, id)) {
      return base::bad_input(
          fmt::format("token {} is the same as token {}", id, table.find(token)));
    }
    if (!vocabulary.special[i] && token.size() == 1) {
      bpe.byte_ids[static_cast<uint8_t>(token[0])] = id;
    }
  }
  return check_bytes();
}

Result<void> Tokenizer::Impl::index_merges(const WordTable& texts) {
  bpe.merges.reserve(vocabulary.merges.size());
  const auto size = static_cast<TokenId>(vocabulary.tokens.size());
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const auto [left, right] = vocabulary.merges[rank];
    const auto is_text = [&](TokenId id) {
      return id >= 0 && id < size && !vocabulary.special[static_cast<size_t>(id)];
    };
    if (!is_text(left) || !is_text(right)) {
      return base::bad_input(
          fmt::format("merge {} is of tokens {} and {}, which are no text", rank, left, right));
    }
    const std::string whole = vocabulary.tokens[static_cast<size_t>(left)] +
                              vocabulary.tokens[static_cast<size_t>(right)];
    const TokenId merged = texts.find(whole);
    if (merged < 0) {
      return base::bad_input(
          fmt::format("merge {} of tokens {} and {} leads to no token", rank, left, right));
    }
    bpe.merges.add(left, right, static_cast<uint32_t>(rank), merged);
  }
  return {};
}

// Most words of a text are tokens: those are looked up whole. A token that its own merges do not
// lead to (possible in hand-made vocabularies) is none of them, unless whole_words says so.
void Tokenizer::Impl::index_words() {
  short_words.reserve(vocabulary.tokens.size());
  long_words.reserve(vocabulary.tokens.size());
  std::vector<TokenId> ids;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (vocabulary.special[i]) continue;
    const auto id = static_cast<TokenId>(i);
    ids.clear();
    if (!vocabulary.whole_words) bpe.merge_word(vocabulary.tokens[i], ids);
    if (vocabulary.whole_words || (ids.size() == 1 && ids[0] == id)) {
      const std::string& word = vocabulary.tokens[i];
      if (word.size() <= ShortWord::kMostBytes) {
        short_words.add(word, id);
      } else {
        long_words.add(word, id);
      }
    }
  }
}

void Tokenizer::Impl::encode_word(std::string_view word, size_t readable, MergedWordCache& cache,
                                  std::vector<TokenId>& ids) const {
  if (word.size() > ShortWord::kMostBytes) {
    const TokenId whole = long_words.find(word);
    if (whole < 0) return bpe.merge_word(word, ids);
    ids.push_back(whole);
    return;
  }
  const ShortWord key = short_word(word, readable);
  const uint64_t hash = key.hash();
  const TokenId whole = short_words.find(key, hash);
  if (whole >= 0) {
    ids.push_back(whole);
    return;
  }
  MergedWordCache::Entry& entry = cache.at(hash, number);
  if (entry.key == key && entry.owner == number) {
    ids.insert(ids.end(), entry.ids.begin(), entry.ids.begin() + entry.size);
    return;
  }
  const size_t before = ids.size();
  bpe.merge_word(word, ids);
  const size_t size = ids.size() - before;
  if (size > MergedWordCache::Entry::kMostIds) return;
  entry = {key, number, static_cast<uint32_t>(size), {}};
  std::copy(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end(), entry.ids.begin());
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(Vocabulary vocabulary) {
  auto impl = std::make_unique<Impl>();
  impl->vocabulary = std::move(vocabulary);
  WordTable texts;
  RETORT_TRY_VOID(impl->index_tokens(texts));
  RETORT_TRY_VOID(impl->index_merges(texts));
  if (impl->vocabulary.unigram) {
    RETORT_TRY(impl->unigram, Unigram::create(impl->vocabulary, texts));
  } else if (impl->vocabulary.is_sentencepiece()) {
    RETORT_TRY(impl->pieces, SentencePieces::create(impl->vocabulary, texts));
  } else {
    impl->index_words();
  }
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(impl)));
}

int64_t Tokenizer::size() const {
  return static_cast<int64_t>(impl_->vocabulary.tokens.size());
}

const Vocabulary& Tokenizer::vocabulary() const {
  return impl_->vocabulary;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, Place place) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4 + 4);
  if (impl_->pieces) {
    impl_->pieces->encode(text, place, ids);
    return ids;
  }
  if (impl_->unigram) {
    impl_->unigram->encode(text, place, ids);
    return ids;
  }
  MergedWordCache& cache = MergedWordCache::of_this_thread();
  Splitter splitter(impl_->vocabulary.pre, text);
  const char* const end = text.data() + text.size();
  for (auto word = splitter.next(); !word.empty(); word = splitter.next()) {
    impl_->encode_word(word, static_cast<size_t>(end - word.data()), cache, ids);
  }
  return ids;
}

TokenId Tokenizer::special(std::string_view spelling) const {
  return impl_->specials.find(spelling);
}

bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && id < size() && impl_->vocabulary.special[static_cast<size_t>(id)];
}

std::string_view Tokenizer::bytes(TokenId id) const {
  if (id < 0 || id >= size()) return {};
  const auto at = static_cast<size_t>(id);
  const Vocabulary& vocabulary = impl_->vocabulary;
  const bool shown = at < vocabulary.shown.size() && vocabulary.shown[at];
  if (vocabulary.special[at] && !shown) return {};
  return vocabulary.tokens[at];
}

std::string Tokenizer::decode(const std::vector<TokenId>& ids) const {
  std::string text;
  const Vocabulary& vocabulary = impl_->vocabulary;
  const TokenId spelt_blank = vocabulary.byte_tokens.empty() ? -1 : vocabulary.byte_tokens[' '];
  bool in_front = vocabulary.space_prefix != SpacePrefix::none;
  for (const TokenId id : ids) {
    std::string_view piece = bytes(id);
    // A blank that is spelt as a byte is none of those that are put in front.
    if (in_front && piece.starts_with(' ') && id != spelt_blank) {
      piece.remove_prefix(1);
    }
    text += piece;
    // Where blanks are dropped in front of texts, several were none of the text's.
    in_front = in_front && (vocabulary.drops_blanks ? text.empty() : bytes(id).empty());
  }
  return text;
}

}  // namespace retort::tokenizer
