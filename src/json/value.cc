#include "json/value.h"

#include <fmt/core.h>

#include "base/check.h"

namespace retort::json {
namespace {

Error missing(std::string_view key) {
  return base::bad_input(fmt::format("\"{}\" is missing", key));
}
Error wrong_type(std::string_view key, const char* expected) {
  return base::bad_input(fmt::format("\"{}\" must be {}", key, expected));
}

}  // namespace

double Value::as_number() const {
  return is_int() ? static_cast<double>(as_int()) : std::get<double>(data_);
}

const Value* Value::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const auto& [name, value] : as_object()) {
    if (name == key) return &value;
  }
  return nullptr;
}

Value* Value::find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

Value& Value::set(std::string key, Value value) {
  RETORT_CHECK(is_object());
  if (Value* present = find(key)) {
    *present = std::move(value);
  } else {
    as_object().emplace_back(std::move(key), std::move(value));
  }
  return *this;
}

Value& Value::push(Value value) {
  RETORT_CHECK(is_array());
  as_array().push_back(std::move(value));
  return *this;
}

Result<std::string> Value::string_at(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return missing(key);
  if (!value->is_string()) return wrong_type(key, "a string");
  return value->as_string();
}

Result<int64_t> Value::int_at(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return missing(key);
  if (!value->is_int()) return wrong_type(key, "a whole number");
  return value->as_int();
}

Result<double> Value::number_at(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return missing(key);
  if (!value->is_number()) return wrong_type(key, "a number");
  return value->as_number();
}

Result<bool> Value::bool_at(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return missing(key);
  if (!value->is_bool()) return wrong_type(key, "true or false");
  return value->as_bool();
}

Result<std::string> Value::string_at(std::string_view key, std::string otherwise) const {
  const Value* value = find(key);
  if (value == nullptr || value->is_null()) return otherwise;
  return string_at(key);
}

Result<int64_t> Value::int_at(std::string_view key, int64_t otherwise) const {
  const Value* value = find(key);
  if (value == nullptr || value->is_null()) return otherwise;
  return int_at(key);
}

Result<double> Value::number_at(std::string_view key, double otherwise) const {
  const Value* value = find(key);
  if (value == nullptr || value->is_null()) return otherwise;
  return number_at(key);
}

Result<bool> Value::bool_at(std::string_view key, bool otherwise) const {
  const Value* value = find(key);
  if (value == nullptr || value->is_null()) return otherwise;
  return bool_at(key);
}

}  // namespace retort::json
