// Markup that cannot be injected into: text becomes Html only by escaping, and markup() escapes
// every string it is given.
#pragma once
#include <fmt/core.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "json/value.h"

namespace retort::report {

struct Html {
  std::string text;
  Html& operator+=(const Html& other) {
    text += other.text;
    return *this;
  }
  friend Html operator+(Html a, const Html& b) { return a += b; }
};

// Valid UTF-8 without characters that act on a terminal or turn the reading direction: control
// bytes, bidirectional overrides and invalid sequences become U+FFFD; newline and tab stay.
std::string printable(std::string_view text);
// printable(), and safe between tags and inside quoted attributes.
std::string escape(std::string_view text);
// JSON for a <script type="application/json">: no '<', '>' or '&' is left in it.
Html script_json(const json::Value& value);

inline std::string piece(const Html& html) {
  return html.text;
}
inline std::string piece(std::string_view text) {
  return escape(text);
}
inline std::string piece(int64_t number) {
  return std::to_string(number);
}
// Percentages and the like, for style attributes.
inline std::string piece(double number) {
  return fmt::format("{:.2f}", number);
}

template <class T>
using Piece = std::conditional_t<true, std::string, T>;

// markup("<td>{}</td>", text): Html pieces are taken as they are, all else is escaped.
template <class... Args>
Html markup(fmt::format_string<Piece<Args>...> pattern, const Args&... args) {
  return Html{fmt::format(pattern, piece(args)...)};
}

}  // namespace retort::report
