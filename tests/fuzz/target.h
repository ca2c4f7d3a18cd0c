// What every target shares: libFuzzer's entry, and a way to the parsers that read files only.
#pragma once
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

// Either libFuzzer or replay_main.cc calls this.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace retort::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A file with these bytes, in a folder of this process.
inline std::string file_with(const char* name, std::string_view bytes) {
  const std::string path = "/tmp/retort-fuzz-" + std::to_string(getpid()) + "-" + name;
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

}  // namespace retort::fuzz
