#include <charconv>
#include <map>

#include "base/ascii.h"
#include "terms/toml_lines_internal.h"

namespace retort::terms {
namespace {

// "[[rule]]" and "[time]" to "rule" and "time"; "" for any other line.
std::string_view header(std::string_view line) {
  if (line.empty() || line.front() != '[') return {};
  const size_t first = line.find_first_not_of("[ ");
  const size_t last = line.find_first_of("] ", first);
  if (first == std::string_view::npos || last == std::string_view::npos) return {};
  return line.substr(first, last - first);
}

std::string_view key_of(std::string_view line) {
  const size_t end = line.find('=');
  if (end == std::string_view::npos || line.front() == '#') return {};
  std::string_view key = base::trimmed(line.substr(0, end));
  if (key.size() > 1 && (key.front() == '"' || key.front() == '\'')) {
    key = key.substr(1, key.size() - 2);
  }
  return key;
}

int64_t number_in(std::string_view text) {
  int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end != text.data() ? value : 0;
}

// What stands between “ and ”.
std::string_view named(std::string_view message) {
  constexpr std::string_view kOpen = "“";
  constexpr std::string_view kClose = "”";
  const size_t first = message.find(kOpen);
  if (first == std::string_view::npos) return {};
  const size_t begin = first + kOpen.size();
  return message.substr(begin, message.find(kClose, begin) - begin);
}

}  // namespace

TomlLines::TomlLines(std::string_view text) {
  std::map<std::string, size_t, std::less<>> seen;
  std::string table;
  size_t index = 0;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = base::trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (const auto name = header(line); !name.empty()) {
      table = std::string(name);
      index = seen[table]++;
      lines_.push_back({table, {}, index, number});
    } else if (const auto key = key_of(line); !key.empty()) {
      lines_.push_back({table, std::string(key), index, number});
    }
  }
}

int64_t TomlLines::of(std::string_view table, std::string_view key, size_t index) const {
  int64_t head = 0;
  for (const Line& line : lines_) {
    if (line.table != table || line.index != index) continue;
    if (line.key == key) return line.number;
    if (line.key.empty()) head = line.number;
  }
  return head;
}

int64_t TomlLines::of_error(std::string_view place, std::string_view message) const {
  const size_t bracket = place.find('[');
  if (bracket == std::string_view::npos) {
    // A place without a table: "a.toml:7" or "a.toml:7:3" of the parser, or a key of the top.
    const size_t last = place.rfind(':');
    if (last != std::string_view::npos) {
      const size_t before = place.substr(0, last).rfind(':');
      const int64_t line =
          before == std::string_view::npos ? 0 : number_in(place.substr(before + 1));
      if (line > 0) return line;
      if (number_in(place.substr(last + 1)) > 0) return number_in(place.substr(last + 1));
    }
    const size_t space = place.rfind(' ');
    const int64_t key = space == std::string_view::npos ? 0 : of("", place.substr(space + 1));
    return key > 0 ? key : of("", named(message));
  }
  const std::string_view table = header(place.substr(bracket));
  std::string_view rest =
      base::trimmed(place.substr(std::min(place.find_last_of(']') + 1, place.size())));
  const int64_t which = number_in(rest);
  if (which > 0) {
    rest = base::trimmed(rest.substr(std::min(rest.find_first_not_of("0123456789"), rest.size())));
  }
  const size_t index = which > 0 ? static_cast<size_t>(which) - 1 : 0;
  return of(table, rest.empty() ? named(message) : rest, index);
}

}  // namespace retort::terms
