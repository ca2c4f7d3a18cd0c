#include "curate/sift.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "curate/funnel.h"
#include "curate/near.h"

namespace retort::curate {
namespace {

constexpr const char* kNouns[] = {"boat", "moon", "apple", "fox",  "lamp", "king", "tree", "bell",
                                  "crow", "drum", "fish",  "gate", "hat",  "ring", "shoe", "wolf",
                                  "cat",  "dog",  "hen",   "owl",  "bus",  "cup",  "map",  "net"};

// Stories over a small vocabulary, some copied from an earlier one with a few words changed.
std::vector<corpus::Record> stories(size_t count, uint64_t seed, bool slots) {
  base::Random random(seed);
  std::vector<corpus::Record> out;
  for (size_t i = 0; i < count; ++i) {
    corpus::Record record;
    record.kind = corpus::Kind::teacher;
    record.key = std::to_string(base::mix64(seed * 1000 + i));
    record.model = record.model_answered = "m";
    record.finish_reason = "stop";
    const std::string noun = kNouns[random.below(24)];
    const std::string other = kNouns[random.below(24)];
    record.messages = {{dialog::Role::user, "Tell of a " + noun + " and a " + other + " number " +
                                                std::to_string(random.below(200))}};
    if (slots) record.slots = {{"noun", noun}, {"noun2", other}};
    if (i > 0 && random.below(3) == 0) {
      record.answer = out[random.below(i)].answer;
      if (random.below(2) == 0)
        record.answer += " The end came w" + std::to_string(random.below(9));
    } else {
      record.answer = "Once a " + noun;
      for (int w = 0; w < 25; ++w) record.answer += " w" + std::to_string(random.below(60));
    }
    if (random.below(20) == 0) record.finish_reason = "length";
    if (random.below(30) == 0) record.answer = "";
    if (random.below(30) == 0) record.answer = "I'm sorry, but I cannot do that.";
    out.push_back(std::move(record));
  }
  return out;
}

std::vector<Candidate> candidates_of(const std::vector<corpus::Record>& records) {
  std::vector<Candidate> out;
  for (const auto& record : records) out.push_back({&record});
  return out;
}

Shingles compared(const corpus::Record& record) {
  std::vector<std::string> values;
  for (const auto& [slot, value] : record.slots) values.push_back(value);
  const Words words = masked(record.answer, values);
  return words_of(record.answer).size() < kNearWords ? Shingles{} : shingles_of(words);
}

std::vector<Shingles> compared(const std::vector<corpus::Record>& records) {
  std::vector<Shingles> out;
  for (const auto& record : records) out.push_back(compared(record));
  return out;
}

TEST(Sift, NothingKeptIsNearAnythingKeptByBruteForce) {
  for (const bool slots : {false, true}) {
    for (uint64_t seed = 0; seed < 6; ++seed) {
      const auto records = stories(300, seed, slots);
      Options options;
      options.held_out = 0.1;
      const Sifted sifted = sift(candidates_of(records), options, nullptr);
      int64_t held = 0, dropped_near = 0;
      const auto sets = compared(records);
      for (size_t i = 0; i < records.size(); ++i) {
        held += sifted.held_out[i] ? 1 : 0;
        dropped_near += sifted.drops[i] == Drop::near_copy ? 1 : 0;
        for (size_t j = 0; j < i; ++j) {
          if (sifted.drops[i] != Drop::none || sifted.drops[j] != Drop::none) continue;
          EXPECT_LT(jaccard(sets[i], sets[j]), options.near);
        }
      }
      EXPECT_GT(held, 5);
      EXPECT_GT(dropped_near, 5) << "the test must have something to find";
    }
  }
}

TEST(Sift, NoNearCopyAcrossTheSplitEvenWhereCopiesAreKept) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const auto records = stories(300, seed, true);
    Options options;
    options.near = 0;
    options.held_out = 0.1;
    const Sifted sifted = sift(candidates_of(records), options, nullptr);
    int64_t near_held_out = 0;
    const auto sets = compared(records);
    for (size_t i = 0; i < records.size(); ++i) {
      near_held_out += sifted.drops[i] == Drop::near_held_out ? 1 : 0;
      EXPECT_NE(sifted.drops[i], Drop::near_copy);
      for (size_t j = 0; j < records.size(); ++j) {
        const bool kept = sifted.drops[i] == Drop::none && sifted.drops[j] == Drop::none;
        if (!kept || !sifted.held_out[i] || sifted.held_out[j]) continue;
        EXPECT_LT(jaccard(sets[i], sets[j]), 0.7);
        for (const auto& [slot, value] : records[j].slots) {
          EXPECT_FALSE(std::binary_search(sifted.held_out_values.begin(),
                                          sifted.held_out_values.end(), value));
        }
      }
    }
    EXPECT_GT(near_held_out, 0);
  }
}

TEST(Sift, DoesNotDependOnTheOrder) {
  for (const bool slots : {false, true}) {
    const auto records = stories(400, 11, slots);
    const Sifted straight = sift(candidates_of(records), {}, nullptr);
    std::vector<corpus::Record> turned;
    const auto order = base::permutation(400, 5, 5);
    for (const uint32_t at : order) turned.push_back(records[at]);
    const Sifted shuffled = sift(candidates_of(turned), {}, nullptr);
    for (size_t i = 0; i < order.size(); ++i) {
      ASSERT_EQ(straight.drops[order[i]], shuffled.drops[i]) << i;
      ASSERT_EQ(straight.held_out[order[i]], shuffled.held_out[i]) << i;
    }
  }
}

TEST(Sift, TheFunnelAddsUp) {
  const auto records = stories(500, 3, true);
  const auto candidates = candidates_of(records);
  const Sifted sifted = sift(candidates, {}, nullptr);
  const auto funnel = funnel_of(candidates, sifted.drops);
  int64_t left = 500;
  for (const auto& step : funnel) {
    EXPECT_EQ(step.in, left);
    left -= step.dropped;
    EXPECT_EQ(step.dropped == 0, step.example_key.empty());
  }
  EXPECT_EQ(left, std::count(sifted.drops.begin(), sifted.drops.end(), Drop::none));
  EXPECT_GE(funnel.size(), 6U);
}

std::vector<Drop> drops_of(const std::vector<corpus::Record>& records,
                           const std::set<std::string>* wanted = nullptr) {
  return sift(candidates_of(records), {}, wanted).drops;
}

corpus::Record record_of(const std::string& key, const std::string& prompt,
                         const std::string& answer) {
  corpus::Record out;
  out.key = key;
  out.messages = {{dialog::Role::user, prompt}};
  out.answer = answer;
  out.finish_reason = "stop";
  out.model = "m";
  return out;
}

TEST(Sift, EqualLabelsOfDifferentPromptsAreNoCopies) {
  EXPECT_EQ(drops_of({record_of("1", "Is it good?", "Yes."), record_of("2", "Is it bad?", "Yes."),
                      record_of("3", "is it GOOD", "yes")}),
            (std::vector{Drop::none, Drop::none, Drop::exact_copy}));
}

TEST(Sift, TheThingAskedForIsMasked) {
  auto boat = record_of("1", "Tell of a boat.",
                        "The boat went out to the sea at dawn and the boat came home at night.");
  auto moon = record_of("2", "Tell of a moon.",
                        "The moon went out to the sea at dawn and the moon came home at night.");
  EXPECT_EQ(drops_of({boat, moon}), (std::vector{Drop::none, Drop::none}));
  boat.slots = {{"noun", "boat"}};
  moon.slots = {{"noun", "moon"}};
  EXPECT_EQ(drops_of({moon, boat}), (std::vector{Drop::near_copy, Drop::none}));
}

TEST(Sift, StatusOfARecordDecides) {
  std::vector<corpus::Record> records;
  const std::string good = "The little boat sailed to the moon and came home at dawn.";
  for (const char* reason : {"stop", "length", "content_filter", "refusal"}) {
    records.push_back(record_of(reason, reason, good + " " + reason));
    records.back().finish_reason = reason;
  }
  records.push_back(record_of("other", "other", "A model of another name wrote this line for us."));
  records.back().model_answered = "not-m";
  records.push_back(
      record_of("old", "old", "This one was asked for by an earlier run file, long ago."));
  const std::set<std::string> wanted = {"stop", "length", "content_filter", "refusal", "other"};
  EXPECT_EQ(drops_of(records, &wanted),
            (std::vector{Drop::none, Drop::truncated, Drop::filtered, Drop::refused,
                         Drop::wrong_model, Drop::not_in_run}));
}

TEST(Sift, ModelNames) {
  EXPECT_TRUE(same_model("gpt-4o", "gpt-4o-2024-08-06"));
  EXPECT_TRUE(same_model("SmolLM2-135M-Instruct", "/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
  EXPECT_TRUE(same_model("org/Model", "model"));
  EXPECT_FALSE(same_model("gpt-4", "gpt-4o"));
  EXPECT_FALSE(same_model("a", "b"));
}

TEST(Sift, NoRecordsAtAll) {
  const Sifted sifted = sift({}, {}, nullptr);
  EXPECT_TRUE(sifted.drops.empty());
}

}  // namespace
}  // namespace retort::curate
