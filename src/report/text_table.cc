#include "report/text_table.h"

#include <algorithm>

#include "report/html_internal.h"

namespace retort::report {
namespace {

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

size_t width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

}  // namespace

std::string shortened(const std::string& raw, size_t characters) {
  std::string text = printable(raw);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  if (characters == 0 || width(text) <= characters) return text;
  size_t end = 0, seen = 0;
  for (; end < text.size(); ++end) {
    if (begins_character(text[end]) && seen++ == characters - 1) break;
  }
  return text.substr(0, end) + "…";
}

std::string format_table(const TextTable& table) {
  std::vector<std::vector<std::string>> lines;
  if (!table.header.empty()) lines.push_back(table.header);
  lines.insert(lines.end(), table.rows.begin(), table.rows.end());
  std::vector<size_t> widths;
  for (auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t i = 0; i < line.size(); ++i) {
      line[i] = shortened(line[i], table.widest_cell);
      widths[i] = std::max(widths[i], width(line[i]));
    }
  }
  std::string out;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string fill(widths[i] - width(line[i]), ' ');
      const bool right = i < table.right.size() && table.right[i];
      if (i > 0) row += "  ";
      row += right ? fill + line[i] : line[i] + fill;
    }
    row.erase(row.find_last_not_of(' ') + 1);
    out += row + "\n";
  }
  return out;
}

}  // namespace retort::report
