// Curation for a training that goes through the records part by part.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "curate/near.h"
#include "curate/sift.h"

namespace retort::curate {
namespace {

constexpr int kParts = 3;
constexpr const char* kThings[] = {"boat", "moon", "apple", "fox",  "lamp", "king", "tree", "bell",
                                   "crow", "drum", "fish",  "gate", "hat",  "ring", "shoe", "wolf"};

struct World {
  std::vector<corpus::Record> records;
  std::vector<std::string> parts;

  std::vector<Candidate> candidates(const std::string& without = "none") const {
    std::vector<Candidate> out;
    for (size_t i = 0; i < records.size(); ++i) {
      if (parts[i] != without) out.push_back({&records[i], parts[i]});
    }
    return out;
  }
};

// Records of three parts over few words, so that copies and near prompts stand across the parts.
World world(uint64_t seed, bool slots) {
  base::Random random(seed);
  World out;
  for (uint64_t i = 0; i < 240; ++i) {
    corpus::Record record;
    record.kind = corpus::Kind::teacher;
    record.key = std::to_string(base::mix64(seed * 1000 + i));
    const std::string thing = kThings[random.below(16)];
    std::string prompt = "Say what a " + thing + " is";
    const uint64_t topic = random.below(40);
    for (uint64_t w = 0; w < 9; ++w) prompt += " p" + std::to_string(topic * 9 + w);
    if (random.below(2) == 0) prompt += " v" + std::to_string(random.below(50));
    record.messages = {{dialog::Role::user, slots ? "Tell of a " + thing : prompt}};
    if (slots) record.slots = {{"thing", thing}};
    record.answer = "It is";
    for (int w = 0; w < 20; ++w) record.answer += " w" + std::to_string(random.below(90));
    if (i > 0 && random.below(4) == 0) record.answer = out.records[random.below(i)].answer;
    out.records.push_back(std::move(record));
    out.parts.push_back("part " + std::to_string(random.below(kParts)));
  }
  return out;
}

// By key: 0 dropped, 1 train, 2 held out.
std::map<std::string, int> sides(const std::vector<Candidate>& candidates, const Options& options,
                                 Parts parts = Parts::in_order) {
  const Sifted sifted = sift(candidates, options, nullptr, parts);
  std::map<std::string, int> out;
  for (size_t i = 0; i < candidates.size(); ++i) {
    out[candidates[i].record->key] = sifted.drops[i] != Drop::none ? 0 : sifted.held_out[i] ? 2 : 1;
  }
  return out;
}

// What a later part's end leaves is what was there: nothing of an earlier part moves.
TEST(SiftParts, EarlierPartsDependOnNoLaterOne) {
  for (const bool slots : {false, true}) {
    for (const double near : {0.7, 0.0}) {
      Options options{.held_out = 0.2, .near = near};
      int64_t held_out = 0, dropped = 0;
      for (uint64_t seed = 1; seed <= 6; ++seed) {
        const World all = world(seed, slots);
        const auto whole = sides(all.candidates(), options);
        for (int gone = 1; gone < kParts; ++gone) {
          const auto left = sides(all.candidates("part " + std::to_string(gone)), options);
          for (size_t i = 0; i < all.records.size(); ++i) {
            if (all.parts[i] >= "part " + std::to_string(gone)) continue;
            const std::string& key = all.records[i].key;
            ASSERT_EQ(whole.at(key), left.at(key)) << all.parts[i] << " without " << gone;
            held_out += left.at(key) == 2 ? 1 : 0;
            dropped += left.at(key) == 0 ? 1 : 0;
          }
        }
      }
      EXPECT_GT(held_out, 20);
      EXPECT_GT(dropped, 5);
    }
  }
}

// Without parts the same removal does move records, so the test above could fail.
TEST(SiftParts, WithoutPartsTheyDo) {
  const World all = world(1, false);
  World one = all;
  std::fill(one.parts.begin(), one.parts.end(), "");
  const Options options{.held_out = 0.2};
  const auto whole = sides(one.candidates(), options);
  auto fewer = all.candidates("part 2");
  for (Candidate& candidate : fewer) candidate.part = "";
  int64_t moved = 0;
  for (const auto& [key, side] : sides(fewer, options)) moved += side != whole.at(key) ? 1 : 0;
  EXPECT_GT(moved, 0);
}

TEST(SiftParts, NoTrainingPromptIsNearAHeldOutOneOfAnyPart) {
  int64_t across = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const World all = world(seed, /*slots=*/false);
    const auto candidates = all.candidates();
    const auto side = sides(candidates, {.held_out = 0.2});
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (side.at(candidates[i].record->key) != 1) continue;
      const auto mine = shingles_of(words_of(candidates[i].record->messages[0].content));
      for (size_t j = 0; j < candidates.size(); ++j) {
        if (side.at(candidates[j].record->key) != 2) continue;
        const auto other = shingles_of(words_of(candidates[j].record->messages[0].content));
        ASSERT_LT(jaccard(mine, other), 0.7) << i << " " << j;
        across += candidates[i].part != candidates[j].part ? 1 : 0;
      }
    }
  }
  EXPECT_GT(across, 1000);
}

TEST(SiftParts, NoTrainingPromptNamesAHeldOutThingOfAnyPart) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const World all = world(seed, /*slots=*/true);
    const auto candidates = all.candidates();
    const Sifted sifted = sift(candidates, {.held_out = 0.2}, nullptr);
    const std::set<std::string> held(sifted.held_out_values.begin(), sifted.held_out_values.end());
    EXPECT_FALSE(held.empty());
    std::set<std::string> parts_with_held_out;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (sifted.drops[i] != Drop::none) continue;
      EXPECT_EQ(held.contains(candidates[i].record->slots.at("thing")), sifted.held_out[i]);
      if (sifted.held_out[i]) parts_with_held_out.insert(candidates[i].part);
    }
    EXPECT_GT(parts_with_held_out.size(), 1U);
  }
}

// Whichever part goes, the others train on what they trained on, and hold out no less.
TEST(SiftParts, ApartNothingThatIsTrainedOnDependsOnAnotherPart) {
  int held_out_more = 0;
  for (const bool slots : {false, true}) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      const World all = world(seed, slots);
      Options options;
      options.held_out = 0.2;
      const auto whole = sides(all.candidates(), options, Parts::apart);
      for (int gone = 0; gone < kParts; ++gone) {
        const std::string part = "part " + std::to_string(gone);
        const auto left = sides(all.candidates(part), options, Parts::apart);
        for (size_t i = 0; i < all.records.size(); ++i) {
          if (all.parts[i] == part) continue;
          const std::string& key = all.records[i].key;
          ASSERT_EQ(whole.at(key) == 1, left.at(key) == 1) << all.parts[i] << " without " << part;
          ASSERT_TRUE(whole.at(key) != 2 || left.at(key) == 2);
          held_out_more += left.at(key) == 2 && whole.at(key) != 2 ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(held_out_more, 0) << "no held-out record was like one that another part trains on";
}

TEST(SiftParts, ApartNoHeldOutRecordIsLikeOneThatAnyPartTrainsOn) {
  for (const bool slots : {false, true}) {
    const World all = world(3, slots);
    Options options;
    options.held_out = 0.2;
    const auto candidates = all.candidates();
    const Sifted sifted = sift(candidates, options, nullptr, Parts::apart);
    int64_t held = 0, trained = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (sifted.drops[i] != Drop::none) continue;
      ++(sifted.held_out[i] ? held : trained);
      for (size_t j = 0; j < candidates.size(); ++j) {
        if (!sifted.held_out[i] || sifted.held_out[j] || sifted.drops[j] != Drop::none) continue;
        const auto& a = *candidates[i].record;
        const auto& b = *candidates[j].record;
        EXPECT_NE(a.messages[0].content, b.messages[0].content);
        EXPECT_NE(a.answer, b.answer);
        EXPECT_TRUE(!slots || a.slots.at("thing") != b.slots.at("thing"));
      }
    }
    EXPECT_GT(held, 0);
    EXPECT_GT(trained, 40);
  }
}

}  // namespace
}  // namespace retort::curate
