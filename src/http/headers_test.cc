#include "http/headers.h"

#include <gtest/gtest.h>

namespace retort::http {
namespace {

const Headers kHeaders = {{"Accept", "a"}, {"ACCEPT", "b"}, {"Host", "h"}, {"Empty", ""}};

TEST(HeadersTest, NamesAreFoundInAnyCase) {
  const auto value = [](std::string_view name) {
    const std::string* found = find_header(kHeaders, name);
    return found != nullptr ? *found : "missing";
  };
  EXPECT_EQ(value("accept"), "a");
  EXPECT_EQ(value("hOST"), "h");
  EXPECT_EQ(find_header(kHeaders, "Hos"), nullptr);
  EXPECT_EQ(find_header(kHeaders, "Hosts"), nullptr);
}

TEST(HeadersTest, WhatStandsTwiceIsNotTheOneValue) {
  EXPECT_EQ(only_header(kHeaders, "host"), "h");
  EXPECT_EQ(only_header(kHeaders, "empty"), "");
  EXPECT_EQ(only_header(kHeaders, "missing"), "");
  EXPECT_EQ(only_header(kHeaders, "accept"), std::nullopt);
  EXPECT_EQ(only_header({{"A", ""}, {"a", "key"}}, "a"), std::nullopt) << "an empty one counts";
}

TEST(HeadersTest, ABearerIsNoOtherScheme) {
  EXPECT_EQ(bearer_of("Bearer key"), "key");
  EXPECT_EQ(bearer_of("bEARER  key"), " key");
  EXPECT_EQ(bearer_of("Bearer "), "");
  for (const char* other : {"", "Bearer", "Basic key", "Bearerkey", "key"}) {
    EXPECT_EQ(bearer_of(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace retort::http
