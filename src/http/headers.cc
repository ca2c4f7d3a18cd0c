#include "http/headers.h"

#include <strings.h>

namespace retort::http {

bool is_same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// To its end, whatever comes: so the compiler takes many bytes at once.
bool is_field_value(std::string_view text) {
  bool wrong = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    wrong |= (byte < 0x20 && byte != '\t') || byte == 0x7f;
  }
  return !wrong;
}

const std::string* find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (is_same_word(key, name)) return &value;
  }
  return nullptr;
}

std::optional<std::string_view> only_header(const Headers& headers, std::string_view name) {
  const std::string* found = nullptr;
  for (const auto& [key, value] : headers) {
    if (!is_same_word(key, name)) continue;
    if (found != nullptr) return std::nullopt;
    found = &value;
  }
  return found != nullptr ? std::string_view(*found) : std::string_view();
}

std::optional<std::string_view> bearer_of(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (!is_same_word(authorization.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  return authorization.substr(kScheme.size());
}

}  // namespace retort::http
