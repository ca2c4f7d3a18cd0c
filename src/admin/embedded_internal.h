// The console's files as the build compiles them in (embed.cmake).
#pragma once
#include <span>
#include <string_view>

namespace retort::admin {

struct EmbeddedFile {
  std::string_view name, text;
};
extern const std::span<const EmbeddedFile> kConsole;

}  // namespace retort::admin
