#include "json/table.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/options.h"

namespace retort::json {
namespace {

std::string nearest(std::string_view text, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, text.size() / 2);
  for (const auto& candidate : known) {
    const size_t distance = base::edit_distance(text, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Table::Table(const Value* value, std::string place) : value_(value), place_(std::move(place)) {
  if (value_ != nullptr && !value_->is_object()) {
    value_ = nullptr;
    fail("this is not a table");
  }
}

void Table::fail(std::string message, std::string_view key) {
  if (!state_.ok()) return;
  state_ =
      base::bad_input(std::move(message), key.empty() ? place_ : fmt::format("{} {}", place_, key),
                      "correct it; the vocabulary is closed on purpose");
}

const Value* Table::find(std::string_view key) {
  known(key);
  return value_ == nullptr ? nullptr : value_->find(key);
}

std::string Table::text(std::string_view key) {
  const auto* value = find(key);
  if (value == nullptr) return "";
  if (!value->is_string()) {
    fail("a text is wanted", key);
    return "";
  }
  return value->as_string();
}

std::string Table::required(std::string_view key) {
  std::string value = text(key);
  if (value.empty()) fail(fmt::format("the key {} is missing or empty", key));
  return value;
}

int64_t Table::integer(std::string_view key, int64_t otherwise) {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_int() || value->as_int() < 0) {
    fail("a whole number of 0 or more is wanted", key);
    return otherwise;
  }
  return value->as_int();
}

double Table::number(std::string_view key, double otherwise) {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number() || !std::isfinite(value->as_number()) || value->as_number() < 0) {
    fail("a number of 0 or more is wanted", key);
    return otherwise;
  }
  return value->as_number();
}

bool Table::boolean(std::string_view key) {
  const auto* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_bool()) {
    fail("true or false is wanted", key);
    return false;
  }
  return value->as_bool();
}

std::vector<std::string> Table::texts(std::string_view key) {
  const auto* value = find(key);
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (!value->is_array()) {
    fail("a list of texts is wanted", key);
    return out;
  }
  for (const auto& item : value->as_array()) {
    if (!item.is_string()) {
      fail("a list of texts is wanted", key);
      return {};
    }
    out.push_back(item.as_string());
  }
  return out;
}

std::string Table::date(std::string_view key) {
  std::string value = text(key);
  if (!value.empty() && base::parse_iso_date(value) == -1) {
    fail(fmt::format("“{}” is not a date like 2026-08-14", value), key);
  }
  return value;
}

std::string Table::digest(std::string_view key) {
  std::string value = text(key);
  if (value.empty()) return value;
  if (!is_sha256(value)) {
    fail("64 lower-case hexadecimal digits are wanted", key);
  }
  return value;
}

size_t Table::word(std::string_view key, const std::vector<std::string_view>& words,
                   size_t otherwise) {
  const std::string value = text(key);
  if (value.empty()) {
    if (otherwise == std::string::npos) {
      fail(fmt::format("the key {} is missing or empty", key));
      return 0;
    }
    return otherwise;
  }
  const auto found = std::find(words.begin(), words.end(), value);
  if (found != words.end()) return static_cast<size_t>(found - words.begin());
  std::string list;
  for (const auto& allowed : words) list += (list.empty() ? "" : ", ") + std::string(allowed);
  fail(fmt::format("“{}” is none of: {}", value, list), key);
  return 0;
}

// A misspelt key is told before what is missing because of it.
Result<void> Table::finish() {
  if (value_ == nullptr) return state_;
  for (const auto& [key, value] : value_->as_object()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string near = nearest(key, known_);
    state_ = {};
    fail(fmt::format("unknown field “{}”{}", key,
                     near.empty() ? "" : fmt::format("; did you mean “{}”?", near)));
    break;
  }
  return state_;
}

}  // namespace retort::json
