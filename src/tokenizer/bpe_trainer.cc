#include "tokenizer/bpe_trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "base/cancel.h"
#include "tokenizer/bpe_trainer_internal.h"
#include "tokenizer/chat.h"
#include "tokenizer/printable_internal.h"

namespace retort::tokenizer {
namespace {

Result<TokenId> id_of(const BpeTrainerOptions& options, const std::string& name, const char* what) {
  if (name.empty()) return TokenId{-1};
  const auto found = std::find(options.special.begin(), options.special.end(), name);
  if (found == options.special.end()) {
    return base::usage_error(fmt::format("the {} token {} is no special token", what, name));
  }
  return static_cast<TokenId>(found - options.special.begin());
}

// Special tokens, then the bytes in the order of their printable spelling: the ids that Hugging
// Face's trainer gives, so that ties are broken alike.
Result<Vocabulary> alphabet(const BpeTrainerOptions& options) {
  const auto least = static_cast<int64_t>(options.special.size()) + 256;
  constexpr int64_t kMost = int64_t{1} << 24;
  if (options.vocab_size < least || options.vocab_size > kMost) {
    return base::usage_error(fmt::format("vocab_size is {}", options.vocab_size), "",
                             fmt::format("give {} to {}", least, kMost));
  }
  Vocabulary vocabulary;
  vocabulary.pre = options.pre;
  vocabulary.chat_template = chatml_template_text();
  vocabulary.tokens = options.special;
  vocabulary.special.assign(options.special.size(), true);
  RETORT_TRY(vocabulary.bos, id_of(options, options.bos, "bos"));
  RETORT_TRY(vocabulary.eos, id_of(options, options.eos, "eos"));
  RETORT_TRY(vocabulary.pad, id_of(options, options.pad, "pad"));
  std::array<int, 256> bytes;
  std::iota(bytes.begin(), bytes.end(), 0);
  std::sort(bytes.begin(), bytes.end(), [](int a, int b) {
    return printable_code_point(static_cast<uint8_t>(a)) <
           printable_code_point(static_cast<uint8_t>(b));
  });
  for (const int byte : bytes) vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  return vocabulary;
}

}  // namespace

Result<TrainedTokenizer> train_bpe_on(const std::vector<std::string_view>& texts,
                                      const BpeTrainerOptions& options) {
  RETORT_TRY(Vocabulary vocabulary, alphabet(options));
  std::array<TokenId, 256> byte_ids{};
  for (size_t id = options.special.size(); id < vocabulary.tokens.size(); ++id) {
    byte_ids[static_cast<uint8_t>(vocabulary.tokens[id][0])] = static_cast<TokenId>(id);
  }
  TrainedTokenizer trained;
  for (const std::string_view text : texts) {
    trained.corpus_bytes += static_cast<int64_t>(text.size());
  }
  const std::vector<WordCount> words = count_words(texts, options.pre);
  trained.distinct_words = static_cast<int64_t>(words.size());
  uint64_t symbols = 0;
  for (const WordCount& word : words) symbols += word.word.size();
  if (symbols > kMostSymbols) {
    return base::bad_input(fmt::format("the distinct words of the corpus have {} bytes", symbols),
                           "", "train the tokenizer on a sample of the corpus");
  }
  const auto first_new_id = static_cast<TokenId>(vocabulary.tokens.size());
  LearntMerges learnt = learn_merges(words, byte_ids,
                                     {.first_new_id = first_new_id,
                                      .new_tokens = options.vocab_size - int64_t{first_new_id},
                                      .min_count = std::max<uint64_t>(options.min_count, 1)});
  if (base::cancelled()) return base::cancelled_error("tokenizer");
  trained.stopped_early =
      static_cast<int64_t>(learnt.tokens.size()) < options.vocab_size - int64_t{first_new_id};
  for (std::string& token : learnt.tokens) vocabulary.tokens.push_back(std::move(token));
  vocabulary.merges = std::move(learnt.merges);
  RETORT_TRY(trained.tokenizer, Tokenizer::create(std::move(vocabulary)));
  return trained;
}

Result<TrainedTokenizer> train_bpe(const terms::ClearedText<terms::TrainGenerative>& text,
                                   const BpeTrainerOptions& options) {
  return train_bpe_on(text.texts(), options);
}

}  // namespace retort::tokenizer
