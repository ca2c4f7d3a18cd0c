#include "tokenizer/trim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "tokenizer/bpe_trainer_internal.h"
#include "tokenizer/chat.h"
#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

using testing::HasSubstr;

std::shared_ptr<const Tokenizer> smollm2() {
  static const auto loaded = load_tokenizer_json(golden("smollm2/tokenizer.json"));
  EXPECT_TRUE(loaded) << loaded.error().text();
  return *loaded;
}

std::vector<TokenId> used_by(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  std::vector<TokenId> used;
  for (const auto& text : texts) {
    const auto ids = tokenizer.encode(text);
    used.insert(used.end(), ids.begin(), ids.end());
  }
  return used;
}

Trimmed trimmed(const Tokenizer& tokenizer, const std::vector<TokenId>& used) {
  auto made = trim(tokenizer, used);
  EXPECT_TRUE(made) << made.error().text();
  return *made;
}

// The new ids in the old vocabulary's numbers.
std::vector<TokenId> in_old_ids(const Trimmed& made, std::string_view text) {
  std::vector<TokenId> ids = made.tokenizer->encode(text);
  for (TokenId& id : ids) id = made.old_ids[static_cast<size_t>(id)];
  return ids;
}

std::string random_bytes(base::Random& random, size_t most) {
  std::string text;
  for (size_t left = random.below(most); left > 0; --left) {
    text += static_cast<char>(random.below(256));
  }
  return text;
}

// Two of the properties that trim() promises, on one corpus and texts that are none of it.
void expect_promises(const Tokenizer& tokenizer, const std::vector<std::string>& corpus,
                     const std::vector<std::string>& others) {
  const Trimmed made = trimmed(tokenizer, used_by(tokenizer, corpus));
  ASSERT_EQ(made.old_ids.size(), static_cast<size_t>(made.tokenizer->size()));
  ASSERT_TRUE(std::is_sorted(made.old_ids.begin(), made.old_ids.end()));
  for (const auto& text : corpus) {
    ASSERT_EQ(in_old_ids(made, text), tokenizer.encode(text)) << text;
  }
  for (const auto& text : others) {
    ASSERT_EQ(made.tokenizer->decode(made.tokenizer->encode(text)),
              tokenizer.decode(tokenizer.encode(text)))
        << text;
  }
}

std::vector<std::string> stored_texts() {
  std::vector<std::string> texts;
  const json::Value stored = golden_json("splits.json");
  for (const auto& [name, cases] : stored.as_object()) {
    for (const auto& one : cases.as_array()) texts.push_back(one.find("text")->as_string());
  }
  return texts;
}

TEST(Trim, CorpusEncodesAsBeforeAndAnyTextDecodes) {
  const auto texts = stored_texts();
  ASSERT_GT(texts.size(), 400u);
  base::Random random(1);
  for (int round = 0; round < 12; ++round) {
    std::vector<std::string> corpus, others;
    for (const auto& text : texts) (random.below(4) == 0 ? corpus : others).push_back(text);
    for (int i = 0; i < 200; ++i) others.push_back(random_bytes(random, 60));
    expect_promises(*smollm2(), corpus, others);
  }
}

// Few letters, so that several merges lead to one token and runs overlap; merges in an order that
// no trainer would learn, so that tokens exist that their own merges do not lead to.
TEST(Trim, HoldsForMergesInAnyOrder) {
  base::Random random(2);
  int unreached = 0;
  for (int round = 0; round < 300; ++round) {
    Vocabulary vocabulary = byte_vocabulary();
    std::vector<std::string> texts = {"a", "b", "c"};
    std::set<std::string> known(texts.begin(), texts.end());
    std::vector<std::pair<std::string, std::string>> merges;
    for (int i = 0; i < 25; ++i) {
      const auto left = texts[random.below(texts.size())],
                 right = texts[random.below(texts.size())];
      if (left.size() + right.size() > 12) continue;
      merges.insert(merges.begin() + static_cast<std::ptrdiff_t>(random.below(merges.size() + 1)),
                    {left, right});
      if (known.insert(left + right).second) texts.push_back(left + right);
    }
    for (size_t i = 3; i < texts.size(); ++i) vocabulary.tokens.push_back(texts[i]);
    const auto id = [&](const std::string& text) {
      return static_cast<TokenId>(std::ranges::find(vocabulary.tokens, text) -
                                  vocabulary.tokens.begin());
    };
    for (const auto& [left, right] : merges) vocabulary.merges.emplace_back(id(left), id(right));
    vocabulary.whole_words = round % 2 == 1;
    const auto tokenizer = Tokenizer::create(vocabulary);
    ASSERT_TRUE(tokenizer) << tokenizer.error().text();
    for (const auto& text : texts) unreached += (*tokenizer)->encode(text).size() > 1;

    std::vector<std::string> corpus, others;
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (size_t size = 1 + random.below(i % 10 == 0 ? 80 : 12); size > 0; --size) {
        text += random.below(9) == 0 ? ' ' : static_cast<char>('a' + random.below(3));
      }
      (i < 4 ? corpus : others).push_back(text);
    }
    expect_promises(**tokenizer, corpus, others);
  }
  EXPECT_GT(unreached, 100);
}

TEST(Trim, KeepsNoMoreThanItNeeds) {
  // Two ways to "abc"; the encoder takes ("ab", "c"), for "ab" comes first.
  auto tokenizer = Tokenizer::create(
      byte_vocabulary({{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"a", "bc"}, {"c", "d"}}));
  ASSERT_TRUE(tokenizer);
  const Trimmed made = trimmed(**tokenizer, (*tokenizer)->encode("abc"));
  EXPECT_EQ(made.tokenizer->size(), 256 + 2);
  EXPECT_EQ(made.tokenizer->vocabulary().tokens[256], "ab");
  EXPECT_EQ(made.tokenizer->vocabulary().tokens[257], "abc");
  EXPECT_EQ(made.tokenizer->vocabulary().merges.size(), 2u);
  const auto back = new_ids(made.old_ids, (*tokenizer)->size());
  for (size_t i = 0; i < made.old_ids.size(); ++i) {
    EXPECT_EQ(back[static_cast<size_t>(made.old_ids[i])], static_cast<TokenId>(i));
  }
  EXPECT_EQ(std::ranges::count(back, -1), (*tokenizer)->size() - made.tokenizer->size());
}

TEST(Trim, SpecialTokensAndTheChatTemplateStay) {
  const Trimmed made = trimmed(*smollm2(), smollm2()->encode("Hello there."));
  const auto& old = smollm2()->vocabulary();
  EXPECT_LT(made.tokenizer->size(), 300);
  for (size_t i = 0; i < old.tokens.size(); ++i) {
    if (!old.special[i]) continue;
    EXPECT_GE(made.tokenizer->special(old.tokens[i]), 0) << old.tokens[i];
  }
  const auto before = ChatFormat::detect(*smollm2()), after = ChatFormat::detect(*made.tokenizer);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->family(), after->family());
  EXPECT_EQ(made.old_ids[static_cast<size_t>(after->stop_token())], before->stop_token());
  EXPECT_EQ(made.old_ids[static_cast<size_t>(made.tokenizer->vocabulary().eos)], old.eos);
}

TEST(Trim, EveryKnownTemplateIsStillKnown) {
  const json::Value stored = golden_json("chats.json");
  std::set<std::string> styles;
  for (const auto& one : stored.find("templates")->as_array()) {
    const json::Value* text = one.find("template");
    const std::string style = one.find("style")->as_string();
    // One that is known by its digest alone is asked for by name.
    const auto whole = vocabulary_for(text == nullptr ? "" : text->as_string());
    const std::string forced = text == nullptr ? style : "";
    const auto before = ChatFormat::detect(*whole, forced);
    if (!before) continue;  // its control tokens are none of the vocabulary's
    const auto after = ChatFormat::detect(*trimmed(*whole, {}).tokenizer, forced);
    ASSERT_TRUE(after) << after.error().text();
    EXPECT_EQ(before->family(), after->family());
    styles.insert(style);
  }
  EXPECT_GE(styles.size(), 9u);
}

TEST(Trim, ReadsBackFromItsFilesAlike) {
  const std::string folder = ::testing::TempDir() + "retort_trim_" + std::to_string(getpid());
  const Trimmed made = trimmed(*smollm2(), used_by(*smollm2(), stored_texts()));
  ASSERT_TRUE(save_tokenizer(*made.tokenizer, folder));
  const auto read = load_tokenizer(folder);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ((*read)->vocabulary().tokens, made.tokenizer->vocabulary().tokens);
  EXPECT_EQ((*read)->vocabulary().merges, made.tokenizer->vocabulary().merges);
  EXPECT_EQ((*read)->vocabulary().special, made.tokenizer->vocabulary().special);
  EXPECT_EQ((*read)->vocabulary().eos, made.tokenizer->vocabulary().eos);
  const std::string remap = folder + "/remap.json";
  ASSERT_TRUE(save_remap(made.old_ids, remap));
  const auto ids = load_remap(remap);
  ASSERT_TRUE(ids) << ids.error().text();
  EXPECT_EQ(*ids, made.old_ids);
  ASSERT_TRUE(base::write_file_atomic(remap, "{\"schema\":\"retort.remap/1\",\"old_ids\":[3,3]}"));
  EXPECT_THAT(load_remap(remap).error().text(), HasSubstr("do not ascend"));
  ASSERT_TRUE(base::write_file_atomic(remap, "{\"schema\":\"retort.remap/2\",\"old_ids\":[3]}"));
  EXPECT_FALSE(load_remap(remap));
  ASSERT_TRUE(base::remove_all(folder));
}

TEST(Trim, RefusesWhatItCannotTrim) {
  const auto pieces = load_tokenizer(golden("pieces"));
  ASSERT_TRUE(pieces) << pieces.error().text();
  EXPECT_THAT(trim(**pieces, {}).error().text(), HasSubstr("SentencePiece"));
  const auto bytes = Tokenizer::create(byte_vocabulary());
  EXPECT_THAT(trim(**bytes, {256}).error().text(), HasSubstr("outside the vocabulary"));
  EXPECT_FALSE(trim(**bytes, {-1}));
  Vocabulary endless = byte_vocabulary();
  endless.tokens.emplace_back(5000, 'a');
  EXPECT_THAT(trim(**Tokenizer::create(endless), {256}).error().text(), HasSubstr("5000 bytes"));
}

}  // namespace
}  // namespace retort::tokenizer
