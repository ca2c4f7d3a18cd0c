// Chat templates of known families, rendered by hand (a template text is recognised, never run).
// Rendering gives ids and spans, for the engine and for the trainer's loss mask alike.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dialog/message.h"
#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

// chatml: <|im_start|>ROLE\nTEXT<|im_end|>\n, no default system message.
// smollm2, qwen2: chatml, and when the first message is not a system one, a default system message
// is put in front (Qwen2.5's differs from Qwen2's; the template text says which).
// qwen3: chatml, but the thoughts in answers before the last question are left out.
// llama3: <|start_header_id|>ROLE<|end_header_id|>\n\nTEXT<|eot_id|>; 3.1 and later begin with a
// system message that states dates.
// llama2, mistral: [INST] TEXT [/INST] ANSWER and the end-of-text token.
// zephyr: <|ROLE|>\nTEXT and the end-of-text token.
// gemma: <start_of_turn>ROLE\nTEXT<end_of_turn>\n.
enum class ChatTemplate { chatml, smollm2, qwen2, qwen3, llama2, llama3, mistral, zephyr, gemma };

// "chatml, smollm2, ...": what ChatFormat::detect() takes as `forced`.
std::string chat_template_names();
// Whether a person's choice is one of them, or "".
Result<void> check_chat_template(const std::string& name);

struct ChatStyle;

struct Rendered {
  std::vector<TokenId> ids;
  // trained[i]: id i is what the assistant says or the stop token that ends it; what a loss counts.
  std::vector<bool> trained;
};

class ChatFormat {
 public:
  // By the vocabulary's template text; `forced` (a name, or "") overrules it. Templates that are
  // not wholly understood are refused with the list of names.
  static Result<ChatFormat> detect(const Tokenizer& tokenizer, const std::string& forced = "");

  // With a style of the room's own list; vocabularies that lack its control tokens are refused.
  static Result<ChatFormat> with_style(const Tokenizer& tokenizer, ChatStyle style);

  // Message texts are encoded as literal text. With `open_assistant` the ids end where the
  // assistant's answer begins; nothing in them is then trained. Roles in an order that the template
  // does not allow are refused. A BOS token that the template or the vocabulary asks for is in the
  // ids. Where a template names the day, it is the day that the template falls back to.
  Result<Rendered> render(const Tokenizer& tokenizer, const dialog::Messages& messages,
                          bool open_assistant) const;
  // Whether the template has a switch for thinking aloud (Qwen3's enable_thinking), and the same as
  // render() with an open answer when it is off: behind a thought that is empty.
  bool can_skip_thoughts() const;
  Result<Rendered> render_without_thoughts(const Tokenizer& tokenizer,
                                           const dialog::Messages& messages) const;
  // What ends an assistant's turn.
  TokenId stop_token() const { return stop_; }
  ChatTemplate family() const;

 private:
  ChatFormat(std::shared_ptr<const ChatStyle> style, TokenId stop)
      : style_(std::move(style)), stop_(stop) {}
  std::shared_ptr<const ChatStyle> style_;
  TokenId stop_;
};

// The ChatML template text that exported students carry.
std::string chatml_template_text();

}  // namespace retort::tokenizer
