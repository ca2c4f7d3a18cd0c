#include <algorithm>
#include <cmath>

#include "json/value.h"
#include "openai/answer.h"
#include "openai/text.h"

namespace retort::openai {
namespace {

using json::Array;
using json::Value;

// OpenAI's spelling of "so unlikely that it has no number".
constexpr double kLogprobLowest = -9999.0;

Value logprob_value(double logprob) {
  return std::isnan(logprob) ? kLogprobLowest : std::max(kLogprobLowest, logprob);
}

Value or_null(const std::string& text) {
  return text.empty() ? Value() : Value(text);
}

Value print_usage(const Usage& usage) {
  return Value::object(
      {{"prompt_tokens", usage.prompt_tokens},
       {"completion_tokens", usage.completion_tokens},
       {"total_tokens", usage.total_tokens()},
       {"prompt_tokens_details", Value::object({{"cached_tokens", usage.cached_tokens}})}});
}

Value print_token(const TokenLogprob& token) {
  Array bytes;
  for (const char c : token.bytes) bytes.emplace_back(static_cast<int>(static_cast<uint8_t>(c)));
  return Value::object({{"token", is_utf8(token.bytes) ? token.bytes : hex_escaped(token.bytes)},
                        {"logprob", logprob_value(token.logprob)},
                        {"bytes", std::move(bytes)}});
}

Value print_logprobs(const std::optional<std::vector<TokenLogprob>>& logprobs) {
  if (!logprobs) return Value();
  Array content;
  for (const TokenLogprob& token : *logprobs) {
    Array top;
    for (const TokenLogprob& other : token.top) top.push_back(print_token(other));
    content.push_back(print_token(token).set("top_logprobs", std::move(top)));
  }
  return Value::object({{"content", std::move(content)}, {"refusal", Value()}});
}

Value print_choice(const ChatChoice& choice, bool piece) {
  Value message = Value::object();
  if (!piece || choice.opens) message.set("role", "assistant");
  if (!piece || choice.content) {
    message.set("content", choice.content ? Value(*choice.content) : Value());
  }
  if (!piece || choice.refusal) {
    message.set("refusal", choice.refusal ? Value(*choice.refusal) : Value());
  }
  return Value::object({{"index", choice.index},
                        {piece ? "delta" : "message", std::move(message)},
                        {"logprobs", print_logprobs(choice.logprobs)},
                        {"finish_reason", or_null(choice.finish_reason)}});
}

Value print_chat(const ChatAnswer& answer, bool piece) {
  Array choices;
  for (const ChatChoice& choice : answer.choices) choices.push_back(print_choice(choice, piece));
  return Value::object({{"id", answer.id},
                        {"object", piece ? "chat.completion.chunk" : "chat.completion"},
                        {"created", answer.created},
                        {"model", answer.model},
                        {"choices", std::move(choices)}});
}

Value print_prompt_logprobs(const PromptLogprobs& logprobs) {
  Array tokens;
  for (const auto& entries : logprobs) {
    Value object = Value::object();
    for (const PromptLogprob& entry : entries) {
      object.set(std::to_string(entry.id),
                 Value::object({{"logprob", logprob_value(entry.logprob)},
                                {"rank", entry.rank > 0 ? Value(entry.rank) : Value()},
                                {"decoded_token", completion_token_text(entry.bytes)}}));
    }
    tokens.push_back(entries.empty() ? Value() : std::move(object));
  }
  return tokens;
}

Value print_logprobs(const CompletionLogprobs& logprobs) {
  Array tokens(logprobs.tokens.begin(), logprobs.tokens.end());
  Array values;
  for (const auto& value : logprobs.token_logprobs) {
    values.push_back(value ? logprob_value(*value) : Value());
  }
  Array top;
  for (const auto& alternatives : logprobs.top_logprobs) {
    Value entry = Value::object();
    for (const auto& [token, logprob] : alternatives) {
      // Two tokens may have one text; the likelier comes first and stays.
      if (entry.find(token) == nullptr) entry.set(token, logprob_value(logprob));
    }
    // A first echoed token has none, as it has no log-probability.
    top.push_back(alternatives.empty() ? Value() : std::move(entry));
  }
  Array offsets(logprobs.text_offset.begin(), logprobs.text_offset.end());
  return Value::object({{"tokens", std::move(tokens)},
                        {"token_logprobs", std::move(values)},
                        {"top_logprobs", std::move(top)},
                        {"text_offset", std::move(offsets)}});
}

Value print_model_value(const ModelCard& model) {
  return Value::object({{"id", model.id},
                        {"object", "model"},
                        {"created", model.created},
                        {"owned_by", model.owned_by}});
}

}  // namespace

std::string print_chat_answer(const ChatAnswer& answer) {
  Value object = print_chat(answer, /*piece=*/false);
  if (answer.prompt_logprobs) {
    object.set("prompt_logprobs", print_prompt_logprobs(*answer.prompt_logprobs));
  }
  if (answer.usage) object.set("usage", print_usage(*answer.usage));
  return json::dump(object);
}

std::string print_chat_piece(const ChatAnswer& piece, bool usage_follows) {
  Value object = print_chat(piece, /*piece=*/true);
  if (piece.usage) {
    object.set("usage", print_usage(*piece.usage));
  } else if (usage_follows) {
    object.set("usage", Value());
  }
  return json::dump(object);
}

std::string print_completion(const CompletionAnswer& answer, bool usage_follows) {
  Array choices;
  for (const CompletionChoice& choice : answer.choices) {
    choices.push_back(
        Value::object({{"index", choice.index},
                       {"text", choice.text},
                       {"logprobs", choice.logprobs ? print_logprobs(*choice.logprobs) : Value()},
                       {"finish_reason", or_null(choice.finish_reason)}}));
    if (choice.prompt_logprobs) {
      choices.back().set("prompt_logprobs", print_prompt_logprobs(*choice.prompt_logprobs));
    }
  }
  Value object = Value::object({{"id", answer.id},
                                {"object", "text_completion"},
                                {"created", answer.created},
                                {"model", answer.model},
                                {"choices", std::move(choices)}});
  if (answer.usage) {
    object.set("usage", print_usage(*answer.usage));
  } else if (usage_follows) {
    object.set("usage", Value());
  }
  return json::dump(object);
}

std::string completion_token_text(std::string_view bytes) {
  return is_utf8(bytes) ? std::string(bytes) : "bytes:" + hex_escaped(bytes);
}

std::string print_model(const ModelCard& model) {
  return json::dump(print_model_value(model));
}

std::string print_models(const std::vector<ModelCard>& models) {
  Array data;
  for (const ModelCard& model : models) data.push_back(print_model_value(model));
  return json::dump(Value::object({{"object", "list"}, {"data", std::move(data)}}));
}

}  // namespace retort::openai
