#include <gtest/gtest.h>

#include <set>

#include "collect/prompt_file.h"
#include "collect/prompt_template.h"

namespace retort::collect {
namespace {

using dialog::Role;

TEST(PromptFile, ReadsEveryAgreedShape) {
  const auto list = parse_prompts(
      R"({"messages": [{"role": "system", "content": "Be brief."}, )"
      R"({"role": "user", "content": "A"}]}
{"prompt": "B"}
{"prompt": [{"role": "user", "content": "C"}]}

{"text": "D", "slots": {"noun": "boat"}}
{"instruction": "E", "input": "e"}
{"conversations": [{"from": "human", "value": "F"}, {"from": "gpt", "value": "no"}]}
{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", )"
      R"("body": {"model": "m", "messages": [{"role": "user", "content": "G"}], "max_tokens": 3}}
)",
      "p.jsonl");
  ASSERT_TRUE(list) << list.error().text();
  ASSERT_EQ(list->prompts.size(), 7U);
  EXPECT_EQ(list->prompts[0].messages.size(), 2U);
  std::string last;
  for (const auto& prompt : list->prompts) last += prompt.messages.back().content + "|";
  EXPECT_EQ(last, "A|B|C|D|E\n\ne|F|G|");
  EXPECT_EQ(list->prompts[3].slots.at("noun"), "boat");
  EXPECT_EQ(list->prompts[3].where, "p.jsonl:5");
  ASSERT_EQ(list->notes.size(), 2U);
  EXPECT_EQ(list->notes[0].substr(0, 1), "1");
  EXPECT_NE(list->notes[1].find("max_tokens, model"), std::string::npos) << list->notes[1];
}

TEST(PromptFile, ErrorsNameTheLine) {
  const auto error_of = [](const std::string& text) {
    const auto list = parse_prompts(text, "p.jsonl");
    return list ? std::string("no error") : list.error().text();
  };
  EXPECT_NE(error_of("{\"text\": \"a\"}\n{\"text\": }").find("p.jsonl:2"), std::string::npos);
  EXPECT_NE(error_of("{\"question\": \"a\"}").find("holds no prompt"), std::string::npos);
  EXPECT_NE(error_of("{\"prompt\": \"  \"}").find("empty message"), std::string::npos);
  EXPECT_NE(error_of("{\"prompt\": 3}").find("p.jsonl:1"), std::string::npos);
  EXPECT_NE(error_of("{\"body\": 3}").find("p.jsonl:1"), std::string::npos);
  EXPECT_NE(error_of("\n\n").find("no prompts"), std::string::npos);
  EXPECT_NE(error_of(R"({"messages": [{"role": "robot", "content": "a"}]})").find("robot"),
            std::string::npos);
  EXPECT_NE(
      error_of(R"({"messages": [{"role": "assistant", "content": "a"}]})").find("no messages"),
      std::string::npos);
}

TemplateOptions stories(int64_t count) {
  TemplateOptions options;
  options.templates = {"About {a noun}.", "About {a noun} and {a noun2}."};
  options.words["noun"] = {"boat", "moon", "apple", "hour", "unicorn"};
  options.count = count;
  return options;
}

TEST(PromptTemplate, MakesEachPromptOnceAndAllOfThem) {
  const auto prompts = sample_prompts(stories(25));  // 5 + 5 * 4
  ASSERT_TRUE(prompts) << prompts.error().text();
  std::set<std::string> texts;
  for (const auto& prompt : *prompts) {
    texts.insert(prompt.messages[0].content);
    if (prompt.slots.size() == 2) {
      EXPECT_NE(prompt.slots.at("noun"), prompt.slots.at("noun2"));
    }
  }
  EXPECT_EQ(texts.size(), 25U);
  EXPECT_TRUE(texts.contains("About an hour and a unicorn."));
  EXPECT_TRUE(texts.contains("About a boat and an apple."));
  EXPECT_FALSE(sample_prompts(stories(26)));
}

TEST(PromptTemplate, MoreKeepsTheFirstOnesAndMixesTemplates) {
  const auto few = sample_prompts(stories(8));
  const auto many = sample_prompts(stories(20));
  ASSERT_TRUE(few && many);
  for (size_t i = 0; i < few->size(); ++i) {
    EXPECT_EQ((*few)[i].messages, (*many)[i].messages) << i;
  }
  for (size_t i = 0; i < few->size(); ++i) EXPECT_EQ((*few)[i].slots.size(), 1 + i % 2);
  auto other = stories(8);
  other.seed = 2;
  EXPECT_NE((*sample_prompts(other))[0].messages, (*few)[0].messages);
}

TEST(PromptTemplate, ErrorsSayWhatToDo) {
  const auto error_of = [](const std::string& text) {
    auto options = stories(1);
    options.templates = {text};
    const auto prompts = sample_prompts(options);
    return prompts ? std::string("no error") : prompts.error().text();
  };
  EXPECT_NE(error_of("{verb}").find("words.verb"), std::string::npos);
  EXPECT_NE(error_of("nothing").find("no slot"), std::string::npos);
  EXPECT_NE(error_of("{noun").find("brace"), std::string::npos);
  EXPECT_NE(error_of("{noun}}").find("brace"), std::string::npos);
  EXPECT_NE(error_of("{noun}{noun1}{noun2}{noun3}{noun4}{noun5}").find("too short"),
            std::string::npos);
  auto braces = stories(1);
  braces.templates = {"{{noun}} {noun}"};
  EXPECT_EQ((*sample_prompts(braces))[0].messages[0].content.substr(0, 7), "{noun} ");
}

TEST(PromptTemplate, PermutationIsOne) {
  for (const uint64_t size : {1ULL, 2ULL, 3ULL, 64ULL, 1000ULL, 4097ULL}) {
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < size; ++i) seen.insert(permuted(i, size, 7));
    EXPECT_EQ(seen.size(), size);
    EXPECT_LT(*seen.rbegin(), size);
  }
  EXPECT_LT(permuted(5, uint64_t{1} << 62, 7), uint64_t{1} << 62);
}

TEST(PromptTemplate, TheShippedNounsReadAsTheyShould) {
  const auto words = read_word_list(RETORT_SOURCE_DIR "/examples/nouns.txt");
  ASSERT_TRUE(words) << words.error().text();
  EXPECT_GE(words->size(), 300U);
  std::set<std::string> distinct(words->begin(), words->end());
  EXPECT_EQ(distinct.size(), words->size());
  for (const auto& word : *words) {
    const bool an = with_article(word).starts_with("an ");
    const bool vowel = std::string("aeiou").find(word[0]) != std::string::npos;
    if (word == "ukulele") continue;
    EXPECT_EQ(an, vowel) << with_article(word);
  }
}

}  // namespace
}  // namespace retort::collect
