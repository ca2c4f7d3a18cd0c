#include <fmt/core.h>

#include "accounts/book_internal.h"
#include "json/value.h"

namespace retort::accounts {
namespace {

Error damaged(const std::string& where, const char* what) {
  return base::storage_error(
      fmt::format("the book of accounts holds a {} that no program wrote", what), where,
      "restore it from a backup");
}

json::Value list_json(const std::vector<std::string>& items) {
  json::Value out = json::Value::array();
  for (const auto& item : items) out.push(item);
  return out;
}

Result<std::vector<std::string>> read_list(const json::Value& value, const char* key,
                                           const std::string& where) {
  std::vector<std::string> out;
  const auto* items = value.find(key);
  if (items == nullptr || !items->is_array()) return damaged(where, "key");
  for (const auto& item : items->as_array()) {
    if (!item.is_string()) return damaged(where, "key");
    out.push_back(item.as_string());
  }
  return out;
}

}  // namespace

std::string limits_json(const KeyLimits& limits) {
  return json::canonical(json::Value::object({{"scopes", list_json(limits.scopes)},
                                              {"models", list_json(limits.models)},
                                              {"addresses", list_json(limits.addresses)}}));
}

Result<Account> account_of(const store::Statement& row, int first, const std::string& where) {
  Account out;
  const auto text = [&](int column) { return std::string(row.text(first + column)); };
  out.id = text(0);
  out.name = text(1);
  out.organisation = text(2);
  out.purpose = text(3);
  const int64_t training = row.integer(first + 4);
  out.declaration = text(5);
  const int64_t state = row.integer(first + 6);
  if (training < 0 || training > 2 || state < 0 || state > 2) return damaged(where, "account");
  out.training = static_cast<Training>(training);
  out.state = static_cast<State>(state);
  out.reason = text(7);
  out.case_id = text(8);
  out.created_ms = row.integer(first + 9);
  out.payer = text(10);
  return out;
}

Result<Key> key_of(const store::Statement& row, int first, const std::string& where) {
  Key out;
  const auto text = [&](int column) { return std::string(row.text(first + column)); };
  out.id = text(0);
  out.account = text(1);
  const int64_t kind = row.integer(first + 2);
  if (kind < 0 || kind > 1) return damaged(where, "key");
  out.kind = static_cast<KeyKind>(kind);
  out.label = text(3);
  RETORT_TRY(const auto limits, json::parse(row.text(first + 4), where));
  RETORT_TRY(out.limits.scopes, read_list(limits, "scopes", where));
  RETORT_TRY(out.limits.models, read_list(limits, "models", where));
  RETORT_TRY(out.limits.addresses, read_list(limits, "addresses", where));
  out.limits.expires_ms = row.integer(first + 5);
  out.created_ms = row.integer(first + 6);
  out.ends_ms = row.integer(first + 7);
  out.replaced_by = text(8);
  return out;
}

}  // namespace retort::accounts
