#include "openai/sglang.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "openai/fields_internal.h"
#include "openai/text.h"

namespace retort::openai {
namespace {

using json::Array;
using json::Value;

constexpr int64_t kNewTokensDefault = 128;  // SGLang's

// Only the value that asks for nothing can be given.
void want(Fields& fields, const char* key, bool neutral) {
  if (fields.boolean(key).value_or(neutral) == neutral) return;
  fields.fail(key, fmt::format("{} may only be {} here", key, neutral), "unsupported_parameter");
}

Generation read_sampling_params(const Value& object, std::optional<ApiError>& error) {
  Fields fields(object);
  Generation out = read_sampling(fields);
  out.max_tokens = fields.integer("max_new_tokens", 0, std::numeric_limits<int64_t>::max())
                       .value_or(kNewTokensDefault);
  out.seed = fields.integer("sampling_seed", std::numeric_limits<int64_t>::min(),
                            std::numeric_limits<int64_t>::max());
  fields.integer("min_new_tokens", 0, 0);
  const Value* patterns = fields.get("stop_regex");
  if (patterns != nullptr && !(patterns->is_array() && patterns->as_array().empty())) {
    fields.fail("stop_regex", "stop_regex is not supported here", "unsupported_parameter");
  }
  want(fields, "skip_special_tokens", true);
  want(fields, "no_stop_trim", false);
  fields.boolean("spaces_between_special_tokens");  // of which none is printed
  fields.judge_rest();
  error = fields.error();
  return out;
}

// "text" is a string or a list of strings, "input_ids" a list of ids or a list of such lists.
std::vector<Prompt> read_inputs(Fields& fields, bool& many) {
  const Value* text = fields.get("text");
  const Value* ids = fields.get("input_ids");
  const auto fail = [&](const char* key) {
    fields.fail(key, fmt::format("give either text, a string or up to {} strings, or input_ids, a "
                                 "list of token ids or up to {} such lists",
                                 kPromptsMax, kPromptsMax));
    return std::vector<Prompt>{};
  };
  if ((text == nullptr) == (ids == nullptr)) return fail("text");
  const char* key = text != nullptr ? "text" : "input_ids";
  const Value& given = text != nullptr ? *text : *ids;
  if (text != nullptr && given.is_string()) return {given.as_string()};
  if (ids != nullptr && is_ids(given)) return {read_ids(given)};
  many = true;
  if (!given.is_array() || given.as_array().empty() || std::ssize(given.as_array()) > kPromptsMax) {
    return fail(key);
  }
  std::vector<Prompt> prompts;
  for (const Value& item : given.as_array()) {
    if (text != nullptr ? !item.is_string() : !is_ids(item)) return fail(key);
    prompts.push_back(text != nullptr ? Prompt(item.as_string()) : Prompt(read_ids(item)));
  }
  return prompts;
}

Value print_entry(const GenerateAnswer& answer, const TokenLogprob& token) {
  Value text;
  if (answer.text_in_logprobs) text = is_utf8(token.bytes) ? token.bytes : "\uFFFD";
  return Array{std::isnan(token.logprob) ? Value() : Value(token.logprob), int64_t{token.id},
               std::move(text)};
}

Value print_entries(const GenerateAnswer& answer, const std::vector<TokenLogprob>& tokens) {
  Array out;
  for (const TokenLogprob& token : tokens) out.push_back(print_entry(answer, token));
  return out;
}

// A token without a context has no alternatives either: null.
Value print_top(const GenerateAnswer& answer, const std::vector<TokenLogprob>& tokens) {
  Array out;
  for (const TokenLogprob& token : tokens) {
    out.push_back(std::isnan(token.logprob) ? Value() : print_entries(answer, token.top));
  }
  return out;
}

Value print_finish(const GenerateAnswer& answer) {
  if (answer.finish_reason.empty()) return Value();
  if (answer.finish_reason == "length") {
    return Value::object({{"type", "length"}, {"length", answer.usage.completion_tokens}});
  }
  Value matched = answer.stop_string;
  if (answer.stop_token >= 0) matched = int64_t{answer.stop_token};
  return Value::object({{"type", answer.finish_reason}, {"matched", std::move(matched)}});
}

Value print_one(const GenerateAnswer& answer) {
  Value meta = Value::object({{"id", answer.id},
                              {"finish_reason", print_finish(answer)},
                              {"prompt_tokens", answer.usage.prompt_tokens},
                              {"completion_tokens", answer.usage.completion_tokens},
                              {"cached_tokens", answer.usage.cached_tokens}});
  if (answer.logprobs) {
    meta.set("input_token_logprobs", print_entries(answer, answer.input_tokens));
    meta.set("output_token_logprobs", print_entries(answer, answer.output_tokens));
    meta.set("output_token_logprobs_length", std::ssize(answer.output_tokens));
  }
  if (answer.logprobs && answer.top_logprobs > 0) {
    meta.set("input_top_logprobs", print_top(answer, answer.input_tokens));
    meta.set("output_top_logprobs", print_top(answer, answer.output_tokens));
  }
  Value out =
      Value::object({{"text", answer.text},
                     {"output_ids", Array(answer.output_ids.begin(), answer.output_ids.end())},
                     {"meta_info", std::move(meta)}});
  if (answer.index >= 0) out.set("index", answer.index);
  return out;
}

}  // namespace

Parsed<GenerateRequest> parse_generate_request(std::string_view body, int64_t top_logprobs_max) {
  const auto object = parse_object(body);
  if (!object) return object.error();
  Fields fields(*object);
  GenerateRequest request;
  request.prompts = read_inputs(fields, request.many);
  const Value* sampling = fields.get("sampling_params");
  if (sampling != nullptr && !sampling->is_object()) {
    fields.fail("sampling_params", "sampling_params must be an object, one for all prompts");
  }
  std::optional<ApiError> wrong;
  const Value none = Value::object();
  request.generation =
      read_sampling_params(sampling != nullptr && sampling->is_object() ? *sampling : none, wrong);
  request.generation.stream = fields.boolean("stream").value_or(false);
  request.logprobs = fields.boolean("return_logprob").value_or(false);
  const auto start =
      fields.integer("logprob_start_len", -1, std::numeric_limits<int64_t>::max()).value_or(-1);
  const auto top = read_alternatives(fields, "top_logprobs_num", top_logprobs_max).value_or(0);
  // Without return_logprob SGLang takes these two and does nothing with them.
  if (request.logprobs) request.logprob_start = start;
  if (request.logprobs) request.top_logprobs = top;
  request.text_in_logprobs = fields.boolean("return_text_in_logprobs").value_or(false);
  if (request.logprobs && request.generation.stream) {
    fields.fail("return_logprob", "log-probabilities are not streamed here; ask without stream");
  }
  fields.text("rid");
  fields.boolean("log_metrics");
  fields.judge_rest();
  if (fields.error()) return *fields.error();
  if (wrong) return *wrong;
  return request;
}

std::string print_generate_answer(const GenerateAnswer& answer) {
  return json::dump(print_one(answer));
}

std::string print_generate_answers(const std::vector<GenerateAnswer>& answers) {
  Array out;
  for (const GenerateAnswer& answer : answers) out.push_back(print_one(answer));
  return json::dump(Value(std::move(out)));
}

}  // namespace retort::openai
