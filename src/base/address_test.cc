#include "base/address.h"

#include <gtest/gtest.h>

namespace retort::base {
namespace {

TEST(AddressTest, OfIPv6ACustomerIsItsNetwork) {
  EXPECT_EQ(customer_of("2001:db8:1:2::1"), "2001:db8:1:2::/64");
  EXPECT_EQ(customer_of("2001:db8:1:2:ffff:eeee:dddd:cccc"), "2001:db8:1:2::/64");
  EXPECT_NE(customer_of("2001:db8:1:3::1"), customer_of("2001:db8:1:2::1"));
}

TEST(AddressTest, OfIPv4AnAddressIsACustomerHoweverItIsWritten) {
  EXPECT_EQ(customer_of("203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(customer_of("::ffff:203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(customer_of("::ffff:cb00:7107"), "203.0.113.7");
  EXPECT_NE(customer_of("::ffff:203.0.113.8"), customer_of("203.0.113.7"));
}

TEST(AddressTest, WhatIsNoAddressIsACustomerOfItsOwn) {
  EXPECT_EQ(customer_of(""), "");
  EXPECT_EQ(customer_of("elsewhere"), "elsewhere");
}

TEST(AddressTest, BlocksHoldWhatBeginsLikeThem) {
  const auto holds = [](const char* block, const char* address) {
    return parse_address_block(block)->holds(*parse_address(address));
  };
  EXPECT_TRUE(holds("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(holds("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(holds("10.0.0.0/8", "::ffff:10.1.2.3")) << "the same client over another socket";
  EXPECT_TRUE(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
  EXPECT_TRUE(holds("2001:db8:1:2::/64", "2001:db8:1:2:ffff::9"));
  EXPECT_FALSE(holds("2001:db8:1:2::/64", "2001:db8:1:3::9"));
  EXPECT_TRUE(holds("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(holds("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(holds("203.0.113.7", "203.0.113.7"));
  EXPECT_FALSE(holds("203.0.113.7", "203.0.113.6"));
  EXPECT_TRUE(holds("0.0.0.0/0", "203.0.113.7"));
  EXPECT_FALSE(holds("0.0.0.0/0", "2001:db8::1")) << "all of IPv4 is not all";
  EXPECT_TRUE(holds("::/0", "203.0.113.7"));
}

TEST(AddressTest, WhatIsNoBlockIsNone) {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "10.0.0/8",
                           "2001:db8::/129", "host/8", "/8", "10.0.0.0 /8"}) {
    EXPECT_FALSE(parse_address_block(text)) << text;
  }
}

}  // namespace
}  // namespace retort::base
