#include "tokenizer/chat.h"

#include <fmt/core.h>

#include "tokenizer/template_text_internal.h"

namespace retort::tokenizer {
namespace {

constexpr std::string_view kStart = "<|im_start|>";
constexpr std::string_view kStop = "<|im_end|>";
constexpr std::string_view kDefaultSystem =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

struct Family {
  const char* name;
  ChatTemplate family;
};
constexpr Family kFamilies[] = {{"chatml", ChatTemplate::chatml},
                                {"smollm2", ChatTemplate::smollm2}};

const char* smollm2_template_text() {
  return R"({% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %})"
         R"({{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %})";
}

Result<ChatTemplate> recognise(const std::string& text, const std::string& forced) {
  constexpr const char* kHint = "name one of chatml, smollm2 with --chat-template";
  if (!forced.empty()) {
    for (const Family& known : kFamilies) {
      if (forced == known.name) return known.family;
    }
    return base::usage_error(fmt::format("the chat template \"{}\" is not known", forced), "",
                             kHint);
  }
  if (text.empty()) return base::bad_input("the vocabulary has no chat template", "", kHint);
  const std::string plain = plain_template(text);
  if (plain == plain_template(chatml_template_text())) return ChatTemplate::chatml;
  if (plain == plain_template(smollm2_template_text())) return ChatTemplate::smollm2;
  return base::bad_input("the vocabulary's chat template is of no known family", "", kHint);
}

void append(std::vector<TokenId>& out, const std::vector<TokenId>& ids) {
  out.insert(out.end(), ids.begin(), ids.end());
}

}  // namespace

std::string chatml_template_text() {
  return "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
         "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}"
         "{{ '<|im_start|>assistant\\n' }}{% endif %}";
}

Result<ChatFormat> ChatFormat::detect(const Tokenizer& tokenizer, const std::string& forced) {
  RETORT_TRY(const ChatTemplate family, recognise(tokenizer.vocabulary().chat_template, forced));
  const TokenId start = tokenizer.special(kStart);
  const TokenId stop = tokenizer.special(kStop);
  if (start < 0 || stop < 0) {
    return base::bad_input(
        fmt::format("the vocabulary lacks the special token {}, which its chat "
                    "template needs",
                    start < 0 ? kStart : kStop));
  }
  return ChatFormat(family, start, stop);
}

Rendered ChatFormat::render(const Tokenizer& tokenizer, const dialog::Messages& messages,
                            bool open_assistant) const {
  Rendered out;
  const auto line_end = tokenizer.encode("\n");
  const auto open = [&](std::string_view text) {
    out.ids.push_back(start_);
    append(out.ids, tokenizer.encode(text));
    out.trained.resize(out.ids.size(), false);
  };
  const auto close = [&](bool trained) {
    out.ids.push_back(stop_);
    out.trained.push_back(trained);
    append(out.ids, line_end);
    out.trained.resize(out.ids.size(), false);
  };
  const bool needs_system = family_ == ChatTemplate::smollm2 && !messages.empty() &&
                            messages[0].role != dialog::Role::system;
  if (needs_system) {
    open(std::string("system\n") + std::string(kDefaultSystem));
    close(/*trained=*/false);
  }
  for (const dialog::Message& message : messages) {
    const std::string head = std::string(dialog::name(message.role)) + "\n";
    if (message.role == dialog::Role::assistant) {
      // Apart from its head: the answer gets the ids it had when it was generated after that head.
      open(head);
      append(out.ids, tokenizer.encode(message.content));
      out.trained.resize(out.ids.size(), true);
      close(/*trained=*/!open_assistant);
    } else {
      open(head + message.content);
      close(/*trained=*/false);
    }
  }
  if (open_assistant) {
    open("assistant\n");
    out.trained.assign(out.ids.size(), false);
  }
  return out;
}

}  // namespace retort::tokenizer
