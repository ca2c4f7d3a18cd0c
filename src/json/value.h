// A JSON document in memory, and what makes one: JSON text (RFC 8259) and TOML. Objects keep the
// order of their keys. Values are plain data: copy, move, compare; no thread rules.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace retort::json {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;

class Value {
 public:
  Value() = default;                                             // null
  Value(std::nullptr_t) {}                                       // NOLINT: implicit, as all below
  Value(bool value) : data_(value) {}                            // NOLINT
  Value(int value) : data_(int64_t{value}) {}                    // NOLINT
  Value(int64_t value) : data_(value) {}                         // NOLINT
  Value(uint64_t value) : data_(static_cast<int64_t>(value)) {}  // NOLINT
  Value(double value) : data_(value) {}                          // NOLINT
  Value(const char* value) : data_(std::string(value)) {}        // NOLINT
  Value(std::string value) : data_(std::move(value)) {}          // NOLINT
  Value(std::string_view value) : data_(std::string(value)) {}   // NOLINT
  Value(Array value) : data_(std::move(value)) {}                // NOLINT
  Value(Object value) : data_(std::move(value)) {}               // NOLINT
  // Value::object({{"a", 1}, {"b", "two"}})
  static Value object(Object members = {}) { return Value(std::move(members)); }
  static Value array(Array items = {}) { return Value(std::move(items)); }

  bool is_null() const { return data_.index() == 0; }
  bool is_bool() const { return data_.index() == 1; }
  bool is_int() const { return data_.index() == 2; }
  bool is_number() const { return data_.index() == 2 || data_.index() == 3; }
  bool is_string() const { return data_.index() == 4; }
  bool is_array() const { return data_.index() == 5; }
  bool is_object() const { return data_.index() == 6; }

  // Only after the matching is_...(): a mismatch is a programmer's mistake.
  bool as_bool() const { return std::get<bool>(data_); }
  int64_t as_int() const { return std::get<int64_t>(data_); }
  double as_number() const;  // of either kind of number
  const std::string& as_string() const { return std::get<std::string>(data_); }
  const Array& as_array() const { return std::get<Array>(data_); }
  Array& as_array() { return std::get<Array>(data_); }
  const Object& as_object() const { return std::get<Object>(data_); }
  Object& as_object() { return std::get<Object>(data_); }

  // A member, or nullptr when this is no object or has no such key.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  // Replaces or appends a member of an object; returns *this.
  Value& set(std::string key, Value value);
  Value& push(Value value);

  // Typed members for reading files: the error names the key. The second form has a default for a
  // missing (or null) key, but a wrong type is still an error.
  Result<std::string> string_at(std::string_view key) const;
  Result<int64_t> int_at(std::string_view key) const;
  Result<double> number_at(std::string_view key) const;
  Result<bool> bool_at(std::string_view key) const;
  Result<std::string> string_at(std::string_view key, std::string otherwise) const;
  Result<int64_t> int_at(std::string_view key, int64_t otherwise) const;
  Result<double> number_at(std::string_view key, double otherwise) const;
  Result<bool> bool_at(std::string_view key, bool otherwise) const;

  bool operator==(const Value& other) const = default;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> data_;
};

struct ParseLimits {
  int depth = 64;
  int64_t size_bytes = int64_t{256} << 20;
};

// Strict RFC 8259: valid UTF-8, no NaN, no duplicate keys, depth and size bounded. `where` names
// the source in errors.
Result<Value> parse(std::string_view text, std::string_view where = "", ParseLimits limits = {});
// TOML 1.0; dates become strings ("2026-08-14"). Errors name line and column.
Result<Value> parse_toml(std::string_view text, std::string_view where = "");

// Compact with indent 0, else pretty. Doubles print the shortest form that reads back equal;
// invalid UTF-8 in strings is replaced by U+FFFD, NaN and infinities by null.
std::string dump(const Value& value, int indent = 0);
// The canonical form of RFC 8785 (sorted keys, ECMAScript numbers), for hashing.
std::string canonical(const Value& value);
// A string as a JSON string with its quotes, appended: for hot paths that build JSON by hand.
void append_quoted(std::string& out, std::string_view text);

}  // namespace retort::json
