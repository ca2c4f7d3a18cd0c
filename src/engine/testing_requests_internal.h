// For the room's tests: requests, and what an engine said to them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace retort::engine {

std::vector<tokenizer::TokenId> random_prompt(int64_t size, uint64_t seed);
// With the small tokenizer.
std::unique_ptr<Engine> engine_of(const model::Weights& weights, const Options& options = {});
// With the chosen tokens' logprobs and three alternatives.
Request request_of(std::vector<tokenizer::TokenId> prompt, int64_t max_tokens);

// Everything that a request's events said.
struct Heard {
  std::vector<tokenizer::TokenId> tokens;
  std::vector<float> logprobs;
  std::vector<TokenProbability> first_top;
  std::string text, reason;
  Event last, scores;
};

// Submits all at once and waits for all.
std::vector<Heard> run_all(Engine& engine, std::vector<Request> requests);
bool same_bits(const Heard& a, const Heard& b);

// Mean KL divergence of the rows' distributions, in nats.
double divergence(const std::vector<float>& p, const std::vector<float>& q, size_t vocab);

}  // namespace retort::engine
