#include "cli/score_lines.h"

#include <fmt/core.h>

#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <numbers>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "json/value.h"

namespace retort::cli {
namespace {

using tokenizer::TokenId;

// One line of the input on its way. The engine's thread fills `chosen` and `top`.
struct Scoring {
  int64_t line = 0;
  json::Value id;  // as given; null for none
  std::vector<TokenId> tokens;
  size_t first = 1;   // the first token that counts; the very first of all has no context
  int64_t bytes = 0;  // of the tokens that count
  std::string error;
  bool done = false;
  std::vector<engine::TokenProbability> chosen;
  std::vector<std::vector<engine::TokenProbability>> top;
};

Result<std::vector<TokenId>> given_tokens(const json::Value& list, int64_t vocab) {
  if (!list.is_array()) return base::bad_input("tokens is no list");
  std::vector<TokenId> out;
  for (const json::Value& item : list.as_array()) {
    const double id = item.is_number() ? item.as_number() : -1;
    if (id < 0 || id >= static_cast<double>(vocab) || id != std::floor(id)) {
      return base::bad_input(fmt::format("{} is no token of this model", json::dump(item)), "",
                             fmt::format("ids go from 0 to {}", vocab - 1));
    }
    out.push_back(static_cast<TokenId>(id));
  }
  return out;
}

Result<void> read_line(const std::string& line, const engine::Engine& engine, Scoring& scoring) {
  RETORT_TRY(const auto value, json::parse(line, "line"));
  if (!value.is_object()) return base::bad_input("the line is no object");
  if (const json::Value* id = value.find("id")) scoring.id = *id;
  const tokenizer::Tokenizer& tokenizer = engine.tokenizer();
  if (const json::Value* tokens = value.find("tokens")) {
    RETORT_TRY(scoring.tokens, given_tokens(*tokens, engine.config().vocab));
  } else if (value.find("completion") != nullptr) {
    RETORT_TRY(const std::string prompt, value.string_at("prompt"));
    RETORT_TRY(const std::string completion, value.string_at("completion"));
    scoring.tokens = tokenizer.encode(prompt);
    scoring.first = std::max<size_t>(scoring.tokens.size(), 1);
    const auto rest = tokenizer.encode(completion);
    scoring.tokens.insert(scoring.tokens.end(), rest.begin(), rest.end());
  } else {
    RETORT_TRY(const std::string text, value.string_at("text"));
    scoring.tokens = tokenizer.encode(text);
  }
  if (scoring.tokens.size() <= scoring.first) {
    return base::bad_input("there is no token to score: the first has no context");
  }
  for (size_t i = scoring.first; i < scoring.tokens.size(); ++i) {
    scoring.bytes += static_cast<int64_t>(tokenizer.bytes(scoring.tokens[i]).size());
  }
  return {};
}

json::Value alternatives(const std::vector<engine::TokenProbability>& top) {
  json::Value out = json::Value::array();
  for (const auto& [id, logprob, rank] : top) {
    out.push(json::Value::array({int64_t{id}, static_cast<double>(logprob)}));
  }
  return out;
}

json::Value result_of(const Scoring& scoring, bool with_top) {
  json::Value out = json::Value::object({{"line", scoring.line}});
  if (!scoring.id.is_null()) out.set("id", scoring.id);
  if (!scoring.error.empty()) {
    out.set("error", scoring.error);
    return out;
  }
  double sum = 0;
  json::Value tokens = json::Value::array(), each = json::Value::array();
  json::Value top = json::Value::array();
  for (size_t i = scoring.first; i < scoring.tokens.size(); ++i) {
    const auto logprob = static_cast<double>(scoring.chosen[i].logprob);
    tokens.push(int64_t{scoring.tokens[i]});
    each.push(logprob);
    if (with_top) top.push(alternatives(scoring.top[i]));
    sum += logprob;
  }
  out.set("logprob", sum);
  out.set("scored_tokens", static_cast<int64_t>(scoring.tokens.size() - scoring.first));
  const auto bytes = static_cast<double>(std::max<int64_t>(scoring.bytes, 1));
  out.set("bits_per_byte", -sum / std::numbers::ln2 / bytes);
  out.set("tokens", std::move(tokens));
  out.set("token_logprobs", std::move(each));
  if (with_top) out.set("top_logprobs", std::move(top));
  return out;
}

// Lines go out whole, so that a file cut by a kill has at most one broken line, at its end.
class Output {
 public:
  static Result<Output> open(const std::string& path) {
    Output output;
    if (path.empty()) return output;
    if (base::exists(path)) {
      RETORT_TRY(std::string held, base::read_file(path));
      held.resize(held.find_last_of('\n') + 1);  // npos + 1 is 0
      output.lines_ = static_cast<int64_t>(std::count(held.begin(), held.end(), '\n'));
      RETORT_TRY_VOID(base::write_file_atomic(path, held));
    }
    output.file_.reset(std::fopen(path.c_str(), "ae"));
    if (output.file_ == nullptr) return base::errno_error("open", path);
    output.path_ = path;
    return output;
  }
  int64_t lines() const { return lines_; }
  Result<void> put(const std::string& line) {
    std::FILE* to = file_ != nullptr ? file_.get() : stdout;
    const std::string whole = line + "\n";
    if (std::fwrite(whole.data(), 1, whole.size(), to) != whole.size() || std::fflush(to) != 0) {
      return base::errno_error("write", path_.empty() ? "the output" : path_);
    }
    return {};
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::string path_;
  int64_t lines_ = 0;
};

class Scorer {
 public:
  Scorer(engine::Engine& engine, const ScoreOptions& options)
      : engine_(engine), options_(options), progress_("score", 0, "texts") {}

  Result<void> run() {
    std::ifstream input(options_.texts);
    if (!input) return base::errno_error("open", options_.texts);
    RETORT_TRY(output_, Output::open(options_.out));
    if (output_.lines() > 0) base::log_info("{} lines are scored already", output_.lines());
    std::string text;
    for (int64_t line = 1; std::getline(input, text); ++line) {
      if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
      if (++texts_ <= output_.lines()) continue;
      if (base::cancelled()) break;
      begin(line, text);
      while (static_cast<int64_t>(waiting_.size()) >= options_.in_flight) {
        RETORT_TRY_VOID(end_first());
      }
    }
    while (!waiting_.empty()) RETORT_TRY_VOID(end_first());
    progress_.finish(
        fmt::format("{} texts, {} tokens", base::grouped(scored_), base::grouped(tokens_)));
    if (base::cancelled()) return base::cancelled_error("score");
    if (failed_ == 0) return {};
    return base::bad_input(fmt::format("{} of the texts could not be scored", failed_),
                           options_.texts, "their lines say why under \"error\"");
  }

 private:
  void begin(int64_t line, const std::string& text) {
    auto scoring = std::make_shared<Scoring>();
    scoring->line = line;
    waiting_.push_back(scoring);
    auto read = read_line(text, engine_, *scoring);
    if (read) read = submit(scoring);
    if (read) return;
    const std::lock_guard lock(mutex_);
    scoring->error = read.error().message;
    scoring->done = true;
  }

  Result<void> submit(const std::shared_ptr<Scoring>& scoring) {
    engine::Request request;
    request.prompt = scoring->tokens;
    request.max_tokens = 0;
    request.prompt_logprobs = options_.top;
    request.on_event = [this, scoring](const engine::Event& event) {
      const std::lock_guard lock(mutex_);
      if (!event.prompt_chosen.empty()) {
        scoring->chosen = event.prompt_chosen;
        scoring->top = event.prompt_top;
      }
      if (!event.done) return;
      scoring->error = event.error;
      scoring->done = true;
      ready_.notify_one();
    };
    RETORT_TRY(const auto id, engine_.submit(std::move(request)));
    (void)id;
    return {};
  }

  // Writes the text that was begun first.
  Result<void> end_first() {
    const auto first = waiting_.front();
    waiting_.pop_front();
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return first->done; });
    if (first->error.empty()) {
      tokens_ += static_cast<int64_t>(first->tokens.size());
    } else {
      ++failed_;
    }
    ++scored_;
    const double seconds = std::max(1e-3, base::monotonic_seconds() - begun_s_);
    progress_.update(
        scored_,
        base::grouped(static_cast<int64_t>(static_cast<double>(tokens_) / seconds)) + " tokens/s");
    return output_.put(json::dump(result_of(*first, options_.top > 0)));
  }

  engine::Engine& engine_;
  const ScoreOptions& options_;
  base::Progress progress_;
  Output output_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::shared_ptr<Scoring>> waiting_;
  const double begun_s_ = base::monotonic_seconds();
  int64_t texts_ = 0, scored_ = 0, tokens_ = 0, failed_ = 0;
};

}  // namespace

Result<void> score_lines(engine::Engine& engine, const ScoreOptions& options) {
  return Scorer(engine, options).run();
}

}  // namespace retort::cli
