#include "engine/testing_requests_internal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "base/random.h"
#include "engine/testing_internal.h"

namespace retort::engine {

using tokenizer::TokenId;

std::vector<TokenId> random_prompt(int64_t size, uint64_t seed) {
  base::Random random(seed);
  std::vector<TokenId> ids;
  for (int64_t i = 0; i < size; ++i) ids.push_back(static_cast<TokenId>(random.below(256)));
  return ids;
}

std::unique_ptr<Engine> engine_of(const model::Weights& weights, const Options& options) {
  auto made = Engine::from_weights(weights, small_tokenizer(), options);
  EXPECT_TRUE(made.ok());
  return std::move(*made);
}

Request request_of(std::vector<TokenId> prompt, int64_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.logprobs = true;
  request.top_logprobs = 3;
  return request;
}

std::vector<Heard> run_all(Engine& engine, std::vector<Request> requests) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Heard> heard(requests.size());
  size_t done = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].on_event = [&, i](const Event& event) {
      const std::lock_guard lock(mutex);
      Heard& h = heard[i];
      h.tokens.insert(h.tokens.end(), event.tokens.begin(), event.tokens.end());
      for (const auto& p : event.chosen) h.logprobs.push_back(p.logprob);
      if (h.first_top.empty() && !event.top.empty()) h.first_top = event.top[0];
      if (!event.prompt_chosen.empty()) h.scores = event;
      h.text += event.text;
      if (!event.done) return;
      h.reason = event.finish_reason;
      h.last = event;
      ++done;
      changed.notify_one();
    };
    const auto id = engine.submit(std::move(requests[i]));
    EXPECT_TRUE(id.ok()) << id.error().text();
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done == heard.size(); });
  return heard;
}

bool same_bits(const Heard& a, const Heard& b) {
  return a.tokens == b.tokens && a.logprobs.size() == b.logprobs.size() &&
         std::memcmp(a.logprobs.data(), b.logprobs.data(), 4 * a.logprobs.size()) == 0 &&
         a.text == b.text && a.first_top[0].logprob == b.first_top[0].logprob;
}

double divergence(const std::vector<float>& p, const std::vector<float>& q, size_t vocab) {
  double total = 0;
  for (size_t row = 0; row < p.size(); row += vocab) {
    double sum_p = 0, sum_q = 0;
    for (size_t i = 0; i < vocab; ++i) {
      sum_p += std::exp(static_cast<double>(p[row + i]));
      sum_q += std::exp(static_cast<double>(q[row + i]));
    }
    for (size_t i = 0; i < vocab; ++i) {
      const double log_p = p[row + i] - std::log(sum_p);
      total += std::exp(log_p) * (log_p - (q[row + i] - std::log(sum_q)));
    }
  }
  return total / static_cast<double>(p.size() / vocab);
}

}  // namespace retort::engine
