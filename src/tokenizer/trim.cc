#include "tokenizer/trim.h"

#include <fmt/core.h>

#include "base/files.h"
#include "json/value.h"
#include "tokenizer/bpe_internal.h"
#include "tokenizer/word_table_internal.h"

namespace retort::tokenizer {
namespace {

constexpr const char* kSchema = "retort.remap/1";
// Finding a token's merges takes time with the square of its size.
constexpr size_t kLongestToken = 4096;

// What tokens are merged from. encode() merges within a token's bytes as it would if they were a
// word: a pair that crosses the token's ends was not merged, so it changed nothing in between.
class MergePaths {
 public:
  explicit MergePaths(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    texts_.reserve(vocabulary.tokens.size());
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
      if (!vocabulary.special[i]) texts_.add(vocabulary.tokens[i], static_cast<TokenId>(i));
    }
    merges_.reserve(vocabulary.merges.size());
    for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
      const auto [left, right] = vocabulary.merges[rank];
      merges_.add(left, right, static_cast<uint32_t>(rank), merged(left, right));
    }
  }

  TokenId merged(TokenId left, TokenId right) const {
    return texts_.find(text(left) + text(right));
  }

  // Marks what stands on the way to the token; nothing where its merges lead elsewhere.
  void mark(TokenId token, std::vector<bool>& kept) const {
    std::vector<TokenId> ids, passed;
    for (const char c : text(token)) {
      const TokenId id = texts_.find({&c, 1});
      if (id >= 0) ids.push_back(id);
    }
    while (ids.size() > 1) {
      size_t best = 0;
      MergeTable::Entry lowest;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        const MergeTable::Entry pair = merges_.find(ids[i], ids[i + 1]);
        if (pair.rank >= lowest.rank) continue;
        lowest = pair;
        best = i;
      }
      if (lowest.rank == kNoRank) return;
      ids[best] = lowest.merged;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
      passed.push_back(lowest.merged);
    }
    if (ids.size() != 1 || ids[0] != token) return;
    for (const TokenId id : passed) kept[static_cast<size_t>(id)] = true;
  }

 private:
  const std::string& text(TokenId id) const { return vocabulary_.tokens[static_cast<size_t>(id)]; }

  const Vocabulary& vocabulary_;
  WordTable texts_;
  MergeTable merges_;
};

Result<std::vector<bool>> choose(const Vocabulary& vocabulary, const MergePaths& paths,
                                 const std::vector<TokenId>& used) {
  const size_t size = vocabulary.tokens.size();
  std::vector<bool> is_used(size), kept(size);
  for (const TokenId id : used) {
    if (id < 0 || id >= static_cast<TokenId>(size)) {
      return base::bad_input(fmt::format("token {} is outside the vocabulary of {}", id, size));
    }
    is_used[static_cast<size_t>(id)] = true;
  }
  for (size_t i = 0; i < size; ++i) {
    const bool special = vocabulary.special[i];
    if (special || vocabulary.tokens[i].size() == 1) kept[i] = true;
    if (!is_used[i] || special) continue;
    if (vocabulary.tokens[i].size() > kLongestToken) {
      return base::bad_input(fmt::format("token {} is of {} bytes", i, vocabulary.tokens[i].size()),
                             "", fmt::format("tokens of up to {} can be kept", kLongestToken));
    }
    kept[i] = true;
    paths.mark(static_cast<TokenId>(i), kept);
  }
  for (const TokenId id : {vocabulary.bos, vocabulary.eos, vocabulary.pad}) {
    if (id >= 0) kept[static_cast<size_t>(id)] = true;
  }
  return kept;
}

}  // namespace

Result<Trimmed> trim(const Tokenizer& tokenizer, const std::vector<TokenId>& used) {
  const Vocabulary& old = tokenizer.vocabulary();
  if (old.is_sentencepiece()) {
    return base::bad_input("a SentencePiece vocabulary cannot be trimmed", "",
                           "byte-level BPE vocabularies can; or leave it whole");
  }
  const MergePaths paths(old);
  RETORT_TRY(const std::vector<bool> kept, choose(old, paths, used));
  Trimmed out;
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) out.old_ids.push_back(static_cast<TokenId>(i));
  }
  const std::vector<TokenId> now = new_ids(out.old_ids, tokenizer.size());
  const auto renamed = [&](TokenId id) { return id < 0 ? -1 : now[static_cast<size_t>(id)]; };

  Vocabulary vocabulary;
  for (const TokenId id : out.old_ids) {
    const auto at = static_cast<size_t>(id);
    vocabulary.tokens.push_back(old.tokens[at]);
    vocabulary.special.push_back(old.special[at]);
    vocabulary.shown.push_back(at < old.shown.size() && old.shown[at]);
  }
  for (const auto& [left, right] : old.merges) {
    if (renamed(left) < 0 || renamed(right) < 0 || renamed(paths.merged(left, right)) < 0) continue;
    vocabulary.merges.emplace_back(renamed(left), renamed(right));
  }
  vocabulary.pre = old.pre;
  vocabulary.bos = renamed(old.bos);
  vocabulary.eos = renamed(old.eos);
  vocabulary.pad = renamed(old.pad);
  vocabulary.add_bos = old.add_bos;
  vocabulary.whole_words = old.whole_words;
  vocabulary.chat_template = old.chat_template;
  RETORT_TRY(out.tokenizer, Tokenizer::create(std::move(vocabulary)));
  return out;
}

std::vector<TokenId> new_ids(const std::vector<TokenId>& old_ids, int64_t old_size) {
  std::vector<TokenId> out(static_cast<size_t>(old_size), -1);
  for (size_t i = 0; i < old_ids.size(); ++i) {
    out[static_cast<size_t>(old_ids[i])] = static_cast<TokenId>(i);
  }
  return out;
}

Result<void> save_remap(const std::vector<TokenId>& old_ids, const std::string& path) {
  json::Array ids;
  for (const TokenId id : old_ids) ids.emplace_back(int64_t{id});
  const auto value = json::Value::object({{"schema", kSchema}, {"old_ids", std::move(ids)}});
  return base::write_file_atomic(path, json::dump(value) + "\n");
}

Result<std::vector<TokenId>> load_remap(const std::string& path) {
  RETORT_TRY(const auto text, base::read_file(path, int64_t{64} << 20));
  RETORT_TRY(const auto value, json::parse(text, path));
  const json::Value* ids = value.find("old_ids");
  const json::Value* schema = value.find("schema");
  if (schema == nullptr || *schema != json::Value(kSchema) || ids == nullptr || !ids->is_array()) {
    return base::bad_input("this is no table of kept tokens that this program can read", path);
  }
  std::vector<TokenId> out;
  for (const auto& id : ids->as_array()) {
    const bool ascends = id.is_int() && id.as_int() > (out.empty() ? -1 : out.back());
    if (!ascends || id.as_int() > INT32_MAX) {
      return base::bad_input("the ids of kept tokens do not ascend", path, "make it anew");
    }
    out.push_back(static_cast<TokenId>(id.as_int()));
  }
  return out;
}

}  // namespace retort::tokenizer
