#include "collect/prompt_template.h"
#include "base/ascii.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/random.h"

namespace retort::collect {
namespace {

constexpr uint64_t kMostPrompts = uint64_t{1} << 62;
constexpr int64_t kMaxList_bytes = int64_t{64} << 20;

struct Piece {
  std::string text;  // literal text, or the slot's name
  int slot = -1;     // index into Template::slots, -1 for literal text
  bool article = false;
};

struct Slot {
  std::string name;                                 // "noun2"
  std::string list;                                 // "noun"
  const std::vector<std::string>* words = nullptr;  // owned by the options
  size_t earlier_of_list = 0;                       // slots before this one with the same list
};

struct Template {
  std::vector<Piece> pieces;
  std::vector<Slot> slots;
  uint64_t combinations = 1;
};

bool starts_with_any(std::string_view word, std::initializer_list<std::string_view> starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [&](std::string_view start) { return word.starts_with(start); });
}

// The list of a slot: its own name, or its name without the number at the end.
std::string list_of(const std::string& slot, const WordLists& words) {
  if (words.contains(slot)) return slot;
  size_t end = slot.size();
  while (end > 0 && slot[end - 1] >= '0' && slot[end - 1] <= '9') --end;
  return slot.substr(0, end);
}

Result<void> add_slot(Template& out, std::string_view inside, const WordLists& words) {
  Piece piece;
  std::string name(base::trimmed(inside));
  if (name.starts_with("a ") || name.starts_with("an ")) {
    piece.article = true;
    name = std::string(base::trimmed(std::string_view(name).substr(name.find(' '))));
  }
  const std::string list = list_of(name, words);
  const auto found = words.find(list);
  if (found == words.end()) {
    return base::usage_error(fmt::format("there is no word list for the slot {{{}}}", name), "",
                             fmt::format("add words.{} = \"FILE\", one word a line", list));
  }
  const auto known = std::find_if(out.slots.begin(), out.slots.end(),
                                  [&](const Slot& slot) { return slot.name == name; });
  piece.slot = static_cast<int>(known - out.slots.begin());
  piece.text = name;
  out.pieces.push_back(std::move(piece));
  if (known != out.slots.end()) return {};
  const auto earlier = std::count_if(out.slots.begin(), out.slots.end(),
                                     [&](const Slot& slot) { return slot.list == list; });
  out.slots.push_back({name, list, &found->second, static_cast<size_t>(earlier)});
  return {};
}

Result<void> count_combinations(Template& out) {
  for (const Slot& slot : out.slots) {
    if (slot.words->size() <= slot.earlier_of_list) {
      return base::bad_input(fmt::format("the word list {} is too short: {} words for {} slots",
                                         slot.list, slot.words->size(), slot.earlier_of_list + 1));
    }
    const uint64_t choices = slot.words->size() - slot.earlier_of_list;
    out.combinations =
        out.combinations > kMostPrompts / choices ? kMostPrompts : out.combinations * choices;
  }
  return {};
}

Result<Template> parse_template(std::string_view text, const WordLists& words) {
  Template out;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) out.pieces.push_back({literal, -1, false});
    literal.clear();
  };
  for (size_t at = 0; at < text.size(); ++at) {
    const bool doubled = at + 1 < text.size() && text[at + 1] == text[at];
    if ((text[at] != '{' && text[at] != '}') || doubled) {
      literal += text[at];
      if (text[at] == '{' || text[at] == '}') ++at;
      continue;
    }
    const size_t end = text.find('}', at);
    if (text[at] == '}' || end == std::string_view::npos) {
      return base::usage_error("a brace stands alone in the template", "",
                               "write {{ and }} for braces that are no slot");
    }
    flush();
    RETORT_TRY_VOID(add_slot(out, text.substr(at + 1, end - at - 1), words));
    at = end;
  }
  flush();
  if (out.slots.empty()) {
    return base::usage_error("the template has no slot", "", "write one like {noun}");
  }
  RETORT_TRY_VOID(count_combinations(out));
  return out;
}

Result<std::vector<Template>> parse_templates(const TemplateOptions& options) {
  std::vector<Template> out;
  std::set<std::string> seen;
  for (const std::string& text : options.templates) {
    const std::string where = fmt::format("template {}", out.size() + 1);
    if (!seen.insert(text).second) {
      return base::usage_error("the same template stands twice in the list", where);
    }
    auto parsed = parse_template(text, options.words);
    if (!parsed) return parsed.error().at(where);
    out.push_back(std::move(*parsed));
  }
  if (out.empty()) return base::usage_error("there is no template");
  return out;
}

// The combination of number `code`: mixed radix, a slot's digit counting the words that earlier
// slots of its list have left.
std::map<std::string, std::string> choose(const Template& source, uint64_t code) {
  std::map<std::string, std::string> out;
  std::map<std::string, std::vector<size_t>> taken;  // by list, sorted
  for (const Slot& slot : source.slots) {
    const uint64_t choices = slot.words->size() - slot.earlier_of_list;
    auto& used = taken[slot.list];
    size_t index = static_cast<size_t>(code % choices);
    code /= choices;
    for (const size_t earlier : used) {
      if (earlier <= index) ++index;
    }
    used.insert(std::upper_bound(used.begin(), used.end(), index), index);
    out[slot.name] = (*slot.words)[index];
  }
  return out;
}

Prompt make_prompt(const Template& source, size_t number, uint64_t code) {
  Prompt prompt;
  prompt.slots = choose(source, code);
  prompt.template_index = static_cast<int64_t>(number);
  prompt.where = fmt::format("template {}", number + 1);
  std::string text;
  for (const Piece& piece : source.pieces) {
    if (piece.slot < 0) {
      text += piece.text;
    } else {
      const std::string& word = prompt.slots[piece.text];
      text += piece.article ? with_article(word) : word;
    }
  }
  prompt.messages = {{dialog::Role::user, std::move(text)}};
  return prompt;
}

int64_t total_of(const std::vector<Template>& templates) {
  uint64_t total = 0;
  for (const auto& one : templates) total = std::min(kMostPrompts, total + one.combinations);
  return static_cast<int64_t>(total);
}

}  // namespace

Result<std::vector<std::string>> parse_word_list(std::string_view text, const std::string& name) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  std::vector<std::string> out;
  std::set<std::string> seen;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string word(base::trimmed(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (word.empty() || word.front() == '#') continue;
    if (seen.insert(word).second) out.push_back(word);
  }
  if (out.empty()) return base::bad_input("the word list is empty", name, "one word a line");
  return out;
}

Result<std::vector<std::string>> read_word_list(const std::string& path) {
  RETORT_TRY(const std::string text, base::read_file(path, kMaxList_bytes));
  return parse_word_list(text, path);
}

std::string with_article(const std::string& word) {
  const std::string low = base::lower(word);
  if (starts_with_any(low, {"a ", "an ", "the "})) return word;
  // Sound decides, not spelling: a unicorn, a one-way street, an hour.
  const bool like_consonant = starts_with_any(
      low, {"uni", "use", "usu", "ute", "uku", "eu", "ewe", "one", "once", "uran", "ura"});
  const bool silent_h = starts_with_any(low, {"hour", "honest", "honou", "honor", "heir"});
  const bool vowel = !low.empty() && std::string_view("aeiou").find(low[0]) != std::string::npos;
  return (silent_h || (vowel && !like_consonant) ? "an " : "a ") + word;
}

// A Feistel network over the next even number of bits, walked until it lands inside: the usual way
// to shuffle a range without a table (Black and Rogaway 2002, "Ciphers with arbitrary domains").
uint64_t permuted(uint64_t index, uint64_t size, uint64_t key) {
  RETORT_CHECK(index < size && size <= kMostPrompts, "index {} of {}", index, size);
  const int bits = std::max(1, static_cast<int>(std::bit_width(size - 1) + 1) / 2);
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  do {
    uint64_t left = index >> bits;
    uint64_t right = index & mask;
    for (uint64_t round = 0; round < 6; ++round) {
      const uint64_t mixed = base::mix64(right ^ base::mix64(key + round)) & mask;
      left = std::exchange(right, left ^ mixed);
    }
    index = left << bits | right;
  } while (index >= size);
  return index;
}

Result<int64_t> possible_prompts(const TemplateOptions& options) {
  RETORT_TRY(const auto templates, parse_templates(options));
  return total_of(templates);
}

Result<std::vector<Prompt>> sample_prompts(const TemplateOptions& options) {
  RETORT_TRY(const auto templates, parse_templates(options));
  if (options.count <= 0) {
    return base::usage_error("count says how many prompts to make, and must be 1 or more", "count");
  }
  if (total_of(templates) < options.count) {
    return base::usage_error(
        fmt::format("{} prompts were asked for, and the templates can make {}",
                    base::grouped(options.count), base::grouped(total_of(templates))),
        "count", "lower count, or give longer word lists");
  }
  std::vector<Prompt> out;
  std::vector<uint64_t> used(templates.size(), 0);
  for (size_t turn = 0; static_cast<int64_t>(out.size()) < options.count; ++turn) {
    const size_t number = turn % templates.size();
    const Template& source = templates[number];
    if (used[number] == source.combinations) continue;
    const uint64_t key = base::mix64(options.seed ^ base::mix64(number));
    out.push_back(make_prompt(source, number, permuted(used[number]++, source.combinations, key)));
  }
  return out;
}

}  // namespace retort::collect
