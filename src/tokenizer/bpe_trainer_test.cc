#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/parallel.h"
#include "base/random.h"
#include "tokenizer/bpe_trainer_internal.h"
#include "tokenizer/chat.h"
#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

using testing::HasSubstr;

// Text with a few hundred words of uneven frequency, the same for a seed.
std::string babble(uint64_t seed, int words) {
  static const char* kSyllables[] = {"ba", "to", "ri", "mun", "el", "sha", "ko", "ind", "u", "str"};
  base::Random random(seed);
  std::string text;
  for (int i = 0; i < words; ++i) {
    const uint64_t rank = random.below(1 + random.below(400));
    base::Random word(rank, 7);
    const uint64_t syllables = 1 + word.below(4);
    for (uint64_t s = 0; s < syllables; ++s) text += kSyllables[word.below(10)];
    text += random.below(9) == 0 ? (random.below(2) == 0 ? ". " : "\n") : " ";
    if (random.below(20) == 0) text += std::to_string(random.below(3000)) + " aaaa";
  }
  return text;
}

TrainedTokenizer train(const std::string& text, const BpeTrainerOptions& options) {
  auto trained = train_bpe_on({text}, options);
  EXPECT_TRUE(trained) << trained.error().text();
  return *trained;
}

// Bare text does not reach the trainer, nor does text cleared for something else.
template <class Text>
concept Trainable = requires(const Text& text, const BpeTrainerOptions& options) {
  train_bpe(text, options);
};
static_assert(Trainable<terms::ClearedText<terms::TrainGenerative>>);
static_assert(!Trainable<terms::ClearedText<terms::Store>>);
static_assert(!Trainable<std::vector<std::string_view>>);
static_assert(!Trainable<std::string>);

// The definition: count every pair of every word anew before each merge.
std::vector<std::pair<TokenId, TokenId>> learn_slowly(const std::vector<WordCount>& words,
                                                      size_t merges) {
  std::vector<std::vector<TokenId>> split;
  for (const WordCount& word : words) {
    split.emplace_back();
    for (const char c : word.word) split.back().push_back(static_cast<uint8_t>(c));
  }
  std::vector<std::string> spellings;
  for (int byte = 0; byte < 256; ++byte) spellings.emplace_back(1, static_cast<char>(byte));
  std::vector<std::pair<TokenId, TokenId>> out;
  while (spellings.size() < 256 + merges) {
    std::map<std::pair<TokenId, TokenId>, uint64_t> counts;
    for (size_t w = 0; w < words.size(); ++w) {
      for (size_t i = 0; i + 1 < split[w].size(); ++i) {
        counts[{split[w][i], split[w][i + 1]}] += words[w].count;
      }
    }
    auto best = counts.end();
    for (auto it = counts.begin(); it != counts.end(); ++it) {
      if (it->second >= 2 && (best == counts.end() || it->second > best->second)) best = it;
    }
    if (best == counts.end()) break;
    const auto [left, right] = best->first;
    const std::string whole =
        spellings[static_cast<size_t>(left)] + spellings[static_cast<size_t>(right)];
    const auto known = std::find(spellings.begin(), spellings.end(), whole);
    const auto merged = static_cast<TokenId>(known - spellings.begin());
    if (known == spellings.end()) spellings.push_back(whole);
    out.emplace_back(left, right);
    for (auto& ids : split) {
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        if (ids[i] != left || ids[i + 1] != right) continue;
        ids[i] = merged;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return out;
}

TEST(BpeTrainer, LearnsWhatTheDefinitionSays) {
  std::array<TokenId, 256> byte_ids{};
  for (int byte = 0; byte < 256; ++byte) byte_ids[static_cast<size_t>(byte)] = byte;
  for (const std::string& text : {babble(1, 3000), std::string("aaaaaaa aaa aaaa bbabbab aabaab"),
                                  std::string("abcabcabc bcabca cabcab abcbca abc bc ab cab")}) {
    const auto words = count_words({text}, PreTokenizer::smollm);
    const auto fast =
        learn_merges(words, byte_ids, {.first_new_id = 256, .new_tokens = 150, .min_count = 2});
    EXPECT_EQ(fast.merges, learn_slowly(words, 150));
    EXPECT_FALSE(fast.merges.empty());
  }
}

// Small alphabets make runs of equal symbols and tokens that several merges lead to.
TEST(BpeTrainer, LearnsWhatTheDefinitionSaysOnRunsAndRepeats) {
  std::array<TokenId, 256> byte_ids{};
  for (int byte = 0; byte < 256; ++byte) byte_ids[static_cast<size_t>(byte)] = byte;
  base::Random random(9);
  for (int round = 0; round < 30; ++round) {
    std::string text;
    for (int i = 0; i < 120; ++i) {
      text += random.below(25) == 0 ? ' ' : static_cast<char>('a' + random.below(2));
    }
    const auto words = count_words({text}, PreTokenizer::smollm);
    const auto fast =
        learn_merges(words, byte_ids, {.first_new_id = 256, .new_tokens = 60, .min_count = 2});
    ASSERT_EQ(fast.merges, learn_slowly(words, 60)) << text;
  }
}

TEST(BpeTrainer, CountsWordsOfManyTextsAndOfOneLongOneAlike) {
  const std::string text = babble(2, 400000);  // over a megabyte: cut into parts
  ASSERT_GT(text.size(), size_t{2} << 20);
  std::map<std::string_view, uint64_t> whole;
  for (const auto& [word, count] : count_words({text}, PreTokenizer::smollm)) whole[word] += count;
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find(". ", at);
    end = end == text.npos ? text.size() : end + 1;
    lines.push_back(std::string_view(text).substr(at, end - at));
    at = end;
  }
  std::map<std::string_view, uint64_t> parts;
  for (const auto& [word, count] : count_words(lines, PreTokenizer::smollm)) parts[word] += count;
  EXPECT_EQ(whole, parts);
  uint64_t bytes = 0;
  for (const auto& [word, count] : whole) bytes += word.size() * count;
  EXPECT_EQ(bytes, text.size());
}

TEST(BpeTrainer, ThreadsDoNotChangeTheResult) {
  const std::string text = babble(3, 300000);
  const int before = base::thread_count();
  std::vector<std::vector<std::pair<TokenId, TokenId>>> merges;
  for (const int threads : {1, 2, 3}) {
    base::set_thread_count(threads);
    merges.push_back(train(text, {.vocab_size = 500}).tokenizer->vocabulary().merges);
  }
  base::set_thread_count(before);
  EXPECT_EQ(merges[0], merges[1]);
  EXPECT_EQ(merges[0], merges[2]);
}

TEST(BpeTrainer, MakesAChatVocabularyOfTheAskedSize) {
  const auto trained = train(babble(4, 20000), {.vocab_size = 400});
  const Tokenizer& tokenizer = *trained.tokenizer;
  EXPECT_EQ(tokenizer.size(), 400);
  EXPECT_FALSE(trained.stopped_early);
  EXPECT_EQ(tokenizer.special("<|im_start|>"), 0);
  EXPECT_EQ(tokenizer.vocabulary().eos, tokenizer.special("<|im_end|>"));
  EXPECT_EQ(tokenizer.vocabulary().pad, tokenizer.special("<|endoftext|>"));
  const auto format = ChatFormat::detect(tokenizer);
  ASSERT_TRUE(format) << format.error().text();
  EXPECT_EQ(format->stop_token(), tokenizer.vocabulary().eos);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(3, static_cast<char>(byte));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(BpeTrainer, LargerVocabulariesNeedFewerTokensOnUnseenText) {
  const std::string seen = babble(5, 40000);
  const std::string unseen = babble(6, 4000);
  size_t last = unseen.size() + 1;
  for (const int64_t size : {259, 300, 400, 800}) {
    const auto trained = train(seen, {.vocab_size = size});
    const auto ids = trained.tokenizer->encode(unseen);
    EXPECT_EQ(trained.tokenizer->decode(ids), unseen);
    EXPECT_LT(ids.size(), last) << size;
    last = ids.size();
  }
  EXPECT_LT(last * 2, unseen.size());
}

TEST(BpeTrainer, StopsWhereThePairsEnd) {
  const auto trained = train("ab ab ab", {.vocab_size = 1000});
  EXPECT_TRUE(trained.stopped_early);
  EXPECT_EQ(trained.tokenizer->size(), 261);  // "ab" and " ab"
  const auto empty = train("", {.vocab_size = 1000, .min_count = 0});
  EXPECT_TRUE(empty.stopped_early);
  EXPECT_EQ(empty.tokenizer->size(), 259);
}

TEST(BpeTrainer, RefusesWrongOptions) {
  const auto error = [](const BpeTrainerOptions& options) {
    const auto trained = train_bpe_on({"text"}, options);
    return trained ? std::string("accepted") : trained.error().text();
  };
  EXPECT_THAT(error({.vocab_size = 258}), HasSubstr("give 259 to"));
  EXPECT_THAT(error({.vocab_size = int64_t{1} << 40}), HasSubstr("give 259 to"));
  EXPECT_THAT(error({.eos = "</s>"}), HasSubstr("the eos token </s>"));
  EXPECT_THAT(error({.special = {"a", "a"}, .bos = "a", .eos = "a", .pad = ""}), HasSubstr("same"));
}

// One word of a megabyte must not cost a scan of it for each merge.
TEST(BpeTrainer, OneLongWordIsFast) {
  base::Random random(8);
  std::string text;
  for (int i = 0; i < (1 << 20); ++i) text += static_cast<char>('a' + random.below(16));
  const auto trained = train(text, {.vocab_size = 3000});
  EXPECT_EQ(trained.tokenizer->size(), 3000);
  // Runs of 2, 4, ... 2^19; the last pair stands once.
  EXPECT_EQ(train(std::string(1 << 20, '^'), {.vocab_size = 300}).tokenizer->size(), 278);
}

// The fixture's merges were learnt by Hugging Face's trainer from the text beside them.
TEST(BpeTrainer, EqualsHuggingFaceOnAStoredText) {
  const json::Value stored = golden_json("trained.json");
  const auto trained =
      train(stored.find("text")->as_string(), {.vocab_size = stored.find("vocab_size")->as_int()});
  json::Array tokens;
  json::Array merges;
  const PrintableVocabulary printable = to_printable(trained.tokenizer->vocabulary());
  for (const auto& token : printable.tokens) tokens.emplace_back(token);
  for (const auto& merge : printable.merges) merges.emplace_back(merge);
  EXPECT_EQ(json::dump(tokens), json::dump(*stored.find("tokens")));
  EXPECT_EQ(json::dump(merges), json::dump(*stored.find("merges")));
}

}  // namespace
}  // namespace retort::tokenizer
