#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "json/value.h"

namespace retort::json {
namespace {

constexpr int kMaxDepth = 64;

Result<Value> convert(const toml::node& node, int depth);

Result<Value> convert_table(const toml::table& table, int depth) {
  // toml++ sorts keys; the file's own order is kept instead, by source position.
  std::vector<std::pair<std::string, const toml::node*>> entries;
  for (const auto& [key, child] : table) entries.emplace_back(std::string(key.str()), &child);
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.second->source().begin < b.second->source().begin;
  });
  Object members;
  for (const auto& [key, child] : entries) {
    RETORT_TRY(auto value, convert(*child, depth + 1));
    members.emplace_back(key, std::move(value));
  }
  return Value(std::move(members));
}

Result<Value> convert(const toml::node& node, int depth) {
  if (depth > kMaxDepth) return base::bad_input("TOML nested too deeply");
  if (const auto* table = node.as_table()) return convert_table(*table, depth);
  if (const auto* array = node.as_array()) {
    Array items;
    for (const auto& child : *array) {
      RETORT_TRY(auto value, convert(child, depth + 1));
      items.push_back(std::move(value));
    }
    return Value(std::move(items));
  }
  if (const auto* text = node.as_string()) return Value(text->get());
  if (const auto* number = node.as_integer()) return Value(number->get());
  if (const auto* number = node.as_floating_point()) return Value(number->get());
  if (const auto* flag = node.as_boolean()) return Value(flag->get());
  std::ostringstream printed;  // dates and times, as they are spelt
  node.visit([&printed](const auto& leaf) {
    if constexpr (toml::is_date<decltype(leaf)> || toml::is_time<decltype(leaf)> ||
                  toml::is_date_time<decltype(leaf)>) {
      printed << leaf.get();
    }
  });
  return Value(printed.str());
}

}  // namespace

Result<Value> parse_toml(std::string_view text, std::string_view where) {
  try {
    const toml::table table = toml::parse(text, std::string(where));
    auto value = convert_table(table, 0);
    if (!value) return value.error().at(where);
    return value;
  } catch (const toml::parse_error& failure) {
    const auto at = failure.source().begin;
    return base::bad_input(fmt::format("not valid TOML: {}", failure.description()),
                           fmt::format("{}:{}:{}", where, at.line, at.column));
  } catch (const std::exception& failure) {
    return base::bad_input(fmt::format("not valid TOML: {}", failure.what()), std::string(where));
  }
}

}  // namespace retort::json
