#include "json/scan.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "json/value.h"

namespace retort::json {
namespace {

bool takes_string(std::string_view text, ScannedString* out = nullptr) {
  ScannedString found;
  Scanner scanner(text);
  const bool taken = scanner.string(found) && scanner.at_end();
  if (out != nullptr) *out = found;
  return taken;
}

TEST(ScanTest, TakesEveryStringThatCanonicalPrints) {
  base::Random random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const auto length = random.below(40);
    for (uint64_t i = 0; i < length; ++i) {
      const auto kind = random.below(8);
      if (kind == 0) text += static_cast<char>(random.below(0x20));
      if (kind == 1) text += random.below(2) == 0 ? '"' : '\\';
      if (kind == 2) text += "é";
      if (kind == 3) text += "😀\x7f/";
      if (kind > 3) text += static_cast<char>('a' + random.below(26));
    }
    const std::string printed = canonical(Value(text));
    ScannedString found;
    ASSERT_TRUE(takes_string(printed, &found)) << printed;
    EXPECT_EQ(found.text(), text);
    EXPECT_EQ('"' + std::string(found.inside) + '"', printed);
    EXPECT_EQ(found.has_escapes, printed.find('\\') != std::string::npos);
  }
}

TEST(ScanTest, TakesNoOtherSpelling) {
  for (const char* text :
       {R"("\u0041")", R"("\/")", R"("\u000A")", R"("\u000a")", R"("\u0008")", R"("\u001G")",
        R"("\u001F")", R"("\u00e9")", R"("\ud83d\ude00")", R"("\x")", R"("\)", R"("\u00)",
        "\"a\nb\"", "\"a", "a\"", "", "\"12345678\x1f\"", R"("a"b)"}) {
    EXPECT_FALSE(takes_string(text)) << text;
  }
}

TEST(ScanTest, WholeNumbersAreThoseThatArePrinted) {
  for (const int64_t value :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{907}, int64_t{999'999'999'999'999'999},
        -int64_t{999'999'999'999'999'999}}) {
    const std::string text = std::to_string(value);
    Scanner scanner(text);
    int64_t found = 5;
    EXPECT_TRUE(scanner.integer(found));
    EXPECT_EQ(found, value);
    EXPECT_TRUE(scanner.at_end());
  }
  for (const char* text : {"", "-", "-0", "01", "1.0", "1e3", "1E3", "+1", "1000000000000000000",
                           "9999999999999999999", "-99999999999999999999", "a"}) {
    int64_t found = 0;
    EXPECT_FALSE(Scanner(text).integer(found)) << text;
  }
}

TEST(ScanTest, LiteralsAndNumbersFollowEachOther) {
  Scanner scanner(R"({"a":-1.5e3,"b":2})");
  std::string_view number;
  int64_t two = 0;
  EXPECT_FALSE(scanner.literal("{\"b\""));
  EXPECT_TRUE(scanner.literal("{\"a\":"));
  EXPECT_TRUE(scanner.number(number));
  EXPECT_EQ(number, "-1.5e3");
  EXPECT_FALSE(scanner.number(number));
  EXPECT_TRUE(scanner.literal(",\"b\":") && scanner.integer(two) && scanner.literal("}"));
  EXPECT_EQ(two, 2);
  EXPECT_TRUE(scanner.at_end());
  EXPECT_FALSE(scanner.literal("x"));
}

TEST(ScanTest, Utf8IsChecked) {
  EXPECT_TRUE(is_utf8("é😀"));
  EXPECT_FALSE(is_utf8("\xff"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
}

}  // namespace
}  // namespace retort::json
