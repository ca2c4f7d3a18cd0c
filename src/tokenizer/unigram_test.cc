#include "tokenizer/unigram_internal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "artifact/gguf.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "tokenizer/sentencepiece_internal.h"
#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> opened(const std::string& name) {
  auto loaded = load_tokenizer(golden(name));
  EXPECT_TRUE(loaded) << loaded.error().text();
  return *loaded;
}

// <unk> and the given pieces with their scores.
Vocabulary small(const std::vector<std::pair<std::string, float>>& pieces) {
  Pieces all{{"<unk>"}, {true}, {false}};
  std::vector<float> scores(1);
  for (const auto& [piece, score] : pieces) {
    all.spellings.push_back(piece);
    all.special.push_back(false);
    scores.push_back(score);
  }
  Vocabulary made = from_spelt_pieces(all);
  made.unigram = true;
  made.unk = 0;
  made.scores = scores;
  return made;
}

std::vector<TokenId> encoded(const Vocabulary& vocabulary, std::string_view text) {
  const auto made = Tokenizer::create(vocabulary);
  EXPECT_TRUE(made) << made.error().text();
  return (*made)->encode(text);
}

std::string refusal(Vocabulary vocabulary) {
  const auto made = Tokenizer::create(std::move(vocabulary));
  return made ? "" : made.error().text();
}

TEST(Unigram, EqualsSentencePieceOnStoredTexts) {
  const json::Value stored = golden_json("unigram.json");
  for (const std::string kind : {"unigram", "unigram_bytes"}) {
    const json::Array& cases = stored.find(kind)->as_array();
    ASSERT_GT(cases.size(), 200u);
    for (const std::string file : {"/tokenizer.json", "/vocabulary.gguf"}) {
      const auto tokenizer = opened(kind + (file == "/tokenizer.json" ? "" : file));
      for (const json::Value& one : cases) {
        const std::string& text = one.find("text")->as_string();
        const std::vector<TokenId> ids = tokenizer->encode(text);
        json::Array found;
        for (const TokenId id : ids) found.emplace_back(int64_t{id});
        ASSERT_EQ(json::dump(found), json::dump(*one.find("ids"))) << kind << file << ": " << text;
        EXPECT_EQ(tokenizer->decode(ids), one.find("decoded")->as_string()) << kind << file;
      }
    }
  }
}

TEST(Unigram, FilesSayWhatTheirVocabularyIs) {
  for (const char* file : {"unigram", "unigram/vocabulary.gguf"}) {
    const auto tokenizer = opened(file);
    const Vocabulary& vocabulary = tokenizer->vocabulary();
    EXPECT_TRUE(vocabulary.unigram);
    EXPECT_TRUE(vocabulary.drops_blanks);
    EXPECT_TRUE(vocabulary.byte_tokens.empty());
    EXPECT_EQ(vocabulary.unk, 0);
    EXPECT_EQ(vocabulary.eos, 2);
    EXPECT_EQ(tokenizer->special("</s>"), 2);
    EXPECT_GT(vocabulary.charsmap.size(), 100u);
  }
  EXPECT_EQ(opened("unigram_bytes")->vocabulary().byte_tokens.size(), 256u);
}

TEST(Unigram, TheHighestSumCountsNotTheLongestToken) {
  const auto vocabulary = small({{"a", -1}, {"b", -1}, {"ab", -3}, {"abc", -2}, {"c", -4}});
  EXPECT_THAT(encoded(vocabulary, "ab"), ElementsAre(1, 2));
  EXPECT_THAT(encoded(vocabulary, "abc"), ElementsAre(4));
  EXPECT_THAT(encoded(vocabulary, "abab"), ElementsAre(1, 2, 1, 2));
  // Of equal sums that with the longest last token.
  EXPECT_THAT(encoded(small({{"a", -1}, {"b", -1}, {"ab", -2}}), "ab"), ElementsAre(3));
}

TEST(Unigram, WhatHasNoTokenIsUnknownOnceForNeighbours) {
  const auto vocabulary = small({{"a", -1}, {"▁", -2}, {"▁a", -2}});
  EXPECT_THAT(encoded(vocabulary, "a日本a"), ElementsAre(1, 0, 1));
  EXPECT_THAT(encoded(vocabulary, "日 a"), ElementsAre(0, 3));
  EXPECT_THAT(encoded(vocabulary, "日 日"), ElementsAre(0, 2, 0));
  const auto tokenizer = *Tokenizer::create(vocabulary);
  EXPECT_EQ(tokenizer->decode({1, 0, 1}), "aa");
}

TEST(Unigram, ATokenAcrossABlankIsFound) {
  EXPECT_THAT(encoded(small({{"a", -1}, {"▁", -1}, {"a▁a", -1}}), "aa aa"), ElementsAre(1, 3, 1));
}

TEST(Unigram, BlanksAreDroppedWhereTheFileSaysSo) {
  auto vocabulary = small({{"a", -1}, {"▁", -1}, {"▁a", -1}});
  vocabulary.drops_blanks = true;
  vocabulary.space_prefix = SpacePrefix::each;
  EXPECT_THAT(encoded(vocabulary, "  a   a "), ElementsAre(3, 3));
  EXPECT_TRUE(encoded(vocabulary, "   ").empty());
  vocabulary.drops_blanks = false;
  EXPECT_THAT(encoded(vocabulary, " a"), ElementsAre(2, 3));
}

TEST(Unigram, LongInputsTakeTimeInProportion) {
  const auto tokenizer = opened("unigram_bytes");
  const std::string text(1 << 20, 'a');
  EXPECT_FALSE(tokenizer->encode(text).empty());
  base::Random random(3);
  std::string bytes;
  for (int i = 0; i < 1 << 16; ++i) bytes += static_cast<char>(random.below(256));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("x" + bytes)), "x" + piece_to_bytes(bytes));
}

TEST(Unigram, VocabulariesThatCannotWorkAreRefused) {
  auto vocabulary = small({{"a", -1}});
  vocabulary.scores.pop_back();
  EXPECT_THAT(refusal(vocabulary), HasSubstr("1 scores for 2 tokens"));
  vocabulary = small({{"a", NAN}});
  EXPECT_THAT(refusal(vocabulary), HasSubstr("the score of token 1 is no number"));
  vocabulary = small({{"a", -1}});
  vocabulary.unk = -1;
  EXPECT_THAT(refusal(vocabulary), HasSubstr("neither an unknown token"));
  vocabulary.unk = 2;
  EXPECT_THAT(refusal(vocabulary), HasSubstr("token 2 of 2"));
}

TEST(Charsmap, DamageIsRefusedOrHarmless) {
  const std::string good = opened("unigram")->vocabulary().charsmap;
  const auto made = Charsmap::parse(good);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->longest("ﬁx").to, "fi");
  EXPECT_EQ(made->longest("ﬁx").size, 3u);
  EXPECT_EQ(made->longest("e\xcc\x81").to, "é");
  EXPECT_EQ(made->longest("e").size, 0u);
  for (const size_t size : {size_t{0}, size_t{3}, size_t{4}, size_t{6}, good.size() / 2}) {
    const auto cut = Charsmap::parse(std::string_view(good).substr(0, size));
    EXPECT_THAT(cut ? "is damaged" : cut.error().text(), HasSubstr("is damaged"));
  }
  EXPECT_FALSE(Charsmap::parse(std::string_view(good).substr(0, 3)));
  base::Random random(8);
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (int i = 0; i < 20; ++i) {
      bad[4 + random.below(bad.size() - 4)] = static_cast<char>(random.below(256));
    }
    const auto parsed = Charsmap::parse(bad);
    ASSERT_TRUE(parsed);
    for (const char* text : {"ﬁx", "e\xcc\x81", "\xf0\x9f\x98\x80", "①", "plain"}) {
      EXPECT_LE(parsed->longest(text).size, std::string_view(text).size());
    }
  }
}

// A normalizer that rewrites in another way must not be passed over.
TEST(Unigram, OtherNormalizersAreRefused) {
  const std::filesystem::path folder = testing::TempDir() + "/unigram." + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  const std::string plain = *base::read_file(golden("unigram/tokenizer.json"));
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string text = plain;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(folder / "tokenizer.json") << text;
    const auto loaded = load_tokenizer_json(folder / "tokenizer.json");
    return loaded ? std::string("taken") : loaded.error().text();
  };
  EXPECT_THAT(refused(R"({"type": "Strip", "strip_left": false, "strip_right": true})",
                      R"({"type": "Lowercase"})"),
              HasSubstr("of no known kind"));
  EXPECT_THAT(refused(R"("strip_left": false)", R"("strip_left": true)"),
              HasSubstr("of no known kind"));
  EXPECT_THAT(refused(R"("prepend_scheme": "always")", R"("prepend_scheme": "first")"),
              HasSubstr("of no known kind"));
  EXPECT_THAT(refused(R"("precompiled_charsmap": ")", R"("precompiled_charsmap": "!)"),
              HasSubstr("base64"));
  EXPECT_THAT(refused(R"("unk_id": 0)", R"("unk_id": 4000)"), HasSubstr("unk_id"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace retort::tokenizer
