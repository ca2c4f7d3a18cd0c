#include "curate/near.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "base/clock.h"
#include "base/random.h"

namespace retort::curate {
namespace {

TEST(Words, CaseAndPunctuationDoNotCount) {
  EXPECT_EQ(words_of("The boat, the MOON!"), words_of("the boat the moon"));
  EXPECT_EQ(words_of("don't"), words_of("don\xe2\x80\x99t"));
  EXPECT_EQ(words_of("one\xe2\x80\x94two"), words_of("one two"));
  EXPECT_EQ(words_of("").size(), 0U);
  EXPECT_EQ(words_of("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e").size(), 3U);
  EXPECT_EQ(words_of("na\xc3\xafve caf\xc3\xa9").size(), 2U);
  EXPECT_EQ(words_of("\xe2\x80").size(), 1U) << "cut UTF-8 is no reason to read past the end";
}

TEST(Words, MaskTakesValuesWithPluralsAndNothingElse) {
  const auto mask = [](const char* text, std::vector<std::string> values) {
    return masked(text, std::move(values));
  };
  EXPECT_EQ(mask("A boat saw two boats.", {"boat"}), mask("A moon saw two moons.", {"moon"}));
  EXPECT_EQ(mask("The fire engine ran.", {"fire engine"}), mask("The fox ran.", {"fox"}));
  EXPECT_NE(mask("The boathouse.", {"boat"}), mask("The moonhouse.", {"moon"}));
  EXPECT_EQ(mask("The boat.", {}), words_of("the boat"));
}

TEST(Words, Repetition) {
  EXPECT_EQ(repetition(words_of("Once there was a boat that sailed to the quiet moon.")), 0.0);
  EXPECT_GT(repetition(words_of("the boat and the boat and the boat and the boat and the boat")),
            0.7);
  EXPECT_EQ(repetition(words_of("a b")), 0.0);
}

std::vector<Shingles> random_sets(uint64_t seed, size_t count) {
  base::Random random(seed);
  std::vector<Shingles> sets;
  for (size_t i = 0; i < count; ++i) {
    std::set<uint32_t> set;
    if (i > 0 && random.below(2) == 0) {
      const auto& source = sets[random.below(i)];
      for (const uint32_t one : source) {
        if (random.below(10) != 0) set.insert(one);
      }
    }
    // A few shingles that many sets share, the rest from a wide range.
    while (set.size() < random.below(30)) {
      set.insert(static_cast<uint32_t>(random.below(random.below(2) == 0 ? 20 : 100'000)));
    }
    sets.emplace_back(set.begin(), set.end());
  }
  return sets;
}

TEST(Near, FindsExactlyWhatBruteForceFinds) {
  int64_t pairs = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const double threshold = 0.3 + 0.1 * static_cast<double>(seed % 8);
    const auto sets = random_sets(seed, 150);
    Frequencies frequencies;
    for (const auto& set : sets) frequencies.add(set);
    NearIndex index(frequencies, threshold);
    for (size_t i = 0; i < sets.size(); ++i) {
      std::set<int64_t> expected, found;
      for (size_t j = 0; j < i; ++j) {
        if (!sets[i].empty() && jaccard(sets[i], sets[j]) >= threshold - 1e-9) {
          expected.insert(static_cast<int64_t>(j));
        }
      }
      index.find_all(sets[i], [&](int64_t number) { return found.insert(number).second; });
      ASSERT_EQ(found, expected) << "seed " << seed << " set " << i;
      ASSERT_EQ(index.find(sets[i]), expected.empty() ? -1 : *expected.begin());
      pairs += static_cast<int64_t>(expected.size());
      index.add(sets[i]);
    }
  }
  EXPECT_GT(pairs, 1000) << "the test must have something to find";
}

TEST(Near, JaccardOfTexts) {
  const auto of = [](const char* a, const char* b) {
    return jaccard(shingles_of(words_of(a)), shingles_of(words_of(b)));
  };
  EXPECT_EQ(of("a b c d", "a b c d"), 1.0);
  EXPECT_NEAR(of("a b c d", "a b c e"), 1.0 / 3.0, 1e-12);
  EXPECT_EQ(of("", ""), 0.0);
  EXPECT_EQ(of("a b", "a b"), 1.0);
}

}  // namespace
}  // namespace retort::curate
