#include "relay/request.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "json/append.h"
#include "json/value.h"

namespace retort::relay {
namespace {

using openai::make_error;
using openai::Parsed;

constexpr int64_t kTemplateTokens = 256;  // what an upstream's chat template may add by itself
constexpr size_t kNameBytesShown = 64;
constexpr json::ParseLimits kBodyLimits = {.depth = 64, .size_bytes = int64_t{16} << 20};

// Passed on as they are.
constexpr auto kPassed = std::to_array<std::string_view>({"model",
                                                          "messages",
                                                          "prompt",
                                                          "max_tokens",
                                                          "n",
                                                          "stream",
                                                          "temperature",
                                                          "max_completion_tokens",
                                                          "top_p",
                                                          "top_k",
                                                          "min_p",
                                                          "repetition_penalty",
                                                          "stop",
                                                          "seed",
                                                          "logit_bias",
                                                          "presence_penalty",
                                                          "logprobs",
                                                          "top_logprobs",
                                                          "response_format",
                                                          "frequency_penalty",
                                                          "tools",
                                                          "tool_choice",
                                                          "functions",
                                                          "parallel_tool_calls",
                                                          "function_call",
                                                          "reasoning_effort",
                                                          "verbosity",
                                                          "chat_template_kwargs",
                                                          "suffix",
                                                          "echo",
                                                          "best_of",
                                                          "ignore_eos",
                                                          "stop_token_ids"});
// Of these what a model reads.
constexpr auto kRead = std::to_array<std::string_view>(
    {"messages", "prompt", "tools", "functions", "response_format", "suffix"});
// Taken and dropped: they change no answer, and who asks is not the upstream's to know.
constexpr auto kDropped = std::to_array<std::string_view>(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
     "stream_options", "prompt_cache_retention"});

template <class List>
bool holds(const List& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

openai::ApiError wrong(const std::string& param, const std::string& what) {
  return make_error(400, param + " " + what, param);
}

class Reader {
 public:
  Reader(Kind kind, const Bounds& bounds) : kind_(kind), bounds_(bounds) {}

  Parsed<Asked> read(json::Value root, const std::string& model) {
    if (!check_fields(root)) return error_;
    read_options(root);
    root.set("model", model);
    kind_ == Kind::chat ? read_messages(root) : read_prompts(root);
    if (failed_) return error_;
    out_.body.reserve(bytes_likely_ + 256);
    write(root);
    bound(root);
    if (failed_) return error_;
    out_.body += '}';
    return std::move(out_);
  }

 private:
  void fail(openai::ApiError error) {
    if (!failed_) error_ = std::move(error);
    failed_ = true;
  }

  void write_member(std::string_view key, const json::Value& value) {
    out_.body += out_.body.empty() ? '{' : ',';
    json::append_quoted(out_.body, key);
    out_.body += ':';
    json::append_dump(out_.body, value);
  }

  // Everything but the end, and counts the bytes of what the model will read: prompts with names,
  // roles, calls of tools and the marks between them; of ids as well, each being two bytes or more.
  void write(const json::Value& root) {
    for (const auto& [key, value] : root.as_object()) {
      const size_t before = out_.body.size();
      write_member(key, value);
      if (holds(kRead, key)) bytes_ += std::ssize(out_.body) - static_cast<int64_t>(before);
    }
    if (out_.stream) {
      write_member("stream_options", json::Value::object({{"include_usage", true}}));
    }
  }

  // Leaves in `root` what is passed on.
  bool check_fields(json::Value& root) {
    json::Object kept;
    kept.reserve(root.as_object().size());
    for (auto& [key, value] : root.as_object()) {
      if (key == "stream_options") read_stream_options(value);
      if (value.is_null() || holds(kDropped, key)) continue;
      if (!holds(kPassed, key)) {
        const std::string name = key.substr(0, kNameBytesShown);
        fail(make_error(400, name + " is not passed on here", name, "unsupported_parameter"));
        return false;
      }
      kept.emplace_back(std::move(key), std::move(value));
    }
    root.as_object() = std::move(kept);
    return !failed_;
  }

  void read_stream_options(const json::Value& options) {
    const auto* wanted = options.find("include_usage");
    out_.usage_wanted = wanted != nullptr && wanted->is_bool() && wanted->as_bool();
  }

  int64_t whole(const json::Value& root, const char* key, int64_t otherwise, int64_t most) {
    const auto* value = root.find(key);
    if (value == nullptr) return otherwise;
    if (value->is_int() && value->as_int() >= 1 && value->as_int() <= most) return value->as_int();
    fail(wrong(key, fmt::format("must be a whole number from 1 to {}", most)));
    return otherwise;
  }

  bool flag(const json::Value& root, const char* key) {
    const auto* value = root.find(key);
    if (value != nullptr && !value->is_bool()) fail(wrong(key, "must be true or false"));
    return value != nullptr && value->is_bool() && value->as_bool();
  }

  void read_options(const json::Value& root) {
    out_.stream = flag(root, "stream");
    out_.answers = whole(root, "n", 1, bounds_.max_answers);
    out_.answers = std::max(out_.answers, whole(root, "best_of", 1, bounds_.max_answers));
    // Of a chat a flag, of a completion how many.
    const auto* logprobs = root.find("logprobs");
    out_.logprobs = logprobs != nullptr && !(logprobs->is_bool() && !logprobs->as_bool());
    const auto* tools = root.find("tools");
    out_.tools = tools != nullptr && tools->is_array() && !tools->as_array().empty();
    const auto* temperature = root.find("temperature");
    if (temperature != nullptr && !temperature->is_number()) {
      fail(wrong("temperature", "must be a number"));
    } else if (temperature != nullptr) {
      out_.temperature = temperature->as_number();
    }
  }

  void read_messages(const json::Value& root) {
    const auto* messages = root.find("messages");
    if (messages == nullptr || !messages->is_array() || messages->as_array().empty()) {
      return fail(wrong("messages", "must be an array of one or more messages"));
    }
    out_.turns.reserve(messages->as_array().size());
    for (const auto& message : messages->as_array()) {
      const auto param = [this](const char* of) {
        return fmt::format("messages[{}].{}", out_.turns.size(), of);
      };
      const auto* role = message.find("role");
      if (role == nullptr || !role->is_string()) {
        return fail(wrong(param("role"), "must be a string"));
      }
      const auto* content = message.find("content");
      if (content != nullptr && content->is_string()) {
        bytes_likely_ += content->as_string().size();
        out_.turns.emplace_back(role->as_string(), content->as_string());
        continue;
      }
      auto text = text_of(content, param("content"));
      if (failed_) return;
      out_.turns.emplace_back(role->as_string(), std::move(text));
    }
  }

  // Of one that is no string. Of a part that is no text nobody here knows what it costs.
  std::string text_of(const json::Value* content, const std::string& param) {
    if (content == nullptr || content->is_null()) return "";  // calls of tools alone
    std::string out;
    if (!content->is_array()) fail(wrong(param, "must be a string or an array of text parts"));
    if (failed_) return out;
    for (const auto& part : content->as_array()) {
      const auto* text = part.find("text");
      const auto* type = part.find("type");
      const bool is_text = type != nullptr && type->is_string() && type->as_string() == "text";
      if (!is_text || text == nullptr || !text->is_string()) {
        fail(make_error(400, param + " may hold parts of type \"text\" alone", param,
                        "unsupported_content"));
        return out;
      }
      out += text->as_string();
    }
    return out;
  }

  static bool is_ids(const json::Value& value) {
    return value.is_array() && !value.as_array().empty() && value.as_array()[0].is_int();
  }

  // A text, a list of token ids, or a list of these.
  void read_prompts(const json::Value& root) {
    const auto* prompt = root.find("prompt");
    if (prompt == nullptr || (!prompt->is_string() && !prompt->is_array())) {
      return fail(wrong("prompt", "must be a string or an array"));
    }
    const bool many = prompt->is_array() && !is_ids(*prompt);
    const json::Value* first = prompt;
    if (many) {
      if (prompt->as_array().empty()) return fail(wrong("prompt", "must not be empty"));
      out_.answers *= std::ssize(prompt->as_array());
      first = prompt->as_array().data();
    }
    out_.turns.emplace_back("user", first->is_string() ? first->as_string() : "");
    if (out_.answers > bounds_.max_answers) {
      fail(wrong("prompt", fmt::format("asks for more than {} answers", bounds_.max_answers)));
    }
  }

  void bound(const json::Value& root) {
    const char* key =
        root.find("max_completion_tokens") != nullptr ? "max_completion_tokens" : "max_tokens";
    out_.max_tokens = whole(root, key, 0, bounds_.max_tokens);
    if (out_.max_tokens == 0) write_member(key, bounds_.max_tokens);
    const int64_t each = out_.max_tokens == 0 ? bounds_.max_tokens : out_.max_tokens;
    out_.input_tokens_most = bytes_ + kTemplateTokens;
    out_.input_tokens_likely = (bytes_ + kBytesPerToken - 1) / kBytesPerToken;
    out_.output_tokens_most = each * out_.answers;
    if (out_.output_tokens_most > bounds_.max_request_tokens) {
      fail(wrong(key, fmt::format("times the answers is more than the {} tokens that a request may "
                                  "have",
                                  bounds_.max_request_tokens)));
    }
  }

  Kind kind_;
  const Bounds& bounds_;
  Asked out_;
  int64_t bytes_ = 0;
  size_t bytes_likely_ = 0;  // of the body
  bool failed_ = false;
  openai::ApiError error_;
};

}  // namespace

Parsed<json::Value> parse_request(std::string_view body) {
  auto root = json::parse(body, "the body", kBodyLimits);
  if (!root) return make_error(400, "the body is no JSON: " + root.error().message);
  if (!root->is_object()) return make_error(400, "the body must be a JSON object");
  return std::move(*root);
}

const std::string* model_of(const json::Value& request) {
  const auto* model = request.find("model");
  return model != nullptr && model->is_string() ? &model->as_string() : nullptr;
}

Parsed<Asked> read_request(Kind kind, json::Value request, const std::string& model,
                           const Bounds& bounds) {
  return Reader(kind, bounds).read(std::move(request), model);
}

}  // namespace retort::relay
