// How each family of chat templates writes a conversation, as data, and by which texts it is known.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/chat.h"

namespace retort::tokenizer {

// Stand in a style's texts for the vocabulary's own tokens, whose spelling differs.
inline constexpr std::string_view kBosMark = "\x01";
inline constexpr std::string_view kEosMark = "\x02";

enum class SystemRule {
  turn,        // a turn of its own, anywhere
  first_turn,  // a turn of its own, before all others
  first_user,  // first of all messages, put before the first user's text
  last_user,   // first of all messages, put before the last user's text
  none,        // the template has none
};

struct Frame {
  std::string_view before, after;
};

struct ChatStyle {
  ChatTemplate family = ChatTemplate::chatml;
  const char* name = "";
  Frame system, user;  // around a message's text
  // An answer is open + lead + TEXT + tail + stop + after. `open` ends the prompt, so that lead and
  // tail are the model's to say.
  std::string_view open = {}, lead = {}, tail = {}, stop = {}, after = {};
  // What the texts above hold that must be control tokens, and what may be.
  std::vector<std::string_view> controls = {};
  std::vector<std::string_view> optional_controls = {};
  SystemRule system_rule = SystemRule::turn;
  bool bos = false;        // first of all
  bool alternate = false;  // user and assistant take turns
  bool trim_system = false, trim_user = false, trim_answer = false;
  bool thoughts = false;           // as Qwen3 has them
  std::string_view preamble = {};  // before the system text; that turn then always stands
  std::string default_system = {};
};

// By name; no value: none is called so.
std::optional<ChatStyle> style_by_name(std::string_view name);
// By what template_digest() gives; `default_system` is what was masked in it.
std::optional<ChatStyle> style_by_digest(std::string_view digest,
                                         const std::string& default_system);
// By the marks of a template that is known by no digest: all that it says must be of one family.
// Otherwise the reason as a sentence.
Result<ChatStyle> style_by_marks(std::string_view plain, const std::string& default_system);

// The plain form with the default system message of a ChatML template taken out of it, so that
// templates that differ in nothing else are equal.
struct MaskedTemplate {
  std::string plain;
  std::string default_system;  // "" for none
};
MaskedTemplate mask_default_system(std::string_view text);
// SHA-256 of the masked plain form, as hex.
std::string template_digest(const MaskedTemplate& masked);

// As Jinja's trim: without white space (as Python has it) at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace retort::tokenizer
