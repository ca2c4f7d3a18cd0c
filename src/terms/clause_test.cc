#include "terms/clause.h"

#include <gtest/gtest.h>

namespace retort::terms {
namespace {

TEST(ClauseTest, LayoutLinksAndQuotationMarksDoNotCount) {
  const std::string plain = "(e) do not use Output to develop models that compete";
  for (const char* other : {"* (e) do not use **Output** to develop\n   models that compete",
                            "\\(e\\) do not use [Output](https://x.example/a(b)?session=7) to "
                            "develop models that compete.",
                            "(e) do not use “Output” to develop\xc2\xa0models that compete",
                            "(e) Do not use "
                            "_Output_ to develop models — that compete"}) {
    EXPECT_EQ(clause_sha256(other), clause_sha256(plain)) << normalised_clause(other);
  }
  EXPECT_EQ(normalised_clause(plain), "e do not use output to develop models that compete");
}

TEST(ClauseTest, EveryWordAndNumberCounts) {
  const std::string plain = "(e) do not use Output to develop models that compete";
  for (const char* other : {"(e) do not use Output to develop models that directly compete",
                            "(f) do not use Output to develop models that compete",
                            "(e) do not use Outputs to develop models that compete"}) {
    EXPECT_NE(clause_sha256(other), clause_sha256(plain));
  }
  EXPECT_EQ(normalised_clause("Größe 模型"), "größe 模型");
  EXPECT_NE(clause_sha256("模型"), clause_sha256("数据"));
}

TEST(ClauseTest, OddTextsEnd) {
  EXPECT_EQ(normalised_clause(""), "");
  EXPECT_EQ(normalised_clause(" ]( "), "");
  EXPECT_EQ(normalised_clause("[a](b"), "a b");
  EXPECT_EQ(normalised_clause("a\xe2"), "a");
  EXPECT_EQ(normalised_clause("\xf0\x9f"), "\xf0\x9f");
}

}  // namespace
}  // namespace retort::terms
