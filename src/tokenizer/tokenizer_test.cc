#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/random.h"
#include "tokenizer/bpe_internal.h"
#include "tokenizer/split_internal.h"
#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> smollm2() {
  static const auto loaded = load_tokenizer_json(golden("smollm2/tokenizer.json"));
  EXPECT_TRUE(loaded) << loaded.error().text();
  return *loaded;
}

TEST(Split, EqualsHuggingFaceOnStoredTexts) {
  const json::Value stored = golden_json("splits.json");
  for (const auto& [name, cases] : stored.as_object()) {
    const auto pre = parse_pre_tokenizer(name);
    ASSERT_TRUE(pre) << name;
    ASSERT_GT(cases.as_array().size(), 100u);
    for (const json::Value& one : cases.as_array()) {
      const std::string& text = one.find("text")->as_string();
      json::Array sizes;
      Splitter splitter(*pre, text);
      for (auto word = splitter.next(); !word.empty(); word = splitter.next()) {
        sizes.emplace_back(static_cast<int64_t>(word.size()));
      }
      EXPECT_EQ(json::dump(sizes), json::dump(*one.find("sizes"))) << name << ": " << text;
    }
  }
}

TEST(Characters, BytesThatAreNotUtf8AreOneOtherCharacterEach) {
  const auto sizes = [](std::string_view text) {
    std::vector<uint32_t> out;
    for (size_t at = 0; at < text.size(); at += out.back()) {
      out.push_back(character_at(class_table(), text, at).size_bytes);
    }
    return out;
  };
  EXPECT_THAT(sizes("a\xc3\xa9\xe6\x9d\xb1\xf0\x9f\x98\x80"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(sizes("\xe0\x9f\xbf"), ElementsAre(1, 1, 1));  // overlong
  EXPECT_THAT(sizes("\xe0\xa0\x80"), ElementsAre(3));
  EXPECT_THAT(sizes("\xc1\xbf"), ElementsAre(1, 1));                // overlong
  EXPECT_THAT(sizes("\xed\xa0\x80"), ElementsAre(1, 1, 1));         // a surrogate
  EXPECT_THAT(sizes("\xf4\x90\x80\x80"), ElementsAre(1, 1, 1, 1));  // above U+10FFFF
  EXPECT_THAT(sizes("\xf0\x8f\xbf\xbf"), ElementsAre(1, 1, 1, 1));  // overlong
  EXPECT_THAT(sizes("\xe6\x9d"), ElementsAre(1, 1));                // cut
  EXPECT_EQ(character_at(class_table(), "\xff", 0).klass, CharClass::other);
}

// What the trainer's cutting of long texts stands on.
TEST(Split, NoWordGoesOnFromTextToABlank) {
  base::Random random(3);
  const std::string alphabet = "ab  \n\r\t'1;\xc3\xa9\xff";
  for (const auto pre :
       {PreTokenizer::gpt2, PreTokenizer::smollm, PreTokenizer::llama3, PreTokenizer::qwen2}) {
    for (int round = 0; round < 2000; ++round) {
      std::string text;
      for (int i = 0; i < 20; ++i) text += alphabet[random.below(alphabet.size())];
      Splitter splitter(pre, text);
      size_t total = 0;
      for (auto word = splitter.next(); !word.empty(); word = splitter.next()) {
        total += word.size();
        for (size_t i = 1; i < word.size(); ++i) {
          EXPECT_FALSE(word[i] == ' ' && static_cast<uint8_t>(word[i - 1]) > ' ') << text;
        }
      }
      EXPECT_EQ(total, text.size());
    }
  }
}

TEST(Tokenizer, EqualsSmolLM2OnStoredTexts) {
  const auto tokenizer = smollm2();
  const json::Value stored = golden_json("smollm2.json");
  const json::Array& original = stored.find("original_ids")->as_array();
  const json::Array& cases = stored.find("cases")->as_array();
  ASSERT_GT(cases.size(), 100u);
  for (const json::Value& one : cases) {
    const std::string& text = one.find("text")->as_string();
    json::Array ids;
    for (const TokenId id : tokenizer->encode(text))
      ids.push_back(original[static_cast<size_t>(id)]);
    EXPECT_EQ(json::dump(ids), json::dump(*one.find("ids"))) << text;
  }
}

TEST(Tokenizer, MergesByRankNotByLength) {
  const auto tokenizer = make(byte_vocabulary({{"b", "c"}, {"a", "b"}, {"ab", "c"}}));
  EXPECT_THAT(pieces(*tokenizer, "abc"), ElementsAre("a", "bc"));
  EXPECT_THAT(pieces(*tokenizer, "abab"), ElementsAre("ab", "ab"));
}

TEST(Tokenizer, ATokenThatMergesDoNotReachIsUnusedUnlessWholeWordsAreTaken) {
  Vocabulary vocabulary = byte_vocabulary({{"b", "c"}, {"a", "b"}, {"ab", "c"}});
  EXPECT_THAT(pieces(*make(vocabulary), "abc"), ElementsAre("a", "bc"));
  vocabulary.whole_words = true;
  EXPECT_THAT(pieces(*make(vocabulary), "abc"), ElementsAre("abc"));
}

// A reading of the definition: the lowest rank anywhere, the leftmost of equals, again and again.
std::vector<TokenId> merge_slowly(const Bpe& bpe, std::string_view word) {
  std::vector<TokenId> ids;
  for (const char c : word) ids.push_back(bpe.byte_ids[static_cast<uint8_t>(c)]);
  for (;;) {
    MergeTable::Entry best;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto entry = bpe.merges.find(ids[i], ids[i + 1]);
      if (entry.rank < best.rank) {
        best = entry;
        at = i;
      }
    }
    if (best.rank == kNoRank) return ids;
    ids[at] = best.merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Tokenizer, ShortAndLongWordsMergeAsDefined) {
  Bpe bpe;
  for (int byte = 0; byte < 256; ++byte) bpe.byte_ids[static_cast<size_t>(byte)] = byte;
  bpe.merges.reserve(400);
  base::Random random(5);
  TokenId next = 256;
  const auto pick = [&] {
    const uint64_t n = 4 + static_cast<uint64_t>(next - 256);
    const uint64_t i = random.below(n);
    return i < 4 ? static_cast<TokenId>('a' + i) : static_cast<TokenId>(252 + i);
  };
  for (uint32_t rank = 0; rank < 60; ++rank) {
    const TokenId left = pick();
    const TokenId right = pick();
    if (bpe.merges.find(left, right).rank == kNoRank) bpe.merges.add(left, right, rank, next++);
  }
  for (int round = 0; round < 3000; ++round) {
    std::string word;
    const uint64_t size = 1 + random.below(90);
    for (uint64_t i = 0; i < size; ++i) word += static_cast<char>('a' + random.below(4));
    std::vector<TokenId> ids;
    bpe.merge_word(word, ids);
    ASSERT_EQ(ids, merge_slowly(bpe, word)) << word;
  }
}

TEST(Tokenizer, AnyBytesComeBack) {
  base::Random random(1);
  for (const auto pre :
       {PreTokenizer::gpt2, PreTokenizer::smollm, PreTokenizer::llama3, PreTokenizer::qwen2}) {
    Vocabulary vocabulary = byte_vocabulary({{"t", "h"}, {"th", "e"}, {" ", "the"}, {" ", " "}});
    vocabulary.pre = pre;
    const auto tokenizer = make(vocabulary);
    for (int round = 0; round < 500; ++round) {
      std::string text;
      const uint64_t size = random.below(80);
      for (uint64_t i = 0; i < size; ++i) text += static_cast<char>(random.below(256));
      text += " the the";
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    }
  }
}

TEST(Tokenizer, SpecialTokensAreNeitherReadNorPrinted) {
  Vocabulary vocabulary = byte_vocabulary({{"<", "|"}});
  vocabulary.tokens.push_back("<|im_end|>");
  vocabulary.special.resize(vocabulary.tokens.size());
  vocabulary.special.back() = true;
  const auto tokenizer = make(vocabulary);
  const TokenId stop = tokenizer->special("<|im_end|>");
  EXPECT_EQ(stop, 257);
  EXPECT_EQ(tokenizer->special("<|"), -1);
  EXPECT_TRUE(tokenizer->is_special(stop));
  EXPECT_FALSE(tokenizer->is_special(256));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_FALSE(tokenizer->is_special(258));
  const auto ids = tokenizer->encode("a<|im_end|>");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), stop), 0);
  EXPECT_EQ(tokenizer->decode(ids), "a<|im_end|>");
  EXPECT_EQ(tokenizer->decode({97, stop, 98, -5, 9999}), "ab");
  EXPECT_EQ(tokenizer->bytes(stop), "");
}

TEST(Tokenizer, RefusesVocabulariesThatCannotWork) {
  const auto error = [](Vocabulary vocabulary) {
    auto made = Tokenizer::create(std::move(vocabulary));
    return made ? std::string("accepted") : made.error().text();
  };
  Vocabulary lacks = byte_vocabulary();
  lacks.tokens['A'] = "AB";
  EXPECT_THAT(error(lacks), HasSubstr("no token for byte 0x41"));
  Vocabulary twice = byte_vocabulary();
  twice.tokens.push_back("z");
  EXPECT_THAT(error(twice), HasSubstr("token 256 is the same as token 122"));
  Vocabulary wild = byte_vocabulary();
  wild.merges.emplace_back(1, 4000);
  EXPECT_THAT(error(wild), HasSubstr("merge 0 is of tokens 1 and 4000"));
  Vocabulary nowhere = byte_vocabulary();
  nowhere.merges.emplace_back(97, 98);
  EXPECT_THAT(error(nowhere), HasSubstr("leads to no token"));
  Vocabulary stop = byte_vocabulary();
  stop.eos = 256;
  EXPECT_THAT(error(stop), HasSubstr("token 256 of 256"));
  Vocabulary empty = byte_vocabulary();
  empty.tokens.emplace_back();
  EXPECT_THAT(error(empty), HasSubstr("token 256 is empty"));
}

TEST(Tokenizer, BytesWithoutATokenAreLeftOut) {
  Vocabulary vocabulary = byte_vocabulary();
  vocabulary.tokens[0x04] = "??";  // as SmolLM2's vocabulary
  const auto tokenizer = make(vocabulary);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\x04"
                                                "b\x04")),
            "ab");
}

// Hostile inputs: one word of a megabyte merges in n log n, white space of a megabyte splits in n.
TEST(Tokenizer, LongWordsAreFast) {
  Vocabulary vocabulary =
      byte_vocabulary({{"^", "^"}, {"^^", "^^"}, {"^^^^", "^^^^"}, {" ", " "}, {"a", "b"}});
  const auto start = std::chrono::steady_clock::now();
  for (const auto pre : {PreTokenizer::smollm, PreTokenizer::llama3}) {
    vocabulary.pre = pre;
    const auto tokenizer = make(vocabulary);
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, '^')).size(), size_t{1} << 17);
    std::string mixed;
    for (int i = 0; i < (1 << 19); ++i) mixed += "ab";
    EXPECT_EQ(tokenizer->encode(mixed).size(), size_t{1} << 19);
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, ' ')).size(), size_t{1} << 19);
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, '\n')).size(), size_t{1} << 20);
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  EXPECT_LT(spent.count(), 20.0);  // tens of milliseconds each; quadratic would be hours
}

TEST(Tokenizer, ManyThreadsAgree) {
  const auto tokenizer = smollm2();
  const std::string text = "Once upon a time, the little boat sailed under a silver moon; 1,000.\n";
  const auto expected = tokenizer->encode(text);
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 200; ++round) wrong[t] += tokenizer->encode(text) != expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

// A thread's cache has 8192 places: the second tokenizer's entry for the word is where the first's
// is.
TEST(Tokenizer, TokenizersDoNotReadEachOthersCachedWords) {
  const auto first = make(byte_vocabulary({{"a", "b"}}));
  EXPECT_THAT(pieces(*first, "abc"), ElementsAre("ab", "c"));
  for (int i = 0; i < 8191; ++i) make(byte_vocabulary());
  const auto second = make(byte_vocabulary({{"b", "c"}}));
  EXPECT_THAT(pieces(*second, "abc"), ElementsAre("a", "bc"));
}

TEST(Printable, SpellsEveryByteAndReadsItBack) {
  const Vocabulary vocabulary = byte_vocabulary({{" ", "t"}, {"\n", "\n"}});
  const PrintableVocabulary printable = to_printable(make(vocabulary)->vocabulary());
  EXPECT_EQ(printable.tokens[' '], "\xc4\xa0");
  EXPECT_EQ(printable.tokens['!'], "!");
  EXPECT_EQ(printable.merges[0], "\xc4\xa0 t");
  const auto back = from_printable(printable, PreTokenizer::smollm);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->tokens, vocabulary.tokens);
  EXPECT_EQ(back->merges, vocabulary.merges);
  EXPECT_FALSE(back->whole_words);
}

TEST(Printable, RefusesWhatNoByteLevelVocabularyHas) {
  const auto error = [](PrintableVocabulary printable) {
    const auto made = from_printable(printable, PreTokenizer::gpt2);
    return made ? std::string("accepted") : made.error().text();
  };
  EXPECT_THAT(error({{"a", "\xe2\x96\x81the"}, {}, {}}), HasSubstr("token 1"));
  EXPECT_THAT(error({{"a", "b"}, {"a c"}, {}}), HasSubstr("merge 0"));
  EXPECT_THAT(error({{"a", "b"}, {"ab"}, {}}), HasSubstr("merge 0"));
  EXPECT_THAT(error({{"a", "\xc4"}, {}, {}}), HasSubstr("token 1"));
}

}  // namespace
}  // namespace retort::tokenizer
