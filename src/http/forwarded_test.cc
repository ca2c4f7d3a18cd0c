#include "http/forwarded_internal.h"

#include <gtest/gtest.h>

namespace retort::http {
namespace {

std::string asking(const std::string& peer, const Headers& headers,
                   const std::vector<std::string>& proxies = {"127.0.0.1", "10.0.0.0/8"}) {
  std::vector<base::AddressBlock> blocks;
  for (const auto& text : proxies) blocks.push_back(*base::parse_address_block(text));
  return asking_address(blocks, peer, headers);
}

TEST(ForwardedTest, AProxyIsBelievedAndNobodyElse) {
  const Headers headers = {{"x-forwarded-for", "203.0.113.7"}};
  EXPECT_EQ(asking("127.0.0.1", headers), "203.0.113.7");
  EXPECT_EQ(asking("::ffff:127.0.0.1", headers), "203.0.113.7") << "a dual-stack socket";
  EXPECT_EQ(asking("198.51.100.1", headers), "198.51.100.1");
  EXPECT_EQ(asking("127.0.0.1", headers, {}), "127.0.0.1");
  EXPECT_EQ(asking("127.0.0.1", {}), "127.0.0.1");
}

TEST(ForwardedTest, WhatAClientWroteItselfIsNotRead) {
  EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", "1.1.1.1, 203.0.113.7"}}), "203.0.113.7");
  EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", "1.1.1.1, 203.0.113.7, 10.2.3.4"}}),
            "203.0.113.7")
      << "two proxies";
  EXPECT_EQ(asking("127.0.0.1",
                   {{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-For", "2.2.2.2 ,203.0.113.7"}}),
            "203.0.113.7")
      << "two headers";
  EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-For", "10.0.0.9"}}),
            "1.1.1.1");
}

TEST(ForwardedTest, WhatIsNoAddressEndsTheReading) {
  EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", "1.1.1.1, unknown, 10.0.0.9"}}), "10.0.0.9");
  for (const char* text :
       {"", ",", " ", "unknown", "1.2.3", "[", "[]", "[::1", "1.2.3.4.5:1", ":"}) {
    EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", text}}),
              std::string(text) == "[::1" ? "::1" : "127.0.0.1")
        << text;
  }
}

TEST(ForwardedTest, PortsAreLeftOut) {
  EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", "203.0.113.7:4711"}}), "203.0.113.7");
  EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", "[2001:db8::1]:4711"}}), "2001:db8::1");
  EXPECT_EQ(asking("127.0.0.1", {{"X-Forwarded-For", "2001:db8::1"}}), "2001:db8::1");
}

}  // namespace
}  // namespace retort::http
