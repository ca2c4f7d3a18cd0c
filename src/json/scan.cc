#include "json/scan.h"

#include <simdjson.h>

#include <cstring>

#include "json/bytes_internal.h"

namespace retort::json {
namespace {

const char* skip_plain(const char* at, const char* end) {
  return find_special(at, end, [](uint64_t) { return uint64_t{0}; });
}

char short_escape(char letter) {
  switch (letter) {
    case '"':
    case '\\':
      return letter;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
  }
}

int small_hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The control behind “\u00xy”, where canonical() writes it so; -1 for everything else.
int long_escape(std::string_view after_u) {
  if (after_u.size() < 4 || !after_u.starts_with("00")) return -1;
  const int high = small_hex(after_u[2]);
  const int low = small_hex(after_u[3]);
  if (high < 0 || high > 1 || low < 0) return -1;
  const int code = high * 16 + low;
  const bool has_short = (code >= '\b' && code <= '\n') || code == '\f' || code == '\r';
  return has_short ? -1 : code;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

bool is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string ScannedString::text() const {
  std::string out;
  text_to(out);
  return out;
}

void ScannedString::text_to(std::string& out) const {
  out.clear();
  if (!has_escapes) {
    out = inside;
    return;
  }
  for (size_t i = 0; i < inside.size();) {
    const size_t plain = std::min(inside.find('\\', i), inside.size());
    out.append(inside, i, plain - i);
    if (plain == inside.size()) return;
    const char letter = inside[plain + 1];
    const bool is_long = letter == 'u';
    out +=
        is_long ? static_cast<char>(long_escape(inside.substr(plain + 2))) : short_escape(letter);
    i = plain + (is_long ? 6 : 2);
  }
}

bool Scanner::string(ScannedString& out) {
  if (at_ == end_ || *at_ != '"') return false;
  const char* const first = at_ + 1;
  out.has_escapes = false;
  for (const char* at = first;;) {
    at = skip_plain(at, end_);
    if (at == end_) return false;
    if (*at == '"') {
      out.inside = {first, static_cast<size_t>(at - first)};
      at_ = at + 1;
      return true;
    }
    if (*at != '\\' || end_ - at < 2) return false;
    out.has_escapes = true;
    if (short_escape(at[1]) != 0) {
      at += 2;
    } else if (at[1] == 'u' && long_escape({at + 2, static_cast<size_t>(end_ - at - 2)}) >= 0) {
      at += 6;
    } else {
      return false;
    }
  }
}

bool Scanner::integer(int64_t& out) {
  constexpr int kMostDigits = 18;
  const char* at = at_;
  const bool negative = at != end_ && *at == '-';
  if (negative) ++at;
  const char* const first = at;
  int64_t value = 0;
  for (; at != end_ && is_digit(*at) && at - first < kMostDigits; ++at) {
    value = value * 10 + (*at - '0');
  }
  const auto digits = at - first;
  if (digits == 0 || (at != end_ && is_digit(*at))) return false;
  if (*first == '0' && (digits > 1 || negative)) return false;
  // It would be a number of another kind.
  if (at != end_ && (*at == '.' || *at == 'e' || *at == 'E')) return false;
  out = negative ? -value : value;
  at_ = at;
  return true;
}

bool Scanner::number(std::string_view& out) {
  const char* at = at_;
  while (at != end_ && (is_digit(*at) || std::strchr("+-.eE", *at) != nullptr) && *at != '\0') ++at;
  if (at == at_) return false;
  out = {at_, static_cast<size_t>(at - at_)};
  at_ = at;
  return true;
}

}  // namespace retort::json
