#include "collect/prompt_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/files.h"
#include "base/progress.h"
#include "json/value.h"

namespace retort::collect {
namespace {

using dialog::Message;
using dialog::Messages;
using dialog::Role;

constexpr int64_t kMaxFile_bytes = int64_t{2} << 30;
constexpr int64_t kMaxLine_bytes = int64_t{16} << 20;

struct Notes {
  int64_t answers_left_off = 0;
  std::set<std::string> batch_keys;  // members of a batch body that the run's options replace
};

Result<Role> role_of(const std::string& text) {
  if (const auto role = dialog::parse_role(text)) return *role;
  if (text == "human") return Role::user;
  if (text == "gpt") return Role::assistant;
  return base::bad_input(fmt::format("there is no role \"{}\"", text), "",
                         "the roles are system, user and assistant");
}

// `role_key` and `text_key` are "role", "content" or ShareGPT's "from", "value".
Result<Messages> read_messages(const json::Value& list, const char* role_key,
                               const char* text_key) {
  if (!list.is_array()) return base::bad_input("the messages are not a list");
  Messages out;
  for (const auto& item : list.as_array()) {
    RETORT_TRY(const std::string role_text, item.string_at(role_key));
    RETORT_TRY(const Role role, role_of(role_text));
    RETORT_TRY(std::string content, item.string_at(text_key));
    out.push_back({role, std::move(content)});
  }
  return out;
}

Result<Messages> user_message(const json::Value& line, const char* key) {
  RETORT_TRY(std::string text, line.string_at(key));
  return Messages{{Role::user, std::move(text)}};
}

Result<Messages> alpaca_messages(const json::Value& line) {
  RETORT_TRY(std::string text, line.string_at("instruction"));
  RETORT_TRY(const std::string input, line.string_at("input", ""));
  if (!input.empty()) text += "\n\n" + input;
  return Messages{{Role::user, std::move(text)}};
}

Result<Messages> batch_messages(const json::Value& body, Notes& notes) {
  const json::Value* messages = body.find("messages");
  if (messages == nullptr) {
    return base::bad_input("the batch line's body has no messages", "",
                           "only /v1/chat/completions lines can be asked");
  }
  for (const auto& [key, value] : body.as_object()) {
    if (key != "messages") notes.batch_keys.insert(key);
  }
  return read_messages(*messages, "role", "content");
}

Result<Messages> line_messages(const json::Value& line, Notes& notes) {
  if (const auto* body = line.find("body"); body != nullptr) return batch_messages(*body, notes);
  if (const auto* list = line.find("messages")) return read_messages(*list, "role", "content");
  if (const auto* list = line.find("conversations")) return read_messages(*list, "from", "value");
  if (const auto* prompt = line.find("prompt")) {
    if (prompt->is_array()) return read_messages(*prompt, "role", "content");
    return user_message(line, "prompt");
  }
  if (line.find("instruction") != nullptr) return alpaca_messages(line);
  if (line.find("text") != nullptr) return user_message(line, "text");
  return base::bad_input("the line holds no prompt", "",
                         "it needs \"messages\", \"prompt\" or \"text\"");
}

bool blank(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
}

Result<void> check_messages(Messages& messages, Notes& notes) {
  if (!messages.empty() && messages.back().role == Role::assistant) {
    messages.pop_back();
    ++notes.answers_left_off;
  }
  if (messages.empty()) return base::bad_input("the prompt has no messages");
  if (messages.back().role != Role::user) {
    return base::bad_input("the last message is not the user's");
  }
  for (const auto& message : messages) {
    if (blank(message.content)) return base::bad_input("the prompt has an empty message");
  }
  return {};
}

Result<std::map<std::string, std::string>> read_slots(const json::Value& line) {
  std::map<std::string, std::string> out;
  const json::Value* slots = line.find("slots");
  if (slots == nullptr) return out;
  if (!slots->is_object()) return base::bad_input("\"slots\" is not an object");
  for (const auto& [name, value] : slots->as_object()) {
    if (!value.is_string()) return base::bad_input("a slot's value is not a text", name);
    out[name] = value.as_string();
  }
  return out;
}

Result<Prompt> read_line(std::string_view text, Notes& notes) {
  json::ParseLimits limits;
  limits.size_bytes = kMaxLine_bytes;
  RETORT_TRY(const json::Value line, json::parse(text, "", limits));
  if (!line.is_object()) return base::bad_input("the line is not a JSON object");
  if (const auto* body = line.find("body"); body != nullptr && !body->is_object()) {
    return base::bad_input("\"body\" is not an object");
  }
  Prompt prompt;
  RETORT_TRY(prompt.messages, line_messages(line, notes));
  RETORT_TRY_VOID(check_messages(prompt.messages, notes));
  RETORT_TRY(prompt.slots, read_slots(line));
  return prompt;
}

std::vector<std::string> describe_notes(const Notes& notes) {
  std::vector<std::string> out;
  if (notes.answers_left_off > 0) {
    out.push_back(fmt::format("{} conversations end with an answer; it was left off",
                              base::grouped(notes.answers_left_off)));
  }
  if (!notes.batch_keys.empty()) {
    std::string keys;
    for (const auto& key : notes.batch_keys) keys += (keys.empty() ? "" : ", ") + key;
    out.push_back("the run's options stand in for these members of the batch lines: " + keys);
  }
  return out;
}

}  // namespace

Result<PromptList> parse_prompts(std::string_view text, const std::string& name) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  PromptList out;
  Notes notes;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (blank(line)) continue;
    const std::string where = fmt::format("{}:{}", name, number);
    auto prompt = read_line(line, notes);
    if (!prompt) return prompt.error().at(where);
    prompt->where = where;
    out.prompts.push_back(std::move(*prompt));
  }
  if (out.prompts.empty()) {
    return base::bad_input("the file holds no prompts", name, "write one JSON object a line");
  }
  out.notes = describe_notes(notes);
  return out;
}

Result<PromptList> read_prompt_file(const std::string& path) {
  RETORT_TRY(const std::string text, base::read_file(path, kMaxFile_bytes));
  return parse_prompts(text, path);
}

}  // namespace retort::collect
