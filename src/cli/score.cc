#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>
#include <memory>
#include <numbers>

#include "base/cancel.h"
#include "base/files.h"
#include "cli/command.h"
#include "engine/engine.h"
#include "json/value.h"

namespace retort::cli {
namespace {

struct ScoreArguments {
  std::string model;
  std::string texts;
};

// Natural log of softmax(logits)[target], in double over fp32 logits.
double log_probability(const float* logits, int64_t vocab, int64_t target) {
  const float top = *std::max_element(logits, logits + vocab);
  double sum = 0;
  for (int64_t i = 0; i < vocab; ++i) sum += std::exp(static_cast<double>(logits[i] - top));
  return static_cast<double>(logits[target] - top) - std::log(sum);
}

Result<json::Value> score_text(engine::Engine& engine, const std::string& text) {
  const auto ids = engine.tokenizer().encode(text);
  if (ids.size() < 2) return base::bad_input("a text of fewer than two tokens has no score");
  RETORT_TRY(const auto logits, engine.logits(ids));
  const int64_t vocab = engine.config().vocab;
  double sum = 0;
  json::Value each = json::Value::array();
  for (size_t i = 1; i < ids.size(); ++i) {
    const double value =
        log_probability(logits.data() + static_cast<int64_t>(i - 1) * vocab, vocab, ids[i]);
    each.push(value);
    sum += value;
  }
  // The first token has no context and is not scored, so its bytes do not count either.
  const size_t bytes = text.size() - engine.tokenizer().bytes(ids[0]).size();
  json::Value tokens = json::Value::array();
  for (const auto id : ids) tokens.push(int64_t{id});
  return json::Value::object(
      {{"logprob", sum},
       {"scored_tokens", static_cast<int64_t>(ids.size()) - 1},
       {"bits_per_byte",
        -sum / std::numbers::ln2 / static_cast<double>(std::max<size_t>(bytes, 1))},
       {"tokens", std::move(tokens)},
       {"token_logprobs", std::move(each)}});
}

Result<void> score_file(const ScoreArguments& arguments) {
  RETORT_TRY(const auto content, base::read_file(arguments.texts));
  RETORT_TRY(auto engine, engine::Engine::open(arguments.model));
  int64_t number = 0;
  for (size_t begin = 0; begin < content.size();) {
    size_t end = content.find('\n', begin);
    if (end == std::string::npos) end = content.size();
    const std::string line = content.substr(begin, end - begin);
    begin = end + 1;
    const std::string where = fmt::format("{}:{}", arguments.texts, ++number);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (base::cancelled()) return base::cancelled_error("score");
    RETORT_TRY(const auto value, json::parse(line, where));
    const auto text = value.string_at("text");
    if (!text) return text.error().at(where);
    const auto scored = score_text(*engine, *text);
    if (!scored) return scored.error().at(where);
    std::printf("%s\n", json::dump(*scored).c_str());
  }
  return {};
}

}  // namespace

Command score_command() {
  auto arguments = std::make_shared<ScoreArguments>();
  Command command;
  command.name = "score";
  command.summary = "log-probabilities of given text under a model, one JSON line a text";
  command.examples =
      "  retort score runs/quickstart/student texts.jsonl   (lines of {\"text\": ...})";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("MODEL", arguments->model, "a GGUF file or a Hugging Face folder")->required();
    app.add_option("TEXTS", arguments->texts, "JSONL with a \"text\" a line")->required();
  };
  command.run = [arguments] { return score_file(*arguments); };
  return command;
}

}  // namespace retort::cli
