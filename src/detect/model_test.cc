#include "detect/model.h"

#include <gtest/gtest.h>

#include "detect/testing_internal.h"
#include "json/value.h"

namespace retort::detect {
namespace {

using testing::ask;
using testing::simple_model;

TEST(Model, TheRestOfAScoreIsWithoutTheFamilyThatWeighsMost) {
  Judge judge;
  judge.bias = -1;
  judge.trees = {ask(Feature::filled_template, 0.5f, -4, 4), ask(Feature::templated, 0.5f, -1, 1),
                 ask(Feature::pace, 0.5f, -3, 3), ask(Feature::one_shot, 0.5f, -2, 2)};
  Features values{};
  EXPECT_FLOAT_EQ(score_of(judge, values).total, -11);
  EXPECT_FLOAT_EQ(score_of(judge, values).rest, -11);  // no family speaks for a harvest
  at(values, Feature::pace) = 1;
  EXPECT_FLOAT_EQ(score_of(judge, values).rest, -1 - 5 - 2);
  at(values, Feature::filled_template) = at(values, Feature::templated) = 1;
  EXPECT_FLOAT_EQ(score_of(judge, values).total, 5);
  EXPECT_FLOAT_EQ(score_of(judge, values).rest, -1 + 3 - 2);
  EXPECT_FLOAT_EQ(score_of(judge, values).total, total_score(judge, values));
}

TEST(Model, GoesThroughJsonAndBadOnesAreRefused) {
  const std::string text = json::dump(to_json(simple_model()));
  const auto back = model_from_json(*json::parse(text));
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(json::dump(to_json(*back)), text);
  const auto changed = [&](const std::string& what, const std::string& by) {
    std::string other = text;
    const size_t place = other.find(what);
    EXPECT_NE(place, std::string::npos);
    other.replace(place, what.size(), by);
    const auto value = json::parse(other);
    return value.ok() && model_from_json(*value).ok();
  };
  EXPECT_FALSE(changed("detect.model/1", "detect.model/9"));
  EXPECT_FALSE(changed("\"trees\":[[6", "\"trees\":[[99"));
  EXPECT_FALSE(changed("\"trees\":[[6,", "\"trees\":[["));
  EXPECT_FALSE(changed("\"usual\":[", "\"usual\":[1,"));
}

}  // namespace
}  // namespace retort::detect
