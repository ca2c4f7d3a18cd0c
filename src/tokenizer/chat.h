// Chat templates of known families, rendered by hand (a template text is recognised, never run).
// Rendering gives ids and spans, for the engine and for the trainer's loss mask alike.
#pragma once
#include <string>
#include <vector>

#include "dialog/message.h"
#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

// chatml: <|im_start|>ROLE\nTEXT<|im_end|>\n, no default system message.
// smollm2: chatml, and when the first message is not a system one, the default system message
// "You are a helpful AI assistant named SmolLM, trained by Hugging Face" is put in front.
enum class ChatTemplate { chatml, smollm2 };

struct Rendered {
  std::vector<TokenId> ids;
  // trained[i]: id i is assistant text or the stop token that ends it; what a loss counts.
  std::vector<bool> trained;
};

class ChatFormat {
 public:
  // By the vocabulary's template text; `forced` ("chatml", "smollm2", or "") overrules it. Unknown
  // templates are refused with the list of names.
  static Result<ChatFormat> detect(const Tokenizer& tokenizer, const std::string& forced = "");

  // Message texts are encoded as literal text. With `open_assistant` the ids end where the
  // assistant's answer begins; nothing in them is then trained.
  Rendered render(const Tokenizer& tokenizer, const dialog::Messages& messages,
                  bool open_assistant) const;
  // What ends an assistant's turn (<|im_end|>) .
  TokenId stop_token() const { return stop_; }
  ChatTemplate family() const { return family_; }

 private:
  ChatFormat(ChatTemplate family, TokenId start, TokenId stop)
      : family_(family), start_(start), stop_(stop) {}
  ChatTemplate family_;
  TokenId start_;
  TokenId stop_;
};

// The ChatML template text that exported students carry.
std::string chatml_template_text();

}  // namespace retort::tokenizer
