// Checks for programmers' mistakes: always on, print the values and the place, then abort. Input
// from a file, a person or the network never reaches one; that is a Result (result.h).
#pragma once
#include <fmt/core.h>

#include <string>

namespace retort::base {

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& detail);

}  // namespace retort::base

// RETORT_CHECK(rows > 0);  RETORT_CHECK(rows > 0, "rows {}", rows);
#define RETORT_CHECK(condition, ...)                                                               \
  do {                                                                                             \
    if (!(condition)) [[unlikely]]                                                                 \
      ::retort::base::check_failed(#condition, __FILE__, __LINE__, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

#define RETORT_CHECK_EQ(a, b) RETORT_CHECK((a) == (b), "{} != {}", a, b)
