#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "evaluate/bootstrap.h"
#include "evaluate/wording.h"

namespace retort::evaluate {
namespace {

std::vector<std::string> numbered(size_t n) {
  std::vector<std::string> out;
  for (size_t i = 0; i < n; ++i) out.push_back(std::to_string(i));
  return out;
}

TEST(Bootstrap, IntervalOfAMeanIsThatOfTheNormalDistribution) {
  base::Random random(1);
  std::vector<Part> parts(400);
  for (Part& part : parts) part = {5 + random.normal(), 1};
  const Interval interval = bootstrap_ratio(parts, numbered(parts.size()), {.samples = 2000});
  const double expected = 2 * 1.96 / std::sqrt(400.0);
  EXPECT_NEAR(interval.high - interval.low, expected, 0.15 * expected);
  EXPECT_LT(interval.low, interval.value);
  EXPECT_LT(interval.value, interval.high);
}

TEST(Bootstrap, CopiesInOneClusterDoNotNarrowTheInterval) {
  base::Random random(1);
  std::vector<Part> once, copied;
  std::vector<std::string> names_once, names_copied;
  for (int i = 0; i < 100; ++i) {
    const Part part{random.uniform(), 1};
    once.push_back(part);
    names_once.push_back(std::to_string(i));
    for (int copy = 0; copy < 9; ++copy) {
      copied.push_back(part);
      names_copied.push_back(std::to_string(i));
    }
  }
  const Interval a = bootstrap_ratio(once, names_once, {.seed = 3});
  const Interval b = bootstrap_ratio(copied, names_copied, {.seed = 3});
  EXPECT_NEAR(a.low, b.low, 1e-9);
  EXPECT_NEAR(a.high, b.high, 1e-9);
}

TEST(Bootstrap, DifferenceIsPaired) {
  base::Random random(1);
  std::vector<Part> a(50), b(50);
  for (size_t i = 0; i < a.size(); ++i) {
    const double hardness = 10 * random.uniform();  // common to both, so it cancels
    a[i] = {hardness + 1, 1};
    b[i] = {hardness, 1};
  }
  const Interval difference = bootstrap_difference(a, b, numbered(50), {});
  EXPECT_NEAR(difference.value, 1, 1e-9);
  EXPECT_NEAR(difference.high - difference.low, 0, 1e-9);
}

TEST(Bootstrap, IsAFunctionOfTheSeed) {
  std::vector<Part> parts{{1, 2}, {3, 4}, {0, 1}, {5, 5}};
  const auto names = numbered(4);
  EXPECT_EQ(bootstrap_ratio(parts, names, {.seed = 4}).low,
            bootstrap_ratio(parts, names, {.seed = 4}).low);
  EXPECT_EQ(bootstrap_ratio({}, {}, {}).high, 0);
}

TEST(Wording, NamesWordsAndSimplePlurals) {
  EXPECT_TRUE(names_all("The Boat sailed to the moon's shore.", {"boat", "moon"}));
  EXPECT_TRUE(names_all("Two foxes ate \u201ccherries\u201d \u2013 twice.", {"fox", "cherry"}));
  EXPECT_TRUE(names_all("An old hot air balloon rose.", {"hot air balloon"}));
  EXPECT_FALSE(names_all("A boatman rowed.", {"boat"}));
  EXPECT_FALSE(names_all("A boat rowed.", {"boat", "moon"}));
  EXPECT_FALSE(names_all("Hot balloon air.", {"hot air balloon"}));
}

TEST(Wording, CountsSentences) {
  EXPECT_EQ(sentence_count("One day it rained. \"Stop!\" he cried."), 3);
  EXPECT_EQ(sentence_count("It cost 3.50 at dawn... Then it ended."), 2);
  EXPECT_EQ(sentence_count("She said \u201cgo.\u201d Then left"), 2);
  EXPECT_EQ(sentence_count(" . "), 0);
}

TEST(Wording, ReadabilityOfAHandMadeSet) {
  const Readability r = readability({{"a b c d a b c d", true}, {"a b.", false}});
  EXPECT_EQ(r.answers, 2);
  EXPECT_DOUBLE_EQ(r.ended, 0.5);
  EXPECT_DOUBLE_EQ(r.mean_words, 5);
  EXPECT_DOUBLE_EQ(r.mean_sentences, 1);
  EXPECT_DOUBLE_EQ(r.distinct_2, 4.0 / 8);       // ab bc cd da; 7 pairs and 1
  EXPECT_DOUBLE_EQ(r.repeated_4grams, 1.0 / 5);  // "a b c d" again
}

}  // namespace
}  // namespace retort::evaluate
