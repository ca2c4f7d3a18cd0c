#include "accounts/key.h"

#include <gtest/gtest.h>

#include <set>

#include "accounts/account.h"
#include "base/address.h"

namespace retort::accounts {
namespace {

TEST(KeyTest, HasItsShape) {
  const auto key = make_key(KeyKind::api);
  EXPECT_EQ(key.size(), 7 + 32 + 6U);
  EXPECT_TRUE(key.starts_with("rt_api_")) << key;
  EXPECT_EQ(parse_key(key), KeyKind::api);
  EXPECT_EQ(parse_key(make_key(KeyKind::admin)), KeyKind::admin);
}

TEST(KeyTest, AnyOneWrongLetterIsNoticed) {
  const auto key = make_key(KeyKind::api);
  for (size_t i = 0; i < key.size(); ++i) {
    for (const char letter : {'0', 'z', '!', 'A'}) {
      auto other = key;
      if (other[i] == letter) continue;
      other[i] = letter;
      EXPECT_FALSE(parse_key(other)) << other;
    }
  }
  EXPECT_FALSE(parse_key(""));
  EXPECT_FALSE(parse_key("rt_api_"));
  EXPECT_FALSE(parse_key(key + "0"));
  EXPECT_FALSE(parse_key(key.substr(1)));
}

TEST(KeyTest, TwoAreNeverAlike) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(seen.insert(make_key(KeyKind::api)).second);
    EXPECT_TRUE(seen.insert(make_id("key_")).second);
  }
}

TEST(AddressTest, BlocksHoldTheirAddresses) {
  EXPECT_TRUE(address_allowed({}, "203.0.113.7"));
  EXPECT_TRUE(address_allowed({"203.0.113.7"}, "203.0.113.7"));
  EXPECT_FALSE(address_allowed({"203.0.113.7"}, "203.0.113.8"));
  EXPECT_TRUE(address_allowed({"10.0.0.0/8"}, "10.255.0.1"));
  EXPECT_FALSE(address_allowed({"10.0.0.0/8"}, "11.0.0.1"));
  EXPECT_TRUE(address_allowed({"10.1.2.128/25"}, "10.1.2.200"));
  EXPECT_FALSE(address_allowed({"10.1.2.128/25"}, "10.1.2.100"));
  EXPECT_TRUE(address_allowed({"2001:db8::/32"}, "2001:db8:1::1"));
  EXPECT_FALSE(address_allowed({"2001:db8::/32"}, "2001:db9::1"));
  EXPECT_TRUE(address_allowed({"10.0.0.0/8"}, "::ffff:10.0.0.1")) << "a dual-stack socket";
  EXPECT_FALSE(address_allowed({"10.0.0.0/8"}, "somewhere"));
  EXPECT_FALSE(base::bad_address({"10.0.0.0/8", "::/0", "1.2.3.4"}));
  for (const char* bad : {"10.0.0.0/33", "10.0.0", "::/129", "x", "10.0.0.0/", "10.0.0.0/8x"}) {
    EXPECT_EQ(base::bad_address({"1.2.3.4", bad}), bad);
  }
}

}  // namespace
}  // namespace retort::accounts
