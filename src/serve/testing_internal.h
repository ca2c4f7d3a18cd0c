// A model of a script for the room's tests: says the same text to everybody, one byte a token, as
// fast or as slowly as a test wants.
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include "serve/backend.h"

namespace retort::serve {

// Bytes as ids 0..255, then the marks of chat.
inline std::shared_ptr<const tokenizer::Tokenizer> byte_tokenizer() {
  tokenizer::Vocabulary made;
  for (int byte = 0; byte < 256; ++byte) made.tokens.emplace_back(1, static_cast<char>(byte));
  for (const char* mark : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    made.tokens.emplace_back(mark);
  }
  made.special.assign(made.tokens.size(), false);
  for (size_t i = 256; i < made.tokens.size(); ++i) made.special[i] = true;
  made.bos = 256;
  made.eos = 258;
  auto created = tokenizer::Tokenizer::create(std::move(made));
  EXPECT_TRUE(created.ok()) << created.error().text();
  return *created;
}

constexpr tokenizer::TokenId kEndOfText = 256;
constexpr tokenizer::TokenId kEndOfTurn = 258;

struct Script {
  std::string text = "One boat sailed home.";  // a byte a token; then the answer stops
  int step_ms = 0;
  std::string error = {};  // instead of an answer
  bool has_chat = true;
  std::string chat_template = "chatml";
  int64_t context_length = 256;
  int64_t cache_tokens = 1 << 20;  // a request beyond is refused at submit()
};

class ScriptedBackend : public Backend {
 public:
  explicit ScriptedBackend(Script script = {})
      : script_(std::move(script)),
        tokenizer_(byte_tokenizer()),
        chat_(tokenizer::ChatFormat::detect(*tokenizer_, script_.chat_template)) {
    if (!script_.has_chat) chat_ = base::bad_input("the template is not one of the known ones");
  }
  ~ScriptedBackend() override {
    for (auto& [id, running] : running_) running->cancelled = true;
    for (auto& [id, running] : running_) running->thread.join();
  }

  const tokenizer::Tokenizer& tokenizer() const override { return *tokenizer_; }
  const Result<tokenizer::ChatFormat>& chat() const override { return chat_; }
  int64_t context_length() const override { return script_.context_length; }
  engine::Stats stats() const override {
    return {.running = live, .waiting = 0, .generated_tokens = generated, .memory_bytes = 1000};
  }
  Result<engine::RequestId> submit(engine::Request request) override {
    if (std::ssize(request.prompt) + request.max_tokens > script_.cache_tokens) {
      return base::bad_input("it does not fit the cache");
    }
    if (request.max_tokens == 0 && request.prompt_logprobs < 0) {
      return base::bad_input("nothing is asked for");
    }
    const std::lock_guard lock(mutex_);
    ++submits;
    const engine::RequestId id = ++last_;
    auto& running = running_[id] = std::make_unique<Running>();
    ++live;
    running->thread = std::thread(
        [this, &cancelled = running->cancelled, request = std::move(request)]() mutable {
          say(std::move(request), cancelled);
          --live;
        });
    return id;
  }
  void cancel(engine::RequestId id) override {
    const std::lock_guard lock(mutex_);
    ++cancels;
    if (running_.count(id) > 0) running_[id]->cancelled = true;
  }

  std::atomic<int64_t> live{0};
  std::atomic<int64_t> generated{0};
  std::atomic<int64_t> submits{0};
  std::atomic<int64_t> cancels{0};

 private:
  struct Running {
    std::thread thread;
    std::atomic<bool> cancelled{false};
  };

  static engine::TokenProbability scored(tokenizer::TokenId id) {
    return {id, -0.5f - static_cast<float>(id) / 1024};
  }
  static void score_prompt(const engine::Request& request, engine::Event& event) {
    for (const auto id : request.prompt) {
      event.prompt_chosen.push_back(scored(id));
      event.prompt_top.push_back({{65, -0.125f}, {66, -2.0f}});
      event.prompt_top.back().resize(
          std::min<size_t>(2, static_cast<size_t>(request.prompt_logprobs)));
    }
    event.prompt_chosen[0].logprob = std::numeric_limits<float>::quiet_NaN();
    event.prompt_top[0].clear();
  }
  void end(engine::Event& event, const engine::Request& request, const char* reason) {
    event.done = true;
    event.finish_reason = reason;
    event.prompt_tokens = std::ssize(request.prompt);
  }
  // The next token: a byte of the text, and the mark of the end behind it.
  engine::Event next(const engine::Request& request, int64_t position) const {
    const auto at = static_cast<size_t>(position);
    engine::Event event;
    if (position == 0 && request.prompt_logprobs >= 0) score_prompt(request, event);
    if (position >= request.max_tokens) return event;
    const auto id = at < script_.text.size()
                        ? static_cast<tokenizer::TokenId>(static_cast<uint8_t>(script_.text[at]))
                        : kEndOfTurn;
    event.tokens = {id};
    if (id < 256) event.text = script_.text.substr(at, 1);
    if (request.logprobs) {
      event.chosen = {scored(id)};
      event.top = {{{65, -0.125f}, {66, -2.0f}}};
      event.top[0].resize(std::min<size_t>(2, static_cast<size_t>(request.top_logprobs)));
    }
    return event;
  }
  void say(engine::Request request, const std::atomic<bool>& cancelled) {
    for (int64_t position = 0;; ++position) {
      if (script_.step_ms > 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(script_.step_ms));
      }
      engine::Event event = next(request, position);
      const auto& stops = request.stop_tokens;
      const bool stopped = !event.tokens.empty() &&
                           std::find(stops.begin(), stops.end(), event.tokens[0]) != stops.end();
      if (cancelled || !script_.error.empty()) {
        event = {};
        event.error = script_.error;
        end(event, request, cancelled ? "cancelled" : "error");
      } else if (stopped) {
        event.stop_token = event.tokens[0];
        event.tokens.clear();
        end(event, request, "stop");
        event.generated_tokens = position + 1;
      } else if (position + 1 >= request.max_tokens) {
        end(event, request, "length");
        event.generated_tokens = std::min(position + 1, request.max_tokens);
      }
      if (!event.tokens.empty()) ++generated;
      request.on_event(event);
      if (event.done) return;
    }
  }

  const Script script_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  Result<tokenizer::ChatFormat> chat_;
  std::mutex mutex_;
  std::map<engine::RequestId, std::unique_ptr<Running>> running_;
  engine::RequestId last_ = 0;
};

}  // namespace retort::serve
