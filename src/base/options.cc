#include "base/options.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace retort::base {
namespace {

template <class T>
bool parse_number(const std::string& text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end && !text.empty();
}

Error wrong_value(const std::string& name, const char* expected, const std::string& text) {
  return usage_error(fmt::format("{} must be {}, not \"{}\"", name, expected, text), name);
}

// Sets one target from texts already checked for number.
struct Setter {
  const std::string& name;
  const std::vector<std::string>& texts;

  Result<void> operator()(bool* target) const {
    if (texts[0] != "true" && texts[0] != "false") {
      return wrong_value(name, "true or false", texts[0]);
    }
    *target = texts[0] == "true";
    return {};
  }
  Result<void> operator()(int64_t* target) const {
    if (!parse_number(texts[0], *target)) return wrong_value(name, "a whole number", texts[0]);
    return {};
  }
  Result<void> operator()(double* target) const {
    double value = 0;
    if (!parse_number(texts[0], value) || !std::isfinite(value)) {
      return wrong_value(name, "a number", texts[0]);
    }
    *target = value;
    return {};
  }
  Result<void> operator()(std::string* target) const {
    *target = texts[0];
    return {};
  }
  Result<void> operator()(std::vector<std::string>* target) const {
    *target = texts;
    return {};
  }
  Result<void> operator()(std::map<std::string, std::string>*) const {
    return usage_error("this is a table: give " + name + ".NAME a value", name);
  }
};

struct Printer {
  std::vector<std::string> operator()(const bool* v) const { return {*v ? "true" : "false"}; }
  std::vector<std::string> operator()(const int64_t* v) const { return {std::to_string(*v)}; }
  std::vector<std::string> operator()(const double* v) const { return {fmt::format("{}", *v)}; }
  std::vector<std::string> operator()(const std::string* v) const { return {*v}; }
  std::vector<std::string> operator()(const std::vector<std::string>* v) const { return *v; }
  std::vector<std::string> operator()(const std::map<std::string, std::string>* v) const {
    std::vector<std::string> out;
    for (const auto& [key, value] : *v) out.push_back(key + "=" + value);
    return out;
  }
};

}  // namespace

void Options::add(const std::string& name, Target target, std::string help) {
  std::string full = prefix_.empty() ? name : prefix_ + "." + name;
  RETORT_CHECK(find(full) == nullptr, "option {} twice", full);
  options_.push_back({std::move(full), target, std::move(help)});
}

const Option* Options::find(std::string_view name) const {
  for (const auto& option : options_) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::string Options::nearest(std::string_view name) const {
  std::string best;
  size_t best_distance = std::string::npos;
  for (const auto& option : options_) {
    const size_t distance = edit_distance(name, option.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = option.name;
    }
  }
  return best;
}

Error Options::unknown(const std::string& name) const {
  return usage_error(fmt::format("there is no option \"{}\"", name), name,
                     fmt::format("did you mean \"{}\"?", nearest(name)));
}

Result<void> Options::set(const std::string& name, const std::vector<std::string>& texts) {
  const Option* option = find(name);
  if (option == nullptr) {
    const size_t dot = name.rfind('.');
    const Option* table = dot == std::string::npos ? nullptr : find(name.substr(0, dot));
    if (table == nullptr) return unknown(name);
    auto* const* map = std::get_if<std::map<std::string, std::string>*>(&table->target);
    if (map == nullptr || texts.size() != 1) return unknown(name);
    (**map)[name.substr(dot + 1)] = texts[0];
    return {};
  }
  const bool list = std::holds_alternative<std::vector<std::string>*>(option->target);
  if (!list && texts.size() != 1) return usage_error(name + " takes one value, not a list", name);
  return std::visit(Setter{name, texts}, option->target);
}

std::vector<std::string> Options::value_texts(const Option& option) const {
  return std::visit(Printer{}, option.target);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace retort::base
