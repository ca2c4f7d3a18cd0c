#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "tokenizer/chat_style_internal.h"
#include "tokenizer/template_text_internal.h"

namespace retort::tokenizer {
namespace {

constexpr std::string_view kSystemHead = "'<|im_start|>system\\n";
constexpr std::string_view kSystemTail = "<|im_end|>\\n'";
constexpr std::string_view kMask = "@default system@";

// What a plain template is made of.
struct Parts {
  std::set<std::string> literals;  // strings in tags
  std::set<std::string> words;     // names and numbers outside strings
  std::set<std::string> signs;     // | and :, which filter and cut
  std::string text;                // outside tags
};

// Takes the tag whose inside begins at `at`; returns where it ends. plain_template() made it.
size_t take_tag(std::string_view plain, size_t at, Parts& parts) {
  while (at < plain.size()) {
    const char c = plain[at];
    if ((c == '%' || c == '}') && plain.substr(at + 1, 1) == "}") return at + 2;
    size_t end = at + 1;
    if (c == '\'') {
      while (end < plain.size() && plain[end] != '\'') end += plain[end] == '\\' ? 2 : 1;
      parts.literals.emplace(plain.substr(at + 1, end - at - 1));
      ++end;
    } else if (is_word(c)) {
      while (end < plain.size() && is_word(plain[end])) ++end;
      parts.words.emplace(plain.substr(at, end - at));
    } else if (c != ' ') {
      parts.signs.emplace(1, c);
    }
    at = end;
  }
  return at;
}

Parts parts_of(std::string_view plain) {
  Parts parts;
  for (size_t at = 0; at < plain.size();) {
    const std::string_view opening = plain.substr(at, 2);
    if (opening == "{%" || opening == "{{") {
      at = take_tag(plain, at + 2, parts);
    } else {
      parts.text += plain[at++];
    }
  }
  return parts;
}

// The strings that say all that a family's plainest templates say. Words that choose among roles
// are the same in all: a template that computes anything else is not understood.
struct Marks {
  const char* style;
  const char* needed;   // in every one, and in no other family's
  const char* generic;  // writes any role; without it each role needs a string of its own
  std::vector<std::string_view> role_heads;
  std::vector<std::string_view> others;
};

const std::vector<Marks>& all_marks() {
  static const std::vector<Marks> marks = {
      {"chatml",
       "<|im_start|>",
       "<|im_start|>",
       {"<|im_start|>user\\n", "<|im_start|>system\\n", "<|im_start|>assistant\\n"},
       {"<|im_end|>", "<|im_end|>\\n", "\\n"}},
      {"llama3",
       "<|start_header_id|>",
       "<|start_header_id|>",
       {"<|start_header_id|>user<|end_header_id|>\\n\\n",
        "<|start_header_id|>system<|end_header_id|>\\n\\n",
        "<|start_header_id|>assistant<|end_header_id|>\\n\\n"},
       {"<|end_header_id|>\\n\\n", "<|eot_id|>"}}};
  return marks;
}

constexpr std::string_view kWords[] = {
    "for",  "message", "in",      "messages", "loop_messages", "endfor", "if",
    "elif", "else",    "endif",   "set",      "content",       "not",    "and",
    "or",   "is",      "defined", "loop",     "false",         "true",   "add_generation_prompt",
    "0"};
constexpr std::string_view kBosTag = "{{bos_token}}";
constexpr std::string_view kStrings[] = {"role", "content", "first", "index0"};
constexpr std::string_view kRoles[] = {"user", "assistant", "system"};

bool has(const auto& list, std::string_view value) {
  return std::find(std::begin(list), std::end(list), value) != std::end(list);
}

// The first thing that a template of these marks should not hold.
std::optional<std::string> strange_part(const Parts& parts, const Marks& marks,
                                        const ChatStyle& style, bool has_default) {
  const std::string masked = std::string(kSystemHead.substr(1)) + std::string(kMask) +
                             std::string(kSystemTail.substr(0, kSystemTail.size() - 1));
  // A template that writes any role and asks for one may leave messages out.
  const bool may_ask = !parts.literals.contains(marks.generic);
  for (const std::string& literal : parts.literals) {
    if (has(kRoles, literal) && (may_ask || (literal == "system" && has_default))) continue;
    if (has(kStrings, literal) || has(marks.role_heads, literal) || has(marks.others, literal) ||
        literal == marks.generic || literal == masked) {
      continue;
    }
    return literal;
  }
  for (const std::string& word : parts.words) {
    if (!has(kWords, word) && !(style.trim_user && word == "trim")) return word;
  }
  for (const std::string& sign : parts.signs) {
    const bool trims = style.trim_user && sign == "|";
    if (!trims && std::string_view("'()[]+=!").find(sign) == std::string_view::npos) return sign;
  }
  if (parts.text.empty()) return std::nullopt;
  return parts.text;
}

bool writes_every_role(const Parts& parts, const Marks& marks) {
  if (parts.literals.contains(marks.generic)) return true;
  return std::all_of(marks.role_heads.begin(), marks.role_heads.end(), [&](std::string_view head) {
    return parts.literals.contains(std::string(head));
  });
}

std::string unescaped(std::string_view literal) {
  std::string out;
  for (size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] == '\\' && i + 1 < literal.size()) {
      ++i;
      out += literal[i] == 'n' ? '\n' : literal[i] == 't' ? '\t' : literal[i];
    } else {
      out += literal[i];
    }
  }
  return out;
}

bool has_bare_quote(std::string_view literal) {
  for (size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] == '\'') return true;
    if (literal[i] == '\\') ++i;
  }
  return false;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

MaskedTemplate mask_default_system(std::string_view text) {
  MaskedTemplate masked{plain_template(text), ""};
  for (size_t at = masked.plain.find(kSystemHead); at != std::string::npos;
       at = masked.plain.find(kSystemHead, at + 1)) {
    const size_t begin = at + kSystemHead.size();
    const size_t end = masked.plain.find(kSystemTail, begin);
    if (end == std::string::npos || end == begin) continue;
    const std::string literal = masked.plain.substr(begin, end - begin);
    if (has_bare_quote(literal)) continue;  // not one string
    masked.default_system = unescaped(literal);
    const std::string mask(kMask);
    replace_all(masked.plain, std::string(kSystemHead) + literal + std::string(kSystemTail),
                std::string(kSystemHead) + mask + std::string(kSystemTail));
    replace_all(masked.plain, "'" + literal + "'", "'" + mask + "'");
    break;
  }
  return masked;
}

Result<ChatStyle> style_by_marks(std::string_view plain, const std::string& default_system) {
  const bool says_bos = plain.starts_with(kBosTag);
  const Parts parts = parts_of(says_bos ? plain.substr(kBosTag.size()) : plain);
  const auto holds = [&](const Marks& marks) {
    return std::any_of(parts.literals.begin(), parts.literals.end(), [&](const std::string& text) {
      return text.find(marks.needed) != std::string::npos;
    });
  };
  const auto& all = all_marks();
  const auto found = std::find_if(all.begin(), all.end(), holds);
  if (found == all.end()) return base::bad_input("it holds the marks of none");
  ChatStyle style = *style_by_name(found->style);
  const auto strange = strange_part(parts, *found, style, !default_system.empty());
  if (strange) {
    return base::bad_input(
        fmt::format("it has marks of {}, but also \"{}\", which is not understood", found->style,
                    strange->substr(0, 60)));
  }
  if (!writes_every_role(parts, *found) || style.trim_user != parts.words.contains("trim")) {
    return base::bad_input(
        fmt::format("it has marks of {}, but does not treat every role alike", found->style));
  }
  style.bos = says_bos;
  if (default_system.empty()) return style;
  ChatStyle with_default = *style_by_name("qwen2");
  with_default.bos = style.bos;
  with_default.default_system = default_system;
  return with_default;
}

}  // namespace retort::tokenizer
