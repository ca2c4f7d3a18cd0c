#include <gtest/gtest.h>

#include "dialog/message.h"

namespace retort::dialog {
namespace {

TEST(DialogTest, RolesReadBackFromTheirNames) {
  for (const Role role : {Role::system, Role::user, Role::assistant}) {
    EXPECT_EQ(parse_role(name(role)), role);
  }
  EXPECT_FALSE(parse_role("tool").has_value());
  EXPECT_FALSE(parse_role("User").has_value());
}

}  // namespace
}  // namespace retort::dialog
