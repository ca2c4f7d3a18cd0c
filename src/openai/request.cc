#include "openai/request.h"

#include <fmt/core.h>

#include <limits>

#include "openai/fields_internal.h"
#include "openai/text.h"

namespace retort::openai {
namespace {

// A message's content: a string, or an array of {"type": "text"} parts that are put together.
Parsed<std::string> read_content(const json::Value* content, const std::string& param) {
  if (content != nullptr && content->is_string()) return content->as_string();
  if (content == nullptr || !content->is_array()) {
    return make_error(400, param + " must be a string or an array of text parts", param);
  }
  std::string text;
  for (const json::Value& part : content->as_array()) {
    const json::Value* type = part.find("type");
    const json::Value* piece = part.find("text");
    if (type == nullptr || !type->is_string() || type->as_string() != "text" || piece == nullptr ||
        !piece->is_string()) {
      return make_error(400, param + " may hold parts of type \"text\" alone", param,
                        "unsupported_content");
    }
    text += piece->as_string();
  }
  return text;
}

Parsed<dialog::Message> read_message(const json::Value& value, const std::string& param) {
  if (!value.is_object()) return make_error(400, param + " must be an object", param);
  const json::Value* role = value.find("role");
  const std::string role_text = role != nullptr && role->is_string() ? role->as_string() : "";
  // "developer" is OpenAI's newer word for the same thing.
  const auto known = dialog::parse_role(role_text == "developer" ? "system" : role_text);
  if (!known) {
    return make_error(400, param + ".role must be system, developer, user or assistant",
                      param + ".role");
  }
  for (const auto& [key, member] : value.as_object()) {
    const bool empty = member.is_null() || (member.is_array() && member.as_array().empty());
    if (key != "role" && key != "content" && !empty) {
      return make_error(400, param + " may hold role and content alone", param,
                        "unsupported_parameter");
    }
  }
  auto content = read_content(value.find("content"), param + ".content");
  if (!content) return content.error();
  return dialog::Message{*known, std::move(*content)};
}

dialog::Messages read_messages(Fields& fields) {
  const json::Value* value = fields.get("messages");
  if (value == nullptr || !value->is_array() || value->as_array().empty()) {
    fields.fail("messages", "messages must be an array of one or more messages");
    return {};
  }
  if (std::ssize(value->as_array()) > kMessagesMax) {
    fields.fail("messages", fmt::format("messages holds at most {} messages", kMessagesMax));
    return {};
  }
  dialog::Messages messages;
  for (const json::Value& item : value->as_array()) {
    auto message = read_message(item, fmt::format("messages[{}]", messages.size()));
    if (!message) {
      const ApiError& error = message.error();
      fields.fail(error.param, error.message, error.code);
      return {};
    }
    messages.push_back(std::move(*message));
  }
  return messages;
}

std::vector<Prompt> read_prompts(Fields& fields) {
  const json::Value* value = fields.get("prompt");
  if (value != nullptr && value->is_string()) return {value->as_string()};
  if (value != nullptr && is_ids(*value)) return {read_ids(*value)};
  std::vector<Prompt> prompts;
  if (value != nullptr && value->is_array() && std::ssize(value->as_array()) <= kPromptsMax) {
    for (const json::Value& item : value->as_array()) {
      if (item.is_string()) prompts.emplace_back(item.as_string());
      if (is_ids(item)) prompts.emplace_back(read_ids(item));
    }
    if (prompts.size() == value->as_array().size() && !prompts.empty()) return prompts;
  }
  fields.fail("prompt",
              fmt::format("prompt must be a string, an array of token ids, or an array of "
                          "1 to {} of these",
                          kPromptsMax));
  return {};
}

json::Value print_prompt(const Prompt& prompt) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  const auto& ids = std::get<std::vector<int32_t>>(prompt);
  return json::Array(ids.begin(), ids.end());
}

// {"enable_thinking": false}; what else a template may know is not understood here.
std::optional<bool> read_enable_thinking(Fields& fields) {
  const json::Value* options = fields.get("chat_template_kwargs");
  if (options == nullptr) return std::nullopt;
  if (!options->is_object()) {
    fields.fail("chat_template_kwargs", "chat_template_kwargs must be an object");
    return std::nullopt;
  }
  std::optional<bool> out;
  for (const auto& [key, value] : options->as_object()) {
    const std::string name = "chat_template_kwargs." + printable(key, 64);
    if (value.is_null()) continue;
    if (key != "enable_thinking") {
      fields.fail(name, name + " is not supported here", "unsupported_parameter");
    } else if (!value.is_bool()) {
      fields.fail(name, name + " must be true or false");
    } else {
      out = value.as_bool();
    }
  }
  return out;
}

// Nothing is generated when only the prompt is scored; otherwise zero tokens are no answer.
void check_max_tokens(Fields& fields, const Generation& generation, bool scores_prompt) {
  if (generation.max_tokens != 0 || scores_prompt) return;
  const char* name =
      fields.get("max_completion_tokens") != nullptr ? "max_completion_tokens" : "max_tokens";
  fields.fail(name, fmt::format("{} must be a whole number from 1 on", name));
}

std::optional<int64_t> read_best_of(Fields& fields, const Generation& generation) {
  const auto count = fields.integer("best_of", 1, kBestOfMax);
  if (count && *count < generation.n) {
    fields.fail("best_of", fmt::format("best_of must be n ({}) or more", generation.n));
  }
  if (count && *count > generation.n && generation.stream) {
    fields.fail("best_of", "the best answers are known at the end only: ask without stream");
  }
  return count;
}

}  // namespace

Parsed<ChatRequest> parse_chat_request(std::string_view body, int64_t top_logprobs_max) {
  const auto object = parse_object(body);
  if (!object) return object.error();
  Fields fields(*object);
  ChatRequest request;
  request.generation = read_generation(fields);
  request.messages = read_messages(fields);
  request.logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = read_alternatives(fields, "top_logprobs", top_logprobs_max);
  if (top.value_or(0) > 0 && !request.logprobs) {
    fields.fail("top_logprobs", "top_logprobs needs logprobs: true");
  }
  request.top_logprobs = top.value_or(0);
  request.prompt_logprobs = read_alternatives(fields, "prompt_logprobs", top_logprobs_max);
  request.enable_thinking = read_enable_thinking(fields);
  check_max_tokens(fields, request.generation, request.prompt_logprobs.has_value());
  fields.judge_rest();
  if (fields.error()) return *fields.error();
  return request;
}

Parsed<CompletionRequest> parse_completion_request(std::string_view body,
                                                   int64_t top_logprobs_max) {
  const auto object = parse_object(body);
  if (!object) return object.error();
  Fields fields(*object);
  CompletionRequest request;
  request.generation = read_generation(fields);
  request.prompts = read_prompts(fields);
  request.logprobs = read_alternatives(fields, "logprobs", top_logprobs_max);
  request.echo = fields.boolean("echo").value_or(false);
  request.prompt_logprobs = read_alternatives(fields, "prompt_logprobs", top_logprobs_max);
  request.best_of = read_best_of(fields, request.generation);
  check_max_tokens(fields, request.generation, request.echo || request.prompt_logprobs);
  fields.judge_rest();
  if (fields.error()) return *fields.error();
  return request;
}

json::Value print_request(const ChatRequest& request) {
  json::Value object = json::Value::object();
  write_generation(object, request.generation);
  json::Value messages = json::Value::array();
  for (const dialog::Message& message : request.messages) {
    messages.push(
        json::Value::object({{"role", dialog::name(message.role)}, {"content", message.content}}));
  }
  object.set("messages", std::move(messages));
  if (request.logprobs) object.set("logprobs", true);
  if (request.logprobs && request.top_logprobs > 0) {
    object.set("top_logprobs", request.top_logprobs);
  }
  if (request.prompt_logprobs) object.set("prompt_logprobs", *request.prompt_logprobs);
  if (request.enable_thinking) {
    object.set("chat_template_kwargs",
               json::Value::object({{"enable_thinking", *request.enable_thinking}}));
  }
  return object;
}

json::Value print_request(const CompletionRequest& request) {
  json::Value object = json::Value::object();
  write_generation(object, request.generation);
  json::Value prompts = json::Value::array();
  for (const Prompt& prompt : request.prompts) prompts.push(print_prompt(prompt));
  object.set("prompt", request.prompts.size() == 1 ? prompts.as_array()[0] : prompts);
  if (request.logprobs) object.set("logprobs", *request.logprobs);
  if (request.echo) object.set("echo", true);
  if (request.best_of) object.set("best_of", *request.best_of);
  if (request.prompt_logprobs) object.set("prompt_logprobs", *request.prompt_logprobs);
  return object;
}

}  // namespace retort::openai
