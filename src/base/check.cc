#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace retort::base {

void check_failed(const char* condition, const char* file, int line, const std::string& detail) {
  std::fprintf(stderr, "retort: internal error: check failed at %s:%d: %s %s\n", file, line,
               condition, detail.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace retort::base
