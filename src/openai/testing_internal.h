// What the room's tests share: requests of real clients as they came.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "base/files.h"

namespace retort::openai::testing {

inline std::string recorded_body(const std::string& name) {
  const auto bytes =
      base::read_file(std::string(RETORT_SOURCE_DIR) + "/tests/golden/openai/" + name + ".http");
  EXPECT_TRUE(bytes.ok()) << name;
  return bytes->substr(bytes->find("\r\n\r\n") + 4);
}

}  // namespace retort::openai::testing
