#include "tokenizer/match.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

std::shared_ptr<const Tokenizer> made(Vocabulary vocabulary,
                                      const std::vector<std::string>& special = {}) {
  vocabulary.special.resize(vocabulary.tokens.size());
  for (const auto& token : special) {
    vocabulary.tokens.push_back(token);
    vocabulary.special.push_back(true);
  }
  auto tokenizer = Tokenizer::create(std::move(vocabulary));
  EXPECT_TRUE(tokenizer);
  return *tokenizer;
}

TEST(Match, EqualVocabulariesMatchOneToOne) {
  const auto tokenizer = vocabulary_for("");
  const auto ids = match(*tokenizer, *tokenizer);
  ASSERT_TRUE(ids);
  for (TokenId id = 0; id < tokenizer->size(); ++id) EXPECT_EQ((*ids)[id], id);
}

TEST(Match, APartIsFoundWhereverItsTokensStand) {
  const auto whole = made(byte_vocabulary({{"t", "h"}, {"th", "e"}, {"i", "n"}}), {"<a>", "<b>"});
  const auto part = made(byte_vocabulary({{"i", "n"}}), {"<b>"});
  const auto ids = match(*part, *whole);
  ASSERT_TRUE(ids) << ids.error().text();
  EXPECT_EQ((*ids)[256], 258);
  EXPECT_EQ((*ids)[257], 260);
}

TEST(Match, WhatIsMissingIsCountedAndNamed) {
  const auto whole = made(byte_vocabulary({{"t", "h"}}), {"<a>"});
  const auto part = made(byte_vocabulary({{"i", "n"}, {"t", "h"}}), {"<b>"});
  const auto ids = match(*part, *whole);
  ASSERT_FALSE(ids);
  EXPECT_NE(ids.error().text().find("2 of 259"), std::string::npos) << ids.error().text();
  EXPECT_NE(ids.error().text().find("\"in\""), std::string::npos);
}

TEST(Match, ASpecialTokenIsNoText) {
  const auto whole = made(byte_vocabulary({{"<", "a"}, {"<a", ">"}}));
  const auto part = made(byte_vocabulary(), {"<a>"});
  EXPECT_FALSE(match(*part, *whole));
}

}  // namespace
}  // namespace retort::tokenizer
