#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "openai/fields_internal.h"
#include "openai/text.h"

namespace retort::openai {
namespace {

// These change no answer.
constexpr std::array kHarmless = {"user",
                                  "metadata",
                                  "store",
                                  "service_tier",
                                  "safety_identifier",
                                  "prompt_cache_key",
                                  "prompt_cache_retention",
                                  "parallel_tool_calls"};

bool is_number(const json::Value& value, double expected) {
  return value.is_number() && value.as_number() == expected;
}

bool is_empty(const json::Value& value) {
  return (value.is_array() && value.as_array().empty()) ||
         (value.is_object() && value.as_object().empty());
}

// A field that is not supported, at the value that asks for nothing.
bool is_neutral(std::string_view key, const json::Value& value) {
  if (key == "best_of") return is_number(value, 1);
  if (key == "tools" || key == "functions") return is_empty(value);
  if (key == "tool_choice" || key == "function_call") {
    return value.is_string() && (value.as_string() == "none" || value.as_string() == "auto");
  }
  if (key == "suffix") return value.is_string() && value.as_string().empty();
  if (key == "response_format") {
    const json::Value* type = value.find("type");
    return type != nullptr && type->is_string() && type->as_string() == "text";
  }
  if (key == "modalities") {
    return value.is_array() && value.as_array().size() == 1 && value.as_array()[0].is_string() &&
           value.as_array()[0].as_string() == "text";
  }
  return false;
}

std::vector<std::string> read_stop(Fields& fields) {
  const json::Value* value = fields.get("stop");
  if (value == nullptr) return {};
  std::vector<std::string> stops;
  const json::Array single = {*value};
  if (!value->is_string() && !value->is_array()) {
    fields.fail("stop", "stop must be a string or an array of strings");
    return {};
  }
  const json::Array& items = value->is_array() ? value->as_array() : single;
  if (std::ssize(items) > kStopsMax) {
    fields.fail("stop", fmt::format("stop holds at most {} strings", kStopsMax));
    return {};
  }
  for (const json::Value& item : items) {
    if (!item.is_string() || item.as_string().empty() || item.as_string().size() > 1024) {
      fields.fail("stop", "each stop must be a string of 1 to 1024 bytes");
      return {};
    }
    stops.push_back(item.as_string());
  }
  return stops;
}

// {"50256": -100}: keys are token ids in decimal, as JSON has no other keys.
std::vector<std::pair<int32_t, double>> read_logit_bias(Fields& fields) {
  const json::Value* value = fields.get("logit_bias");
  if (value == nullptr) return {};
  if (!value->is_object() || std::ssize(value->as_object()) > kBiasesMax) {
    fields.fail("logit_bias",
                fmt::format("logit_bias must be an object of at most {} token ids", kBiasesMax));
    return {};
  }
  std::vector<std::pair<int32_t, double>> biases;
  for (const auto& [key, bias] : value->as_object()) {
    int32_t id = -1;
    const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
    const bool whole = code == std::errc() && end == key.data() + key.size() && id >= 0;
    if (!whole || !bias.is_number() || !(std::abs(bias.as_number()) <= 100)) {
      fields.fail("logit_bias", "logit_bias maps token ids to numbers from -100 to 100");
      return {};
    }
    biases.emplace_back(id, bias.as_number());
  }
  return biases;
}

std::vector<int32_t> read_stop_tokens(Fields& fields) {
  const json::Value* value = fields.get("stop_token_ids");
  if (value == nullptr) return {};
  std::vector<int32_t> ids;
  bool fits = value->is_array() && std::ssize(value->as_array()) <= kStopTokensMax;
  for (size_t i = 0; fits && i < value->as_array().size(); ++i) {
    const json::Value& item = value->as_array()[i];
    fits =
        item.is_int() && item.as_int() >= 0 && item.as_int() <= std::numeric_limits<int32_t>::max();
    if (fits) ids.push_back(static_cast<int32_t>(item.as_int()));
  }
  if (!fits) {
    fields.fail(
        "stop_token_ids",
        fmt::format("stop_token_ids must be an array of at most {} token ids", kStopTokensMax));
  }
  return ids;
}

bool read_include_usage(Fields& fields) {
  const json::Value* options = fields.get("stream_options");
  if (options == nullptr) return false;
  if (!options->is_object()) {
    fields.fail("stream_options", "stream_options must be an object");
    return false;
  }
  for (const auto& [key, value] : options->as_object()) {
    const bool neutral = key == "include_obfuscation" && value == json::Value(false);
    if (key == "include_usage" || value.is_null() || neutral) continue;
    const std::string name = "stream_options." + printable(key, 64);
    fields.fail(name, name + " is not supported here", "unsupported_parameter");
  }
  const json::Value* include = options->find("include_usage");
  if (include == nullptr || include->is_null()) return false;
  if (!include->is_bool()) {
    fields.fail("stream_options.include_usage", "include_usage must be true or false");
    return false;
  }
  return include->as_bool();
}

}  // namespace

const json::Value* Fields::get(const std::string& key) {
  seen_.insert(key);
  const json::Value* value = object_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<std::string> Fields::text(const std::string& key) {
  const json::Value* value = get(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    fail(key, key + " must be a string");
    return std::nullopt;
  }
  return value->as_string();
}

std::optional<bool> Fields::boolean(const std::string& key) {
  const json::Value* value = get(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) {
    fail(key, key + " must be true or false");
    return std::nullopt;
  }
  return value->as_bool();
}

std::optional<int64_t> Fields::integer(const std::string& key, int64_t lowest, int64_t highest) {
  const json::Value* value = get(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int() || value->as_int() < lowest || value->as_int() > highest) {
    fail(key, highest == std::numeric_limits<int64_t>::max()
                  ? fmt::format("{} must be a whole number from {} on", key, lowest)
                  : fmt::format("{} must be a whole number from {} to {}", key, lowest, highest));
    return std::nullopt;
  }
  return value->as_int();
}

std::optional<double> Fields::number(const std::string& key, double lowest, double highest) {
  const json::Value* value = get(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !(value->as_number() >= lowest && value->as_number() <= highest)) {
    fail(key, fmt::format("{} must be a number from {} to {}", key, lowest, highest));
    return std::nullopt;
  }
  return value->as_number();
}

void Fields::fail(const std::string& param, std::string message, std::string code) {
  if (!error_) error_ = make_error(400, std::move(message), param, std::move(code));
}

void Fields::judge_rest() {
  for (const auto& [key, value] : object_.as_object()) {
    if (seen_.count(key) > 0 || value.is_null() || is_neutral(key, value)) continue;
    bool harmless = false;
    for (const char* known : kHarmless) harmless = harmless || key == known;
    if (harmless) continue;
    const std::string shown = printable(key, 64);
    fail(shown,
         fmt::format("{} is not supported here, and ignoring it would change the answer", shown),
         "unsupported_parameter");
  }
}

bool is_ids(const json::Value& value) {
  if (!value.is_array() || value.as_array().empty()) return false;
  for (const json::Value& item : value.as_array()) {
    if (!item.is_int() || item.as_int() < 0 ||
        item.as_int() > std::numeric_limits<int32_t>::max()) {
      return false;
    }
  }
  return true;
}

std::vector<int32_t> read_ids(const json::Value& value) {
  std::vector<int32_t> ids;
  for (const json::Value& item : value.as_array()) {
    ids.push_back(static_cast<int32_t>(item.as_int()));
  }
  return ids;
}

std::optional<int64_t> read_alternatives(Fields& fields, const std::string& key, int64_t most) {
  const auto count = fields.integer(key, 0, std::numeric_limits<int64_t>::max());
  if (count.value_or(0) > most) {
    fields.fail(key, fmt::format("{} must be a whole number from 0 to {} here; retort serve "
                                 "--max-logprobs sets this limit",
                                 key, most));
  }
  return count;
}

Parsed<json::Value> parse_object(std::string_view body) {
  auto parsed = json::parse(body, "", {.depth = 64, .size_bytes = int64_t{64} << 20});
  if (!parsed) return make_error(400, "the body is not JSON: " + parsed.error().text());
  if (!parsed->is_object()) return make_error(400, "the body must be a JSON object");
  return std::move(*parsed);
}

Generation read_sampling(Fields& fields) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  Generation out;
  out.temperature = fields.number("temperature", 0, 2);
  out.top_p = fields.number("top_p", 0, 1);
  out.top_k = fields.integer("top_k", -1, kLargest);
  if (out.top_k == -1) out.top_k = 0;  // vLLM's and SGLang's spelling of "all"
  out.repetition_penalty = fields.number("repetition_penalty", 0.01, 100);
  out.n = fields.integer("n", 1, kChoicesMax).value_or(1);
  out.stop = read_stop(fields);
  out.min_p = fields.number("min_p", 0, 1);
  out.presence_penalty = fields.number("presence_penalty", -2, 2);
  out.frequency_penalty = fields.number("frequency_penalty", -2, 2);
  out.logit_bias = read_logit_bias(fields);
  out.stop_token_ids = read_stop_tokens(fields);
  out.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  return out;
}

Generation read_generation(Fields& fields) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  const std::string model = fields.text("model").value_or("");
  if (model.empty()) fields.fail("model", "model is missing");
  Generation out = read_sampling(fields);
  out.model = model;
  const auto older = fields.integer("max_tokens", 0, kLargest);
  const auto newer = fields.integer("max_completion_tokens", 0, kLargest);
  out.max_tokens = newer ? newer : older;
  out.seed = fields.integer("seed", std::numeric_limits<int64_t>::min(), kLargest);
  out.stream = fields.boolean("stream").value_or(false);
  out.include_usage = read_include_usage(fields);
  return out;
}

void write_generation(json::Value& object, const Generation& generation) {
  const auto set = [&](const char* key, const auto& value) {
    if (value) object.set(key, *value);
  };
  object.set("model", generation.model);
  set("temperature", generation.temperature);
  set("top_p", generation.top_p);
  set("top_k", generation.top_k);
  set("repetition_penalty", generation.repetition_penalty);
  set("max_tokens", generation.max_tokens);
  set("seed", generation.seed);
  if (generation.n != 1) object.set("n", generation.n);
  if (!generation.stop.empty()) {
    object.set("stop", json::Array(generation.stop.begin(), generation.stop.end()));
  }
  set("min_p", generation.min_p);
  set("presence_penalty", generation.presence_penalty);
  set("frequency_penalty", generation.frequency_penalty);
  if (!generation.logit_bias.empty()) {
    json::Value biases = json::Value::object();
    for (const auto& [id, bias] : generation.logit_bias) biases.set(std::to_string(id), bias);
    object.set("logit_bias", std::move(biases));
  }
  if (!generation.stop_token_ids.empty()) {
    object.set("stop_token_ids",
               json::Array(generation.stop_token_ids.begin(), generation.stop_token_ids.end()));
  }
  if (generation.ignore_eos) object.set("ignore_eos", true);
  if (generation.stream) object.set("stream", true);
  if (generation.stream && generation.include_usage) {
    object.set("stream_options", json::Value::object({{"include_usage", true}}));
  }
}

}  // namespace retort::openai
