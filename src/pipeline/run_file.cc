#include "pipeline/run_file.h"

#include <fmt/core.h>

namespace retort::pipeline {
namespace {

Result<std::string> scalar_text(const json::Value& value, const std::string& name) {
  if (value.is_string()) return value.as_string();
  if (value.is_bool()) return std::string(value.as_bool() ? "true" : "false");
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_number()) return fmt::format("{}", value.as_number());
  return base::usage_error(name + " must be a plain value", name);
}

Result<void> apply_value(base::Options& table, const std::string& name, const json::Value& value) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.as_object()) {
      RETORT_TRY_VOID(apply_value(table, name.empty() ? key : name + "." + key, child));
    }
    return {};
  }
  std::vector<std::string> texts;
  if (value.is_array()) {
    for (const auto& item : value.as_array()) {
      RETORT_TRY(auto text, scalar_text(item, name));
      texts.push_back(std::move(text));
    }
  } else {
    RETORT_TRY(auto text, scalar_text(value, name));
    // A list may be written as one plain value.
    texts.push_back(std::move(text));
  }
  return table.set(name, texts);
}

std::string quoted(const std::string& text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

struct TomlPrinter {
  std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
  std::string operator()(const int64_t* v) const { return std::to_string(*v); }
  std::string operator()(const double* v) const {
    std::string text = fmt::format("{}", *v);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
  }
  std::string operator()(const std::string* v) const { return quoted(*v); }
  std::string operator()(const std::vector<std::string>* v) const {
    std::string out = "[";
    for (size_t i = 0; i < v->size(); ++i) out += (i > 0 ? ", " : "") + quoted((*v)[i]);
    return out + "]";
  }
  std::string operator()(const std::map<std::string, std::string>* v) const {
    std::string out = "{";
    for (const auto& [key, value] : *v) {
      out += (out.size() > 1 ? ", " : " ") + quoted(key) + " = " + quoted(value);
    }
    return out + (v->empty() ? "}" : " }");
  }
};

std::string table_of(const std::string& name) {
  const size_t dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

}  // namespace

Result<void> apply_document(base::Options& table, const json::Value& document,
                            const std::string& where) {
  auto applied = apply_value(table, "", document);
  if (!applied) {
    Error error = applied.error();
    error.where = error.where.empty() ? where : where + ": " + error.where;
    return error;
  }
  return {};
}

Result<void> apply_overrides(base::Options& table, const std::vector<Override>& overrides) {
  for (const auto& [name, texts] : overrides) RETORT_TRY_VOID(table.set(name, texts));
  return {};
}

std::string to_toml(const base::Options& table, const std::string& prefix) {
  std::string out;
  for (const auto& option : table.all()) {
    if (table_of(option.name) != prefix) continue;
    const std::string key = prefix.empty() ? option.name : option.name.substr(prefix.size() + 1);
    out += key + " = " + std::visit(TomlPrinter{}, option.target) + "\n";
  }
  return out;
}

std::string to_toml(const base::Options& table) {
  std::string out = to_toml(table, "");
  std::string last;
  for (const auto& option : table.all()) {
    const std::string name = table_of(option.name);
    if (name.empty() || name == last) continue;
    last = name;
    out += fmt::format("\n[{}]\n{}", name, to_toml(table, name));
  }
  return out;
}

}  // namespace retort::pipeline
