#include "tokenizer/template_text_internal.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace retort::tokenizer {
namespace {

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

// One string literal from its opening quote at text[at]; leaves `at` behind the closing one.
std::string plain_string(std::string_view text, size_t& at) {
  const char quote = text[at++];
  std::string out = "'";
  while (at < text.size() && text[at] != quote) {
    if (text[at] == '\n') {
      out += "\\n";
    } else if (text[at] == '\'') {
      out += "\\'";
    } else if (text[at] == '\\' && at + 1 < text.size()) {
      if (text[++at] != '"') out += '\\';
      out += text[at];
    } else {
      out += text[at];
    }
    ++at;
  }
  if (at < text.size()) ++at;
  return out + "'";
}

// The inside of a tag: words keep one blank between them, .name becomes ['name'].
std::string plain_tag(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '\'' || c == '"') {
      out += plain_string(text, at);
    } else if (is_space(c)) {
      ++at;
    } else if (c == '.' && at + 1 < text.size() && is_word(text[at + 1])) {
      size_t end = at + 1;
      while (end < text.size() && is_word(text[end])) ++end;
      out += "['" + std::string(text.substr(at + 1, end - at - 1)) + "']";
      at = end;
    } else {
      const bool gap = at > 0 && is_space(text[at - 1]) && !out.empty() && is_word(out.back());
      if (gap && is_word(c)) out += ' ';
      out += c;
      ++at;
    }
  }
  return out;
}

// The end of the tag's inside that starts at `at`: strings may contain braces.
size_t tag_end(std::string_view text, size_t at, char closing) {
  char quote = 0;
  for (; at + 1 < text.size(); ++at) {
    if (quote != 0) {
      if (text[at] == '\\')
        ++at;
      else if (text[at] == quote)
        quote = 0;
    } else if (text[at] == '\'' || text[at] == '"') {
      quote = text[at];
    } else if (text[at] == closing && text[at + 1] == '}') {
      return at;
    }
  }
  return std::string_view::npos;
}

// The text between two tags, as Jinja leaves it with transformers' trim_blocks and lstrip_blocks.
class Between {
 public:
  void add(char c) { text_ += c; }
  // Ends it at a tag (its kind is the character behind the brace), or at the end of the template.
  std::string take(char kind, bool trim_next) {
    bool line_start = at_start_;
    if (after_block_ && text_.starts_with('\n')) {
      text_.erase(0, 1);
      line_start = true;
    }
    if (trim_) text_.erase(0, std::min(text_.find_first_not_of(kSpaces), text_.size()));
    if (trim_next) {
      text_.erase(text_.find_last_not_of(kSpaces) + 1);
    } else if (kind == '%' || kind == '#') {
      const size_t last = text_.find_last_not_of(" \t");
      const bool alone = last == std::string::npos ? line_start && !trim_ : text_[last] == '\n';
      if (alone) text_.erase(last + 1);
    }
    at_start_ = false;
    return std::exchange(text_, {});
  }
  void behind(char kind, bool trim) {
    after_block_ = kind == '%' || kind == '#';
    trim_ = trim;
  }

 private:
  static constexpr const char* kSpaces = " \t\r\n";
  std::string text_;
  bool trim_ = false;  // the last tag ended in -
  bool after_block_ = false;
  bool at_start_ = true;
};

// The end of the inside of the tag that begins at `at`, npos where none does.
size_t inside_end(std::string_view text, size_t at) {
  const std::string_view opening = text.substr(at, 2);
  if (opening == "{%") return tag_end(text, at + 2, '%');
  if (opening == "{{") return tag_end(text, at + 2, '}');
  if (opening == "{#") return text.find("#}", at + 2);
  return std::string_view::npos;
}

}  // namespace

std::string plain_template(std::string_view text) {
  // A line break at the very end of a template is dropped by Jinja.
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::string out;
  Between between;
  for (size_t at = 0; at < text.size();) {
    const size_t end = inside_end(text, at);
    if (end == std::string_view::npos) {
      between.add(text[at++]);
      continue;
    }
    const char kind = text[at + 1];
    std::string_view inside = text.substr(at + 2, end - at - 2);
    const bool trim_before = inside.starts_with('-');
    if (trim_before) inside.remove_prefix(1);
    out += between.take(kind, trim_before);
    const bool trim_behind = inside.ends_with('-');
    if (trim_behind) inside.remove_suffix(1);
    between.behind(kind, trim_behind);
    if (kind == '%') out += "{%" + plain_tag(inside) + "%}";
    if (kind == '{') out += "{{" + plain_tag(inside) + "}}";
    at = end + 2;
  }
  return out + between.take('\0', /*trim_next=*/false);
}

}  // namespace retort::tokenizer
