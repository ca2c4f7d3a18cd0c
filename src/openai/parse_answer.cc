#include <fmt/core.h>

#include <limits>

#include "json/value.h"
#include "openai/answer.h"

namespace retort::openai {
namespace {

using json::Value;

constexpr json::ParseLimits kLimits = {.depth = 64, .size_bytes = int64_t{64} << 20};
// A count beyond this is a lie, and sums of them must not wrap.
constexpr int64_t kTokensMax = int64_t{1} << 40;
constexpr int64_t kIndexMax = 4096;

Error wrong(std::string_view what) {
  return base::bad_input(fmt::format("the answer's {} is not as it should be", what));
}

// null and missing are the same to all readers below.
const Value* present(const Value& object, std::string_view key) {
  const Value* value = object.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<int64_t> read_count(const Value& object, std::string_view key, int64_t highest) {
  const Value* value = present(object, key);
  if (value == nullptr) return 0;
  if (!value->is_int() || value->as_int() < 0 || value->as_int() > highest) return wrong(key);
  return value->as_int();
}

Result<std::optional<Usage>> read_usage(const Value& root) {
  const Value* value = present(root, "usage");
  if (value == nullptr) return std::optional<Usage>();
  if (!value->is_object()) return wrong("usage");
  Usage usage;
  RETORT_TRY(usage.prompt_tokens, read_count(*value, "prompt_tokens", kTokensMax));
  RETORT_TRY(usage.completion_tokens, read_count(*value, "completion_tokens", kTokensMax));
  if (const Value* details = present(*value, "prompt_tokens_details")) {
    RETORT_TRY(usage.cached_tokens, read_count(*details, "cached_tokens", kTokensMax));
  }
  return std::optional<Usage>(usage);
}

Result<TokenLogprob> read_token(const Value& value) {
  const Value* text = present(value, "token");
  const Value* logprob = present(value, "logprob");
  if (text == nullptr || !text->is_string() || logprob == nullptr || !logprob->is_number()) {
    return wrong("logprobs");
  }
  TokenLogprob token{text->as_string(), logprob->as_number(), {}};
  const Value* bytes = present(value, "bytes");
  if (bytes == nullptr) return token;
  if (!bytes->is_array()) return wrong("logprobs");
  token.bytes.clear();
  for (const Value& byte : bytes->as_array()) {
    if (!byte.is_int() || byte.as_int() < 0 || byte.as_int() > 255) return wrong("logprobs");
    token.bytes += static_cast<char>(byte.as_int());
  }
  return token;
}

Result<std::optional<std::string>> read_text(const Value& object, std::string_view key) {
  const Value* value = present(object, key);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return wrong(key);
  return std::optional<std::string>(value->as_string());
}

Result<ChatChoice> read_choice(const Value& value, const char* message_key) {
  if (!value.is_object()) return wrong("choices");
  ChatChoice choice;
  RETORT_TRY(choice.index, read_count(value, "index", kIndexMax));
  RETORT_TRY(choice.finish_reason, value.string_at("finish_reason", ""));
  RETORT_TRY(choice.logprobs, parse_chat_logprobs(value));
  const Value* message = present(value, message_key);
  if (message == nullptr || !message->is_object()) return wrong(message_key);
  RETORT_TRY(const std::string role, message->string_at("role", ""));
  choice.opens = !role.empty();
  RETORT_TRY(choice.content, read_text(*message, "content"));
  RETORT_TRY(choice.refusal, read_text(*message, "refusal"));
  const Value* calls = present(*message, "tool_calls");
  choice.tool_calls = (calls != nullptr && calls->is_array() && !calls->as_array().empty()) ||
                      present(*message, "function_call") != nullptr;
  return choice;
}

// What all answers have; `choices` is a list, or the peer's error is in `error`.
template <class Answer>
Result<Value> read_head(std::string_view body, Answer& answer) {
  RETORT_TRY(Value root, json::parse(body, "the answer", kLimits));
  if (!root.is_object()) return base::bad_input("the answer is no JSON object");
  const Value* object = present(root, "object");
  const bool marked = object != nullptr && object->is_string() && object->as_string() == "error";
  if (present(root, "error") != nullptr || marked) {
    answer.error = parse_error(200, body);
    return root;
  }
  RETORT_TRY(answer.id, root.string_at("id", ""));
  RETORT_TRY(answer.model, root.string_at("model", ""));
  const Value* created = present(root, "created");
  // Some servers write the time as a fraction.
  if (created != nullptr && created->is_int()) answer.created = created->as_int();
  RETORT_TRY(answer.usage, read_usage(root));
  const Value* choices = present(root, "choices");
  if (choices == nullptr || !choices->is_array()) return wrong("choices");
  return root;
}

Result<ChatAnswer> read_chat(std::string_view body, const char* message_key) {
  ChatAnswer answer;
  RETORT_TRY(const Value root, read_head(body, answer));
  if (answer.error) return answer;
  for (const Value& value : root.find("choices")->as_array()) {
    RETORT_TRY(ChatChoice choice, read_choice(value, message_key));
    answer.choices.push_back(std::move(choice));
  }
  return answer;
}

Result<std::vector<std::pair<std::string, double>>> read_alternatives(const Value& value) {
  std::vector<std::pair<std::string, double>> alternatives;
  if (value.is_null()) return alternatives;
  if (!value.is_object()) return wrong("top_logprobs");
  for (const auto& [token, logprob] : value.as_object()) {
    if (!logprob.is_number()) return wrong("top_logprobs");
    alternatives.emplace_back(token, logprob.as_number());
  }
  return alternatives;
}

// One of the parallel lists; nullptr when it is missing.
Result<const json::Array*> read_list(const Value& logprobs, std::string_view key) {
  const Value* value = present(logprobs, key);
  if (value == nullptr) return static_cast<const json::Array*>(nullptr);
  if (!value->is_array()) return wrong(key);
  return &value->as_array();
}

Result<CompletionLogprobs> read_completion_logprobs(const Value& value) {
  CompletionLogprobs out;
  RETORT_TRY(const json::Array* tokens, read_list(value, "tokens"));
  RETORT_TRY(const json::Array* logprobs, read_list(value, "token_logprobs"));
  RETORT_TRY(const json::Array* top, read_list(value, "top_logprobs"));
  RETORT_TRY(const json::Array* offsets, read_list(value, "text_offset"));
  if (tokens == nullptr || logprobs == nullptr) return wrong("logprobs");
  const size_t count = tokens->size();
  if (logprobs->size() != count || (top != nullptr && top->size() != count) ||
      (offsets != nullptr && offsets->size() != count)) {
    return wrong("logprobs");
  }
  for (size_t i = 0; i < count; ++i) {
    const Value& token = (*tokens)[i];
    const Value& logprob = (*logprobs)[i];
    if (!token.is_string() || !(logprob.is_number() || logprob.is_null())) return wrong("logprobs");
    out.tokens.push_back(token.as_string());
    out.token_logprobs.push_back(logprob.is_null() ? std::nullopt
                                                   : std::optional(logprob.as_number()));
    if (top != nullptr) {
      RETORT_TRY(auto alternatives, read_alternatives((*top)[i]));
      out.top_logprobs.push_back(std::move(alternatives));
    }
    if (offsets != nullptr) {
      if (!(*offsets)[i].is_int()) return wrong("text_offset");
      out.text_offset.push_back((*offsets)[i].as_int());
    }
  }
  return out;
}

}  // namespace

Result<std::optional<std::vector<TokenLogprob>>> parse_chat_logprobs(const Value& choice) {
  using Tokens = std::optional<std::vector<TokenLogprob>>;
  const Value* logprobs = present(choice, "logprobs");
  if (logprobs == nullptr) return Tokens();
  const Value* content = present(*logprobs, "content");
  if (content == nullptr) return Tokens();
  if (!content->is_array()) return wrong("logprobs");
  std::vector<TokenLogprob> tokens;
  for (const Value& item : content->as_array()) {
    RETORT_TRY(TokenLogprob token, read_token(item));
    if (const Value* top = present(item, "top_logprobs")) {
      if (!top->is_array()) return wrong("top_logprobs");
      for (const Value& other : top->as_array()) {
        RETORT_TRY(TokenLogprob alternative, read_token(other));
        token.top.push_back(std::move(alternative));
      }
    }
    tokens.push_back(std::move(token));
  }
  return Tokens(std::move(tokens));
}

Result<ChatAnswer> parse_chat_answer(std::string_view body) {
  return read_chat(body, "message");
}
Result<ChatAnswer> parse_chat_piece(std::string_view data) {
  return read_chat(data, "delta");
}

Result<CompletionAnswer> parse_completion(std::string_view body) {
  CompletionAnswer answer;
  RETORT_TRY(const Value root, read_head(body, answer));
  if (answer.error) return answer;
  for (const Value& value : root.find("choices")->as_array()) {
    if (!value.is_object()) return wrong("choices");
    CompletionChoice choice;
    RETORT_TRY(choice.index, read_count(value, "index", kIndexMax));
    RETORT_TRY(choice.text, value.string_at("text"));
    RETORT_TRY(choice.finish_reason, value.string_at("finish_reason", ""));
    if (const Value* logprobs = present(value, "logprobs")) {
      RETORT_TRY(auto read, read_completion_logprobs(*logprobs));
      choice.logprobs = std::move(read);
    }
    answer.choices.push_back(std::move(choice));
  }
  return answer;
}

Result<std::vector<std::string>> parse_models(std::string_view body) {
  RETORT_TRY(const Value root, json::parse(body, "the list of models", kLimits));
  const Value* data = present(root, "data");
  if (data == nullptr || !data->is_array()) return wrong("data");
  std::vector<std::string> ids;
  for (const Value& item : data->as_array()) {
    RETORT_TRY(std::string id, item.string_at("id"));
    ids.push_back(std::move(id));
  }
  return ids;
}

}  // namespace retort::openai
