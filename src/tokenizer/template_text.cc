#include "tokenizer/template_text_internal.h"

#include <algorithm>
#include <cctype>

namespace retort::tokenizer {
namespace {

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}
bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// One string literal from its opening quote at text[at]; leaves `at` behind the closing one.
std::string plain_string(std::string_view text, size_t& at) {
  const char quote = text[at++];
  std::string out = "'";
  while (at < text.size() && text[at] != quote) {
    if (text[at] == '\n') {
      out += "\\n";
    } else if (text[at] == '\\' && at + 1 < text.size()) {
      out += text[at++];
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

}  // namespace

std::string plain_template(std::string_view text) {
  std::string out;
  std::string between;  // text since the last tag
  bool trim = false;    // the last tag ended in -
  bool after_block = false;
  const auto flush = [&](bool trim_next) {
    if (after_block && between.starts_with('\n')) between.erase(0, 1);
    const size_t first = between.find_first_not_of(" \t\r\n");
    if (trim) between.erase(0, std::min(first, between.size()));
    if (trim_next) between.erase(between.find_last_not_of(" \t\r\n") + 1);
    out += between;
    between.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const char kind = text[at] == '{' && at + 1 < text.size() ? text[at + 1] : '\0';
    const size_t end = kind == '%' || kind == '{' ? tag_end(text, at + 2, kind == '%' ? '%' : '}')
                                                  : std::string_view::npos;
    if (end == std::string_view::npos) {
      between += text[at++];
      continue;
    }
    std::string_view inside = text.substr(at + 2, end - at - 2);
    const bool trim_before = inside.starts_with('-');
    if (trim_before) inside.remove_prefix(1);
    flush(trim_before);
    trim = inside.ends_with('-');
    if (trim) inside.remove_suffix(1);
    after_block = kind == '%';
    out += kind == '%' ? "{%" : "{{";
    out += plain_tag(inside);
    out += kind == '%' ? "%}" : "}}";
    at = end + 2;
  }
  // A line break at the very end of a template is dropped by Jinja.
  if (between.ends_with('\n')) between.pop_back();
  flush(/*trim_next=*/false);
  return out;
}

}  // namespace retort::tokenizer
