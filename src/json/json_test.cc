#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "json/append.h"
#include "json/value.h"

namespace retort::json {
namespace {

TEST(JsonTest, RoundTripsEveryKindAndKeepsKeyOrder) {
  const std::string text =
      R"({"z":null,"a":[true,false,-3,2.5,"x\"\\\n\u0001é😀"],"m":{"n":{}},"e":[]})";
  const auto value = parse(text);
  ASSERT_TRUE(value.ok()) << value.error().text();
  EXPECT_EQ(dump(*value), text);
  EXPECT_EQ(*parse(dump(*value, 2)), *value);
  EXPECT_EQ(value->find("a")->as_array()[2].as_int(), -3);
}

TEST(JsonTest, RefusesWhatIsNotJson) {
  const char* wrong[] = {
      "",    "{",       "[1,]",     "{\"a\":1,}",        "nul",      "01",  "+1", "NaN", "1 2",
      "'a'", "\"\\x\"", "\"\xff\"", "{\"a\":1,\"a\":2}", "\"a\nb\"", "\x00"};
  for (const char* text : wrong) EXPECT_FALSE(parse(text).ok()) << text;
  EXPECT_NE(parse("{", "a.json").error().where.find("a.json"), std::string::npos);
}

TEST(JsonTest, DepthAndSizeAreBounded) {
  const std::string deep(100'000, '[');
  EXPECT_FALSE(parse(deep + std::string(100'000, ']')).ok());
  EXPECT_TRUE(parse(std::string(60, '[') + std::string(60, ']')).ok());
  EXPECT_FALSE(parse(std::string(70, '[') + std::string(70, ']')).ok());
  EXPECT_FALSE(parse("[1,2,3]", "", {.size_bytes = 3}).ok());
}

TEST(JsonTest, ManyKeysWithADuplicateAreFound) {
  std::string text = "{";
  for (int i = 0; i < 1000; ++i) text += "\"k" + std::to_string(i) + "\":1,";
  EXPECT_TRUE(parse(text + "\"last\":1}").ok());
  EXPECT_FALSE(parse(text + "\"k500\":1}").ok());
}

TEST(JsonTest, TypedMembersNameTheKey) {
  const auto value = *parse(R"({"n":3,"s":"x","null":null})");
  EXPECT_EQ(*value.int_at("n"), 3);
  EXPECT_EQ(*value.number_at("n"), 3.0);
  EXPECT_EQ(*value.string_at("none", "d"), "d");
  EXPECT_EQ(*value.int_at("null", 7), 7);
  EXPECT_NE(value.string_at("n").error().message.find("\"n\""), std::string::npos);
  EXPECT_FALSE(value.string_at("n", "d").ok());
  EXPECT_FALSE(value.int_at("none").ok());
}

TEST(JsonTest, DoublesReadBackEqualAndStayDoubles) {
  for (const double number : {0.1, 1e300, -2.0, 5e-324, 1.0 / 3, 123456789.125}) {
    const auto back = parse(dump(Value(number)));
    ASSERT_TRUE(back.ok());
    EXPECT_FALSE(back->is_int()) << dump(Value(number));
    EXPECT_EQ(back->as_number(), number);
  }
  EXPECT_EQ(dump(Value(std::numeric_limits<double>::quiet_NaN())), "null");
}

// The number and sorting examples of RFC 8785, sections 3.2.2.3 and 3.2.3.
TEST(JsonTest, WholeNumbersBeyondInt64AreDoubles) {
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "100000000000000000000",
                           "-19000107917107913000", "18446744073709551616"}) {
    const auto value = parse(text);
    ASSERT_TRUE(value.ok()) << text;
    ASSERT_TRUE(value->is_number() && !value->is_int()) << text;
    EXPECT_EQ(value->as_number(), std::strtod(text, nullptr));
    EXPECT_EQ(*parse(canonical(*value)), *value) << text;
  }
  const std::string mixed =
      R"({"100000000000000000000":["\"100000000000000000000,",-9223372036854775808,)"
      R"(9223372036854775807,1e-07,0.1000000000000000000001,100000000000000000000]})";
  const auto value = parse(mixed);
  ASSERT_TRUE(value.ok());
  const auto& items = value->find("100000000000000000000")->as_array();
  EXPECT_EQ(items[0].as_string(), "\"100000000000000000000,");
  EXPECT_EQ(items[1].as_int(), INT64_MIN);
  EXPECT_EQ(items[2].as_int(), INT64_MAX);
  EXPECT_EQ(items[5].as_number(), 1e20);
  for (const auto& text : {std::string(400, '9'), std::string("0100000000000000000000"),
                           std::string("[100000000000000000000,-]")}) {
    EXPECT_FALSE(parse(text)) << text;
  }
}

TEST(JsonTest, CanonicalFormFollowsRfc8785) {
  const auto value = *parse(
      R"({"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],)"
      R"("string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]})");
  EXPECT_EQ(canonical(value),
            R"({"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],)"
            "\"string\":\"\u20ac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  const auto keys =
      *parse(R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7})");
  EXPECT_EQ(canonical(keys),
            "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"\u00f6\":7,\"\u20ac\":1,\"\U0001F600\":5,"
            "\"\ufb33\":3}");
}

// What needs care is found wherever it stands in a text that is read eight bytes at a time.
TEST(JsonTest, QuotesAtEveryPlace) {
  const std::pair<std::string, std::string> cases[] = {
      {"\"", "\\\""},     {"\\", "\\\\"},
      {"\n", "\\n"},      {"\x1f", "\\u001f"},
      {"\x7f", "\x7f"},   {"\u00e9", "\u00e9"},
      {"\x80", "\uFFFD"}, {std::string(1, '\0'), "\\u0000"}};
  for (const auto& [text, quoted] : cases) {
    for (size_t before = 0; before < 20; ++before) {
      for (size_t after = 0; after < 20; ++after) {
        std::string out = "x";
        append_quoted(out, std::string(before, 'a') + text + std::string(after, 'b') + text);
        ASSERT_EQ(out, "x\"" + std::string(before, 'a') + quoted + std::string(after, 'b') +
                           quoted + "\"")
            << before << " " << after;
      }
    }
  }
}

TEST(JsonTest, AppendsWhatItPrints) {
  const auto value = *parse(R"({"a":[],"b":{},"c":[{"d":{"e":[1,2.5,null]}},"{"],"f":true})");
  std::string out = "{";
  append_dump(out, value);
  EXPECT_EQ(out, "{" + dump(value));
  EXPECT_EQ(dump(value), R"({"a":[],"b":{},"c":[{"d":{"e":[1,2.5,null]}},"{"],"f":true})");
}

TEST(JsonTest, InvalidUtf8IsReplacedWhenPrinted) {
  EXPECT_EQ(dump(Value(std::string("a\xff"
                                   "b\xed\xa0\x80"))),
            "\"a\uFFFDb\uFFFD\uFFFD\uFFFD\"");
}

TEST(TomlTest, ReadsTablesListsAndDatesInFileOrder) {
  const auto value = parse_toml(
      "out = \"runs/x\"\n[train]\nlr = 1e-3\nepochs = 6\nformats = [\"a\", \"b\"]\n"
      "[collect]\nwords.noun = \"n.txt\"\n[time]\neffective = 2026-08-14\n[[rule]]\nx = 1\n");
  ASSERT_TRUE(value.ok()) << value.error().text();
  EXPECT_EQ(value->as_object()[1].first, "train");
  EXPECT_EQ(value->find("train")->find("epochs")->as_int(), 6);
  EXPECT_EQ(value->find("collect")->find("words")->find("noun")->as_string(), "n.txt");
  EXPECT_EQ(value->find("time")->find("effective")->as_string(), "2026-08-14");
  EXPECT_EQ(value->find("rule")->as_array().size(), 1U);
}

TEST(TomlTest, ErrorsNameLineAndColumn) {
  const auto failed = parse_toml("a = 1\nb = = 2\n", "run.toml");
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().where.find("run.toml:2:"), std::string::npos) << failed.error().text();
  EXPECT_FALSE(parse_toml("a = 1\na = 2\n").ok());
}

}  // namespace
}  // namespace retort::json
