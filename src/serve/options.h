// What a person says about a door: where it listens, who may come in, how much it takes on.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace retort::serve {

struct Options {
  std::string host = "127.0.0.1";
  int port = 8080;           // 0: the system picks one
  std::string api_key = {};  // "": nobody is asked for one, and the door stays on loopback
  std::vector<std::string> proxies = {};  // in front, whose word on who asks is taken
  std::vector<std::string> names = {};    // that Host may carry on loopback, beside localhost
  std::string terms_url = {};             // of the terms that bind the answers; sent with each
  std::string content_usage = {};         // the short form of them ("train-ai=n"), sent likewise
  int64_t max_batch = 64;                 // answers that each model works on at once
  int64_t max_waiting = 512;              // of each, that may wait beyond; then 429
  int64_t max_connections = 1024;         // idle ones count; further ones get 503
  int64_t max_connections_of_one = 0;     // address; 0: half of all
  int64_t max_answers = 128;              // of one request: prompts times n
  int64_t max_logprobs = 20;              // alternatives a token, of the answer or the prompt
  int64_t max_request_tokens = int64_t{1} << 20;  // of one request: all prompts and answers
};

// Refuses what cannot be served safely, above all an open address without a key.
Result<void> check(const Options& options, bool with_accounts = false);
// What whoever starts it should know all the same, as lines; "" for nothing.
std::string warning(const Options& options);

}  // namespace retort::serve
