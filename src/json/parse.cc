#include <fmt/core.h>
#include <simdjson.h>

#include <limits>
#include <unordered_set>

#include "json/value.h"

namespace retort::json {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

// A few members are compared pairwise, many by a set: hostile objects stay linear.
bool has_duplicate_keys(const Object& members) {
  constexpr size_t kFew = 32;
  if (members.size() <= kFew) {
    for (size_t i = 0; i < members.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (members[i].first == members[j].first) return true;
      }
    }
    return false;
  }
  std::unordered_set<std::string_view> seen;
  for (const auto& member : members) {
    if (!seen.insert(member.first).second) return true;
  }
  return false;
}

constexpr size_t kKeptBytes = 64 << 10;

// More than the parser reads as a whole number; canonical() writes doubles that look so.
bool is_too_long(std::string_view digits, bool negative) {
  constexpr std::string_view kLeast = "9223372036854775808";
  return digits.size() > kLeast.size() ||
         (negative && digits.size() == kLeast.size() && digits > kLeast);
}

// The text with a point behind such numbers.
std::string with_points(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto at_or_blank = [text](size_t i) { return i < text.size() ? text[i] : ' '; };
  std::string out;
  bool in_string = false;
  for (size_t at = 0, end = 0; at < text.size(); at = end) {
    end = at + 1;
    if (in_string && text[at] == '\\') ++end;
    if (text[at] == '"') in_string = !in_string;
    const bool is_number = !in_string && is_digit(text[at]);
    while (is_number && is_digit(at_or_blank(end))) ++end;
    const auto piece = text.substr(at, end - at);
    out += piece;
    // Not what stands behind a point or an exponent's letter, or in front of them.
    const char before = at_or_blank(at - 1);
    const bool is_whole = std::string_view(".eE+").find(before) == std::string_view::npos &&
                          std::string_view(".eE").find(at_or_blank(end)) == std::string_view::npos;
    if (is_number && is_whole && is_too_long(piece, before == '-')) out += ".0";
  }
  return out;
}

// The parser has bounded the depth, so recursion is bounded too. False: a key occurs twice.
bool convert(const element& from, Value& out) {
  switch (from.type()) {
    case element_type::NULL_VALUE:
      return true;
    case element_type::BOOL:
      out = Value(bool(from));
      return true;
    case element_type::INT64:
      out = Value(int64_t(from));
      return true;
    case element_type::UINT64:
      out = Value(static_cast<double>(uint64_t(from)));
      return true;
    case element_type::DOUBLE:
      out = Value(double(from));
      return true;
    case element_type::STRING:
      out = Value(std::string_view(from));
      return true;
    case element_type::ARRAY: {
      out = Value(Array());
      Array& items = out.as_array();
      const simdjson::dom::array all(from);
      items.reserve(all.size());
      for (const element item : all) {
        if (!convert(item, items.emplace_back())) return false;
      }
      return true;
    }
    case element_type::OBJECT: {
      out = Value(Object());
      Object& members = out.as_object();
      const simdjson::dom::object all(from);
      members.reserve(all.size());
      for (const auto [key, item] : all) {
        members.emplace_back(key, Value());
        if (!convert(item, members.back().second)) return false;
      }
      return !has_duplicate_keys(members);
    }
  }
  return false;
}

}  // namespace

Result<Value> parse(std::string_view text, std::string_view where, ParseLimits limits) {
  if (static_cast<int64_t>(text.size()) > limits.size_bytes) {
    return base::bad_input(fmt::format("JSON larger than {} bytes", limits.size_bytes),
                           std::string(where));
  }
  try {
    // Kept from one short text to the next: what it needs costs more to make than to fill.
    thread_local simdjson::dom::parser kept;
    simdjson::dom::parser fresh;
    auto& parser = text.size() <= kKeptBytes ? kept : fresh;
    const size_t capacity = text.size() <= kKeptBytes ? kKeptBytes : text.size();
    const bool has_room = parser.capacity() >= capacity &&
                          parser.max_depth() == static_cast<size_t>(limits.depth) + 1;
    if (!has_room &&
        parser.allocate(capacity, static_cast<size_t>(limits.depth) + 1) != simdjson::SUCCESS) {
      return base::bad_input("no memory for the JSON text", std::string(where));
    }
    element root;
    const auto error = parser.parse(text.data(), text.size()).get(root);
    if (error == simdjson::NUMBER_ERROR) {
      const std::string pointed = with_points(text);
      if (pointed.size() != text.size()) return parse(pointed, where, limits);
    }
    if (error != simdjson::SUCCESS) {
      return base::bad_input(fmt::format("not valid JSON: {}", simdjson::error_message(error)),
                             std::string(where));
    }
    Value value;
    if (convert(root, value)) return value;
    return base::bad_input("a key occurs twice in an object", std::string(where));
  } catch (const std::exception& failure) {
    return base::bad_input(fmt::format("not valid JSON: {}", failure.what()), std::string(where));
  }
}

}  // namespace retort::json
