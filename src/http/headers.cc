#include "http/headers.h"

#include <strings.h>

#include <algorithm>

#include "http/bytes_internal.h"

namespace retort::http {

bool is_same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_field_value(std::string_view text) {
  const bool plain = !any_below(text, 0x20) && text.find('\x7f') == std::string_view::npos;
  return plain || std::all_of(text.begin(), text.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
         });
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
