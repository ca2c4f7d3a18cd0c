#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "json/append.h"
#include "json/bytes_internal.h"
#include "json/value.h"

namespace retort::json {
namespace {

// Length of the valid UTF-8 sequence at `at`, or 0 (RFC 3629: no overlong forms, no surrogates).
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto continues = [&](size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!continues(1) || !continues(2)) return 0;
    if (lead == 0xe0 && byte(1) < 0xa0) return 0;
    if (lead == 0xed && byte(1) > 0x9f) return 0;
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (lead == 0xf0 && byte(1) < 0x90) return 0;
    if (lead == 0xf4 && byte(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
  }
}

// ECMAScript's Number::toString, which RFC 8785 asks for: the shortest digits, laid out by size.
std::string ecmascript_number(double value) {
  if (value == 0) return "0";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(value),
                                 std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
  const size_t mark = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, mark)) {
    if (c != '.') digits += c;
  }
  const int point = std::atoi(std::string(text.substr(mark + 1)).c_str()) + 1;
  const int count = static_cast<int>(digits.size());
  const std::string sign = value < 0 ? "-" : "";
  if (count <= point && point <= 21) {
    return sign + digits + std::string(static_cast<size_t>(point - count), '0');
  }
  if (0 < point && point <= 21) {
    const auto split = static_cast<size_t>(point);
    return sign + digits.substr(0, split) + "." + digits.substr(split);
  }
  if (-6 < point && point <= 0) {
    return sign + "0." + std::string(static_cast<size_t>(-point), '0') + digits;
  }
  const std::string mantissa = count == 1 ? digits : digits.substr(0, 1) + "." + digits.substr(1);
  return fmt::format("{}{}e{}{}", sign, mantissa, point > 0 ? "+" : "-", std::abs(point - 1));
}

// Key order of RFC 8785: by UTF-16 code units, which differs from byte order above U+FFFF.
std::u16string to_utf16(std::string_view text) {
  std::u16string out;
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(utf8_length(text, i), 1);
    uint32_t point = static_cast<unsigned char>(text[i]);
    if (length == 2) point &= 0x1f;
    if (length == 3) point &= 0x0f;
    if (length == 4) point &= 0x07;
    for (size_t j = 1; j < length; ++j) {
      point = (point << 6) | (static_cast<unsigned char>(text[i + j]) & 0x3fU);
    }
    if (point >= 0x10000) {
      out += static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10));
      out += static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
      out += static_cast<char16_t>(point);
    }
    i += length;
  }
  return out;
}

bool comes_before(const std::string& a, const std::string& b) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  // Nearly all keys are ASCII, where both orders are the same.
  if (std::all_of(a.begin(), a.end(), is_ascii) && std::all_of(b.begin(), b.end(), is_ascii)) {
    return a < b;
  }
  return to_utf16(a) < to_utf16(b);
}

struct Style {
  int indent = 0;
  bool canonical = false;
};

void print(std::string& out, const Value& value, const Style& style, int depth);

void new_line(std::string& out, const Style& style, int depth) {
  if (style.indent == 0) return;
  out += '\n';
  out.append(static_cast<size_t>(style.indent) * static_cast<size_t>(depth), ' ');
}

void print_number(std::string& out, double value, const Style& style) {
  if (!std::isfinite(value)) {
    out += "null";
  } else if (style.canonical) {
    out += ecmascript_number(value);
  } else {
    std::string text = fmt::format("{}", value);
    // A whole double keeps its point, so that it reads back as the same kind of number.
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    out += text;
  }
}

void print_member(std::string& out, const Member& member, const Style& style, int depth) {
  if (out.back() != '{') out += ',';
  new_line(out, style, depth + 1);
  append_quoted(out, member.first);
  out += style.indent > 0 ? ": " : ":";
  print(out, member.second, style, depth + 1);
}

void print_object(std::string& out, const Object& members, const Style& style, int depth) {
  out += '{';
  if (style.canonical) {
    std::vector<const Member*> order;
    order.reserve(members.size());
    for (const auto& member : members) order.push_back(&member);
    std::sort(order.begin(), order.end(),
              [](const Member* a, const Member* b) { return comes_before(a->first, b->first); });
    for (const Member* member : order) print_member(out, *member, style, depth);
  } else {
    for (const auto& member : members) print_member(out, member, style, depth);
  }
  if (!members.empty()) new_line(out, style, depth);
  out += '}';
}

void print_array(std::string& out, const Array& items, const Style& style, int depth) {
  out += '[';
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    new_line(out, style, depth + 1);
    print(out, items[i], style, depth + 1);
  }
  if (!items.empty()) new_line(out, style, depth);
  out += ']';
}

void print(std::string& out, const Value& value, const Style& style, int depth) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    out += std::to_string(value.as_int());
  } else if (value.is_number()) {
    print_number(out, value.as_number(), style);
  } else if (value.is_string()) {
    append_quoted(out, value.as_string());
  } else if (value.is_array()) {
    print_array(out, value.as_array(), style, depth);
  } else {
    print_object(out, value.as_object(), style, depth);
  }
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  const char* const end = text.data() + text.size();
  for (size_t i = 0; i < text.size();) {
    const char* const at = text.data() + i;
    const char* const plain = find_special(at, end, [](uint64_t bytes) { return bytes & kHigh; });
    out.append(at, static_cast<size_t>(plain - at));
    i += static_cast<size_t>(plain - at);
    if (plain == end) break;
    if (static_cast<unsigned char>(*plain) < 0x80) {
      append_escaped(out, text[i++]);
    } else if (const size_t length = utf8_length(text, i); length > 0) {
      out.append(text, i, length);
      i += length;
    } else {
      out += "\xef\xbf\xbd";
      ++i;
    }
  }
  out += '"';
}

void append_dump(std::string& out, const Value& value) {
  print(out, value, Style{}, 0);
}

std::string dump(const Value& value, int indent) {
  std::string out;
  print(out, value, Style{.indent = indent}, 0);
  return out;
}

std::string canonical(const Value& value) {
  std::string out;
  print(out, value, Style{.canonical = true}, 0);
  return out;
}

}  // namespace retort::json
