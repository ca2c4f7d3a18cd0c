#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "curate/near.h"
#include "curate/quality.h"
#include "curate/split.h"

namespace retort::curate {
namespace {

Drop judged(std::string_view text, AnswerFacts facts = {}, QualityOptions options = {}) {
  facts.text = text;
  return judge_answer(facts, words_of(text), options);
}

TEST(Quality, EachRule) {
  const char* good = "The little boat sailed to the moon. It came home at dawn.";
  EXPECT_EQ(judged(good), Drop::none);
  EXPECT_EQ(judged(" \n ..."), Drop::empty);
  EXPECT_EQ(judged(good, {.truncated = true}), Drop::truncated);
  EXPECT_EQ(judged(good, {.filtered = true}), Drop::filtered);
  EXPECT_EQ(judged(good, {.refused = true}), Drop::refused);
  EXPECT_EQ(judged(good, {.wrong_model = true}), Drop::wrong_model);
  EXPECT_EQ(judged(good, {}, {.min_words = 20}), Drop::too_short);
  EXPECT_EQ(judged(good, {}, {.max_words = 5}), Drop::too_long);
  EXPECT_EQ(judged("The boat saw the moon. The boat saw the moon. The boat saw the moon."),
            Drop::repetitive);
}

TEST(Quality, RefusalsAreOpeningsOnly) {
  EXPECT_EQ(judged("I'm sorry, but I cannot help with that request."), Drop::refused);
  EXPECT_EQ(judged("  I\xe2\x80\x99m Sorry, but I can't."), Drop::refused);
  EXPECT_EQ(judged("As an AI language model, I have no boat."), Drop::refused);
  EXPECT_EQ(judged("\"I cannot help you,\" said the boat to the moon."), Drop::none);
  EXPECT_EQ(judged("The boat said: I'm sorry, but I must go."), Drop::none);
  EXPECT_EQ(judged("As an airplane flew by, the boat waved."), Drop::none);
}

TEST(Quality, EveryReasonHasItsOwnName) {
  std::set<std::string> names;
  for (int i = 0; i < kDropReasons; ++i) names.insert(name(static_cast<Drop>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(kDropReasons));
}

std::vector<SplitItem> two_noun_items(size_t count, uint64_t nouns, uint64_t seed) {
  base::Random random(seed);
  std::vector<SplitItem> items;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t a = random.below(nouns);
    const uint64_t b = (a + 1 + random.below(nouns - 1)) % nouns;
    SplitItem item;
    item.values = {"noun" + std::to_string(a), "noun" + std::to_string(b)};
    if (i % 2 == 0) item.values.pop_back();
    item.prompt = fingerprint(words_of(item.values.front() + " " + item.values.back()));
    items.push_back(item);
  }
  return items;
}

TEST(Split, NoTrainingPromptNamesAHeldOutThing) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto items = two_noun_items(3000, 300, seed);
    const Split result = split(items, {.held_out = 0.05, .near = 0.7, .seed = seed});
    const std::set<std::string> held(result.held_out_values.begin(), result.held_out_values.end());
    int64_t count = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      bool any = false;
      for (const auto& value : items[i].values) any = any || held.contains(value);
      EXPECT_EQ(result.held_out[i], any);
      count += result.held_out[i] ? 1 : 0;
    }
    EXPECT_GE(count, 140) << seed;
    EXPECT_LE(count, 190) << seed;
    EXPECT_TRUE(result.notes.empty());
  }
}

TEST(Split, DoesNotDependOnTheOrder) {
  auto items = two_noun_items(500, 80, 3);
  for (size_t i = 0; i < items.size(); i += 3) {
    items[i].values.clear();
    items[i].prompt_shingles = {static_cast<uint32_t>(i), 1, 2, 3, 4};
    std::sort(items[i].prompt_shingles.begin(), items[i].prompt_shingles.end());
  }
  const Split straight = split(items, {.held_out = 0.1});
  std::vector<SplitItem> turned;
  const auto order = base::permutation(500, 9, 9);
  for (const uint32_t at : order) turned.push_back(items[at]);
  const Split shuffled = split(turned, {.held_out = 0.1});
  EXPECT_EQ(straight.held_out_values, shuffled.held_out_values);
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(straight.held_out[order[i]], shuffled.held_out[i]) << i;
  }
}

TEST(Split, NearPromptsStayTogether) {
  base::Random random(4);
  std::vector<SplitItem> items;
  std::vector<std::string> texts;
  for (int i = 0; i < 400; ++i) {
    std::string text;
    if (i % 4 == 3) {
      text = texts[static_cast<size_t>(i - 1)] + " please";
    } else {
      for (int w = 0; w < 14; ++w) text += "w" + std::to_string(random.below(500)) + " ";
    }
    texts.push_back(text);
    items.push_back({fingerprint(words_of(text)), {}, shingles_of(words_of(text))});
  }
  const Split result = split(items, {.held_out = 0.2});
  int64_t held = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    held += result.held_out[i] ? 1 : 0;
    for (size_t j = 0; j < i; ++j) {
      if (jaccard(items[i].prompt_shingles, items[j].prompt_shingles) >= 0.7) {
        EXPECT_EQ(result.held_out[i], result.held_out[j]) << texts[i] << " | " << texts[j];
      }
    }
  }
  EXPECT_GE(held, 70);
  EXPECT_LE(held, 100);
}

TEST(Split, PromptsThatAreAllAlikeAreSplitAllTheSame) {
  std::vector<SplitItem> items;
  for (uint32_t i = 0; i < 1000; ++i) {
    SplitItem item;
    for (uint32_t s = 0; s < 40; ++s) item.prompt_shingles.push_back(s);
    item.prompt_shingles.push_back(1000 + i);
    item.prompt = {i, i};
    items.push_back(item);
  }
  const Split result = split(items, {.held_out = 0.1});
  EXPECT_EQ(std::count(result.held_out.begin(), result.held_out.end(), true), 100);
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_NE(result.notes[0].find("slots"), std::string::npos);
}

TEST(Split, ValuesThatAreEverywhereFallBackToPrompts) {
  std::vector<SplitItem> items;
  for (uint64_t i = 0; i < 200; ++i) {
    items.push_back({{i, i}, {i % 2 == 0 ? "yes" : "no"}, {}});
  }
  const Split result = split(items, {.held_out = 0.1});
  EXPECT_EQ(std::count(result.held_out.begin(), result.held_out.end(), true), 20);
  EXPECT_EQ(result.notes.size(), 1U);
}

TEST(Split, TooFewRecordsSaySo) {
  EXPECT_TRUE(split({}, {}).notes.empty());
  const Split result = split({{{1, 1}, {}, {}}, {{2, 2}, {}, {}}}, {.held_out = 0.05});
  EXPECT_EQ(result.notes.size(), 1U);
}

}  // namespace
}  // namespace retort::curate
