#include "release/card.h"

#include <fmt/core.h>

#include <algorithm>

#include "json/value.h"

namespace retort::release {
namespace {

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  return text;
}

// One line without meaning to Markdown or HTML.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : one_line(text)) {
    if (c == '<') {
      out += "&lt;";
    } else {
      if (std::string_view("\\`*_[]|#").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

std::string front_matter(const ModelFacts& facts) {
  const bool adapter = !facts.adapter_of.empty();
  std::string out = fmt::format("---\nlibrary_name: {}\npipeline_tag: text-generation\n",
                                adapter ? "peft" : "transformers");
  if (adapter) out += "base_model: " + json::dump(json::Value(facts.adapter_of)) + "\n";
  if (!facts.licence.empty()) {
    std::string licence = facts.licence;
    std::transform(licence.begin(), licence.end(), licence.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    out += "license: " + json::dump(json::Value(licence)) + "\n";
  }
  return out + "tags:\n- distillation\n- retort\n---\n\n";
}

std::string terms_part(const ModelFacts& facts) {
  std::string out = "## Permission\n\n";
  for (const auto& terms : facts.terms) {
    out += fmt::format("- **{} {}**, {} records", quoted(terms.series), quoted(terms.version),
                       terms.records);
    if (!terms.clause.empty()) out += fmt::format(": “{}”", quoted(terms.clause));
    out += fmt::format(" (basis: {}; read by {}", quoted(terms.basis), quoted(terms.reader));
    if (!terms.source_url.empty()) out += "; source: " + quoted(terms.source_url);
    out += fmt::format("; id {})\n", quoted(terms.id));
  }
  return facts.terms.empty() ? "" : out + "\n";
}

}  // namespace

std::string model_card(const ModelFacts& facts, const model::Config& config,
                       const DutyPlan& duties) {
  std::string out = front_matter(facts) + "# " + quoted(facts.model_id) + "\n\n";
  // Displayed texts stand as the terms give them, so that they can be found word for word.
  for (const auto& line : duties.card_lines) out += line + "\n\n";
  if (!facts.teacher.empty()) out += fmt::format("A student of {}: ", quoted(facts.teacher));
  out += fmt::format(
      "{} decoder-only transformer ({} layout) with {:.1f} "
      "million parameters, {} layers of width {}, a vocabulary of {} tokens and {} "
      "positions.\n\n",
      facts.teacher.empty() ? "A" : "a", config.family(),
      static_cast<double>(config.parameters()) / 1e6, config.layers, config.width, config.vocab,
      config.max_positions);
  if (!facts.adapter_of.empty()) {
    out += fmt::format(
        "This folder holds its adapter alone: PEFT loads it beside the weights that it was trained "
        "with, {}.\n\n",
        quoted(facts.adapter_of));
  }
  // AutoTokenizer would compose characters first, which the student's own tokenizer does not.
  if (config.qkv_bias) {
    out +=
        "In transformers 5, open its tokenizer with `PreTrainedTokenizerFast`: `AutoTokenizer` "
        "puts Qwen2's own rules in place of it.\n\n";
  }
  out += terms_part(facts);
  if (!facts.counts.empty()) out += "## What it learnt from\n\n";
  for (const auto& [what, n] : facts.counts) out += fmt::format("- {}: {}\n", quoted(what), n);
  if (!facts.counts.empty()) out += "\n";
  if (!facts.notes.empty()) out += "## How good it is\n\n";
  for (const auto& note : facts.notes) out += "- " + quoted(note) + "\n";
  if (!facts.notes.empty()) out += "\n";
  if (!duties.files.empty()) out += "## Notices\n\n";
  for (const auto& [file, content] : duties.files) out += fmt::format("- [{0}]({0})\n", file);
  if (!duties.files.empty()) out += "\n";
  out += "## How it was made\n\n";
  if (!facts.command.empty()) out += "    " + one_line(facts.command) + "\n\n";
  return out +
         "The files were opened again before they were published, and gave the trainer's "
         "token ids, logits and answers.\n" +
         (facts.program.empty() ? "" : "\nMade by " + quoted(facts.program) + ".\n");
}

}  // namespace retort::release
