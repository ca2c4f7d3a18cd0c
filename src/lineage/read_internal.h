// Reading the bodies of entries. Unknown members are left alone, another schema is refused.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace retort::lineage {

// Of what names a model or a run, at least this much is typed.
constexpr size_t kShortestPrefix = 8;

inline Result<void> check_schema(const json::Value& body, std::string_view wanted) {
  RETORT_TRY(const auto schema, body.string_at("schema"));
  if (schema == wanted) return {};
  return base::bad_input("an entry of the form " + schema + " is not known", "",
                         "a newer program wrote it; use that one");
}

// The items of a list; none where it is missing.
template <class Visit>
Result<void> for_each_of(const json::Value& body, std::string_view key, const Visit& visit) {
  const json::Value* value = body.find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) return base::bad_input("must be a list", std::string(key));
  for (const auto& item : value->as_array()) {
    if (auto done = visit(item); !done) return done.error().at(key);
  }
  return {};
}

inline Result<std::vector<std::string>> strings_at(const json::Value& body, std::string_view key) {
  std::vector<std::string> out;
  RETORT_TRY_VOID(for_each_of(body, key, [&out](const json::Value& item) -> Result<void> {
    if (!item.is_string()) return base::bad_input("must hold strings");
    out.push_back(item.as_string());
    return {};
  }));
  return out;
}

inline Result<std::vector<int64_t>> integers_at(const json::Value& body, std::string_view key) {
  std::vector<int64_t> out;
  RETORT_TRY_VOID(for_each_of(body, key, [&out](const json::Value& item) -> Result<void> {
    if (!item.is_int()) return base::bad_input("must hold numbers of entries");
    out.push_back(item.as_int());
    return {};
  }));
  return out;
}

}  // namespace retort::lineage
