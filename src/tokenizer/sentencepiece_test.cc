#include "tokenizer/sentencepiece_internal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "artifact/gguf.h"
#include "base/random.h"
#include "tokenizer/chat.h"
#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> from_gguf() {
  const auto file = artifact::GgufFile::open(golden("pieces/vocabulary.gguf"));
  EXPECT_TRUE(file) << file.error().text();
  auto loaded = load_tokenizer_gguf(*file);
  EXPECT_TRUE(loaded) << loaded.error().text();
  return *loaded;
}

std::shared_ptr<const Tokenizer> from_json() {
  auto loaded = load_tokenizer_json(golden("pieces/tokenizer.json"));
  EXPECT_TRUE(loaded) << loaded.error().text();
  return *loaded;
}

// <unk>, <s>, </s>, 256 bytes, then the given pieces with falling scores.
Vocabulary small(const std::vector<std::pair<std::string, float>>& pieces) {
  Pieces all;
  std::vector<float> scores(259);
  const auto add = [&](const std::string& spelling, bool special, bool byte) {
    all.spellings.push_back(spelling);
    all.special.push_back(special);
    all.byte.push_back(byte);
  };
  for (const char* control : {"<unk>", "<s>", "</s>"}) add(control, true, false);
  for (int byte = 0; byte < 256; ++byte) {
    constexpr const char* kDigits = "0123456789ABCDEF";
    add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", false, true);
  }
  for (const auto& [piece, score] : pieces) {
    add(piece, false, false);
    scores.push_back(score);
  }
  auto made = from_pieces(all);
  EXPECT_TRUE(made) << made.error().text();
  made->scores = scores;
  made->bos = 1;
  made->eos = 2;
  made->space_prefix = SpacePrefix::each;
  return *made;
}

TEST(SentencePiece, EqualsSentencePieceOnStoredTexts) {
  const json::Value stored = golden_json("pieces.json");
  const json::Array& cases = stored.find("cases")->as_array();
  ASSERT_GT(cases.size(), 200u);
  for (const auto& tokenizer : {from_gguf(), from_json()}) {
    for (const json::Value& one : cases) {
      const std::string& text = one.find("text")->as_string();
      const std::vector<TokenId> ids = tokenizer->encode(text);
      json::Array found;
      for (const TokenId id : ids) found.emplace_back(int64_t{id});
      ASSERT_EQ(json::dump(found), json::dump(*one.find("ids"))) << text;
      EXPECT_EQ(tokenizer->decode(ids), one.find("decoded")->as_string());
    }
  }
}

TEST(SentencePiece, FilesSayWhatTheirVocabularyIs) {
  for (const auto& tokenizer : {from_gguf(), from_json()}) {
    const Vocabulary& vocabulary = tokenizer->vocabulary();
    EXPECT_EQ(vocabulary.bos, 1);
    EXPECT_EQ(vocabulary.eos, 2);
    EXPECT_TRUE(vocabulary.add_bos);
    EXPECT_EQ(vocabulary.space_prefix, SpacePrefix::each);
    EXPECT_EQ(tokenizer->special("</s>"), 2);
    EXPECT_EQ(tokenizer->size(), 800);
    EXPECT_EQ(tokenizer->bytes(vocabulary.byte_tokens[0x0a]), "\n");
  }
}

// What a stream prints, piece by piece: all but the blank in front.
TEST(SentencePiece, PiecesAreTheBytesOfTheText) {
  const auto tokenizer = from_gguf();
  base::Random random(4);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      text += random.below(3) == 0 ? "the " : std::string(1, static_cast<char>(random.below(256)));
    }
    if (text.find("\xe2\x96\x81") != std::string::npos) continue;
    std::string streamed;
    for (const TokenId id : tokenizer->encode(text)) streamed += tokenizer->bytes(id);
    EXPECT_EQ(streamed, " " + text);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
}

TEST(SentencePiece, TheHighestScoreMergesFirstAndTheLeftmostOfEquals) {
  const auto tokenizer = make(small({{"a", 0.f},
                                     {"b", 0.f},
                                     {"c", 0.f},
                                     {"▁", 0.f},
                                     {"ab", -2.f},
                                     {"bc", -1.f},
                                     {"aa", -3.f},
                                     {"aaa", -3.f}}));
  EXPECT_THAT(pieces(*tokenizer, "abc"), ElementsAre(" ", "a", "bc"));
  EXPECT_THAT(pieces(*tokenizer, "aaaaa"), ElementsAre(" ", "aaa", "aa"));
}

TEST(SentencePiece, CharactersWithoutATokenAreBytes) {
  const auto tokenizer = make(small({{"a", 0.f}, {"▁", 0.f}, {"é", -1.f}}));
  EXPECT_THAT(tokenizer->encode("aé\xff日"),
              ElementsAre(260, 259, 261, 3 + 0xff, 3 + 0xe6, 3 + 0x97, 3 + 0xa5));
  EXPECT_THAT(tokenizer->encode("<s>"), ElementsAre(260, 3 + '<', 3 + 's', 3 + '>'));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre());
}

TEST(SentencePiece, ABlankIsPutInFrontWhereTheVocabularySaysSo) {
  Vocabulary vocabulary = small({{"a", 0.f}, {"▁", 0.f}});
  const auto blanks = [&](SpacePrefix prefix) {
    vocabulary.space_prefix = prefix;
    const auto tokenizer = make(vocabulary);
    std::string out;
    for (const Place place : {Place::start, Place::behind_control, Place::inside}) {
      for (const char* text : {"a", " a"}) {
        const auto ids = tokenizer->encode(text, place);
        out += std::to_string(std::count(ids.begin(), ids.end(), 260));
      }
    }
    return out;
  };
  EXPECT_EQ(blanks(SpacePrefix::none), "010101");
  EXPECT_EQ(blanks(SpacePrefix::each), "121201");
  EXPECT_EQ(blanks(SpacePrefix::each_unless_blank), "111101");
  EXPECT_EQ(blanks(SpacePrefix::first_unless_blank), "110101");
}

TEST(SentencePiece, ATokenThatRunsOverABlankKeepsTextsWhole) {
  const auto tokenizer = make(small({{"a", 0.f}, {"▁", 0.f}, {"a▁", -1.f}, {"a▁a", -2.f}}));
  EXPECT_THAT(pieces(*tokenizer, "a a"), ElementsAre(" ", "a a"));
}

TEST(SentencePiece, ChatTextBehindAControlTokenGetsItsBlank) {
  const auto tokenizer = from_gguf();
  const auto format = ChatFormat::detect(*tokenizer, "llama2");
  ASSERT_TRUE(format) << format.error().text();
  const auto ids = format->render(*tokenizer, {{dialog::Role::user, "the boat"}}, true)->ids;
  std::vector<TokenId> expected = tokenizer->encode("[INST] the boat [/INST]");
  expected.insert(expected.begin(), 1);
  EXPECT_EQ(ids, expected);
  const auto whole = format->render(
      *tokenizer, {{dialog::Role::user, "the boat"}, {dialog::Role::assistant, "moon"}}, false);
  std::vector<TokenId> answer = tokenizer->encode(" moon ", Place::inside);
  expected.insert(expected.end(), answer.begin(), answer.end());
  expected.push_back(2);
  EXPECT_EQ(whole->ids, expected);
  EXPECT_EQ(std::count(whole->trained.begin(), whole->trained.end(), true), std::ssize(answer) + 1);
}

// A megabyte that nothing splits: in quadratic time this test would take hours.
TEST(SentencePiece, LongTextsEnd) {
  const auto tokenizer = make(small({{"a", 0.f},
                                     {"b", 0.f},
                                     {"▁", 0.f},
                                     {"aa", -1.f},
                                     {"aaaa", -2.f},
                                     {"▁▁", -3.f},
                                     {"ab", -4.f},
                                     {"a▁", -5.f}}));
  EXPECT_LT(tokenizer->encode(std::string(1 << 20, 'a')).size(), size_t{1} << 19);
  EXPECT_LT(tokenizer->encode(std::string(1 << 20, ' ')).size(), size_t{1} << 20);
  EXPECT_EQ(tokenizer->encode(std::string(1 << 20, '~')).size(), (size_t{1} << 20) + 1);
}

TEST(SentencePiece, RefusesVocabulariesThatCannotWork) {
  const auto error = [](Vocabulary vocabulary) {
    auto made = Tokenizer::create(std::move(vocabulary));
    return made ? std::string("accepted") : made.error().text();
  };
  Vocabulary few = small({{"a", 0.f}});
  few.scores.pop_back();
  EXPECT_THAT(error(few), HasSubstr("259 scores for 260 tokens"));
  Vocabulary odd = small({{"a", NAN}});
  EXPECT_THAT(error(odd), HasSubstr("token 259 is no number"));
  Vocabulary endless = small({{std::string(5000, 'a'), 0.f}});
  EXPECT_THAT(error(endless), HasSubstr("token 259 has 5000 bytes"));
  Vocabulary twice = small({{"a", 0.f}, {"a", 0.f}});
  EXPECT_THAT(error(twice), HasSubstr("same as token 259"));
  Vocabulary outside = small({{"a", 0.f}});
  outside.byte_tokens[7] = 5000;
  EXPECT_THAT(error(outside), HasSubstr("stand for bytes"));
  EXPECT_THAT(from_pieces({{"<0x00>"}, {false}, {true}}).error().text(), HasSubstr("<0x01>"));
  EXPECT_THAT(from_pieces({{"<0xZZ>"}, {false}, {true}}).error().text(), HasSubstr("names none"));
  const auto saved = save_tokenizer(*from_gguf(), testing::TempDir() + "/nowhere");
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().text(), HasSubstr("cannot be saved"));
}

TEST(SentencePiece, JsonOfOtherKindsIsRefused) {
  using json::Value;
  const std::string folder = testing::TempDir() + "/retort_pieces_" + std::to_string(getpid());
  ASSERT_TRUE(base::make_directories(folder));
  const std::string path = base::join(folder, "tokenizer.json");
  const auto loaded = [&](const std::function<void(Value&)>& change) {
    Value root = golden_json("pieces/tokenizer.json");
    change(root);
    EXPECT_TRUE(base::write_file_atomic(path, json::dump(root)));
    return load_tokenizer_json(path);
  };
  const auto error = [&](const std::function<void(Value&)>& change) {
    const auto made = loaded(change);
    return made ? std::string("accepted") : made.error().text();
  };
  EXPECT_EQ(error([](Value&) {}), "accepted");
  EXPECT_THAT(error([](Value& root) {
                root.set("normalizer", Value::object({{"type", "NFC"}}));
              }),
              HasSubstr("its normalizer is of no known kind"));
  EXPECT_THAT(error([](Value& root) { root.set("normalizer", nullptr); }),
              HasSubstr("its pre_tokenizer is of no known kind"));
  EXPECT_THAT(error([](Value& root) { root.find("model")->set("ignore_merges", true); }),
              HasSubstr("ignore_merges"));
  EXPECT_THAT(error([](Value& root) { root.find("model")->find("merges")->push("zz yy"); }),
              HasSubstr("zz yy"));
  const auto metaspace = [&](const char* scheme) {
    return loaded([&](Value& root) {
      root.set("normalizer", nullptr);
      root.set("pre_tokenizer", Value::object({{"type", "Metaspace"},
                                               {"replacement", "▁"},
                                               {"prepend_scheme", scheme},
                                               {"split", false}}));
    });
  };
  EXPECT_EQ((*metaspace("first"))->vocabulary().space_prefix, SpacePrefix::first_unless_blank);
  EXPECT_EQ((*metaspace("always"))->vocabulary().space_prefix, SpacePrefix::each_unless_blank);
  EXPECT_EQ((*metaspace("never"))->vocabulary().space_prefix, SpacePrefix::none);
  EXPECT_FALSE(metaspace("sometimes"));
  ASSERT_TRUE(base::remove_all(folder));
}

}  // namespace
}  // namespace retort::tokenizer
