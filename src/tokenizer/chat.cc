#include "tokenizer/chat.h"

#include <fmt/core.h>

#include "tokenizer/chat_style_internal.h"

namespace retort::tokenizer {
namespace {

std::string hint() {
  return "name one of " + chat_template_names() + " with --chat-template";
}

Result<ChatStyle> recognise(const std::string& text) {
  if (text.empty()) return base::bad_input("the vocabulary has no chat template", "", hint());
  const MaskedTemplate masked = mask_default_system(text);
  if (auto known = style_by_digest(template_digest(masked), masked.default_system)) return *known;
  auto marked = style_by_marks(masked.plain, masked.default_system);
  if (marked) return marked;
  return base::bad_input(fmt::format("the vocabulary's chat template is of no known family: {}",
                                     marked.error().message),
                         "", hint());
}

Result<ChatStyle> choose(const std::string& text, const std::string& forced) {
  if (forced.empty()) return recognise(text);
  RETORT_TRY_VOID(check_chat_template(forced));
  const ChatStyle named = *style_by_name(forced);
  // Families have variants: the vocabulary's own text knows better which one it is.
  auto own = recognise(text);
  if (own && std::string_view(own->name) == named.name) return own;
  return named;
}

Error lacks(std::string_view what) {
  return base::bad_input(
      fmt::format("the vocabulary lacks the special token {}, which its chat template needs", what),
      "", hint());
}

}  // namespace

Result<void> check_chat_template(const std::string& name) {
  if (name.empty() || style_by_name(name)) return {};
  return base::usage_error(fmt::format("the chat template \"{}\" is not known", name), "", hint());
}

ChatTemplate ChatFormat::family() const {
  return style_->family;
}

std::string chatml_template_text() {
  return "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
         "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}"
         "{{ '<|im_start|>assistant\\n' }}{% endif %}";
}

Result<ChatFormat> ChatFormat::detect(const Tokenizer& tokenizer, const std::string& forced) {
  RETORT_TRY(ChatStyle style, choose(tokenizer.vocabulary().chat_template, forced));
  return with_style(tokenizer, std::move(style));
}

Result<ChatFormat> ChatFormat::with_style(const Tokenizer& tokenizer, ChatStyle style) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  for (const std::string_view control : style.controls) {
    if (tokenizer.special(control) < 0) return lacks(control);
  }
  const bool needs_bos = style.bos || style.user.before.find(kBosMark) != std::string_view::npos;
  if (needs_bos && vocabulary.bos < 0) return lacks("that begins a text (BOS)");
  const bool ends_in_eos = style.stop == kEosMark;
  if (ends_in_eos && vocabulary.eos < 0) return lacks("that ends a text (EOS)");
  const TokenId stop = ends_in_eos ? vocabulary.eos : tokenizer.special(style.stop);
  return ChatFormat(std::make_shared<const ChatStyle>(std::move(style)), stop);
}

}  // namespace retort::tokenizer
