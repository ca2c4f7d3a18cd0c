// Answers of teacher and student side by side, with the things that the prompt asked for marked.
#include <algorithm>
#include <cctype>

#include "base/ascii.h"
#include "report/sections_internal.h"

namespace retort::report {
namespace {

constexpr size_t kSamplesShown = 60;

bool is_letter(char c) {
  const auto u = static_cast<unsigned char>(c);
  return std::isalpha(u) != 0 || u >= 0x80;
}

// The text with every word that begins with one of `words` marked ("boat" marks "boats" as well).
Html marked(const std::string& text, const std::vector<std::string>& words) {
  Html out;
  const std::string low = base::lower(text);
  size_t plain = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (at > 0 && is_letter(text[at - 1])) continue;
    for (const std::string& word : words) {
      if (word.empty() || low.compare(at, word.size(), word) != 0) continue;
      size_t end = at + word.size();
      while (end < text.size() && is_letter(text[end])) ++end;
      out += markup("{}<mark>{}</mark>", text.substr(plain, at - plain), text.substr(at, end - at));
      plain = end;
      at = end - 1;
      break;
    }
  }
  return out + markup("{}", text.substr(plain));
}

std::vector<std::string> slot_words(const json::Value& sample) {
  std::vector<std::string> words;
  const json::Value* slots = sample.find("slots");
  if (slots == nullptr || !slots->is_object()) return words;
  for (const auto& [name, value] : slots->as_object()) {
    if (value.is_string()) words.push_back(base::lower(value.as_string()));
  }
  return words;
}

}  // namespace

Html samples_section(const Run& run) {
  Html out{"<section id=\"samples\"><h2>Samples</h2>"};
  if (run.samples.empty()) {
    return out + missing("There are no samples yet.") + Html{"</section>"};
  }
  const size_t shown = std::min(run.samples.size(), kSamplesShown);
  for (size_t i = 0; i < shown; ++i) {
    const auto words = slot_words(run.samples[i]);
    out += markup(
        "<article class=\"sample\"><h3>{}</h3><div class=\"pair\">"
        "<div><h4>{}</h4><p>{}</p></div><div><h4>student</h4><p>{}</p></div>"
        "</div></article>",
        text(run.samples[i], "prompt"), reference_name(run),
        marked(text(run.samples[i], "teacher"), words),
        marked(text(run.samples[i], "student"), words));
  }
  if (shown < run.samples.size()) {
    out += markup("<p class=\"quiet\">{} more are in evaluate/samples.jsonl.</p>",
                  static_cast<int64_t>(run.samples.size() - shown));
  }
  return out + Html{"</section>"};
}

}  // namespace retort::report
