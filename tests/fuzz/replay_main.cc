// Runs a target over the files of its corpus, so that any compiler replays what fuzzing found.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "target.h"

int main(int argc, char** argv) {
  int seen = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      // Of the exact size, so that a sanitizer sees a read behind the end.
      const std::unique_ptr<uint8_t[]> copy(new uint8_t[bytes.size()]);
      std::copy(bytes.begin(), bytes.end(), copy.get());
      std::printf("%s\n", entry.path().filename().c_str());
      std::fflush(stdout);
      LLVMFuzzerTestOneInput(copy.get(), bytes.size());
      ++seen;
    }
  }
  std::printf("%d inputs\n", seen);
  return seen > 0 ? 0 : 1;
}
