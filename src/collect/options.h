// What a run file says in [teacher] and [collect].
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/result.h"
#include "collect/asking.h"
#include "collect/prompt.h"

namespace retort::collect {

struct Teacher {
  std::string base_url;     // "https://api.example.com/v1"
  std::string api_key_env;  // the environment variable that holds the key; "" for no key
  std::string model;
  std::vector<std::string> terms;  // files
  // Log-probabilities are known to be of the model's own distribution. No key of the run file.
  bool raw_logprobs = false;
};
void describe(base::Options& table, Teacher& teacher);

struct Options {
  std::vector<std::string> prompt_terms;  // files: the terms of the prompts themselves
  std::string prompts;                    // a JSONL file, or:
  std::vector<std::string> templates;
  std::map<std::string, std::string> words;  // list name -> file
  int64_t count = 0;                         // prompts to make from the templates
  int64_t seed = 1;                          // which ones
  int64_t samples = 1;                       // answers a prompt
  std::string system;                        // a system message put before every prompt

  double temperature = 0.7;
  double top_p = 1;
  int64_t top_k = 0;
  double repetition_penalty = 1;
  int64_t max_tokens = 256;
  int64_t sampling_seed = -1;  // >= 0: each request carries a seed derived from it
  int64_t top_logprobs = 0;    // alternatives asked for each token; 0: not asked

  int64_t concurrency = 32;
  int64_t timeout_s = 300;   // of one request
  int64_t patience_s = 300;  // without any answer
  int64_t attempts = 6;

  int64_t budget_requests = 0;
  int64_t budget_tokens = 0;
  std::string budget_usd;
  std::string price_prompt_usd;  // for a million tokens
  std::string price_answer_usd;
};
void describe(base::Options& table, Options& options);

// Checks what the types do not say, and works out limits, prices and pacing.
Result<AskingOptions> asking_options(const Teacher& teacher, const Options& options);

// The prompts of the file or the templates, with the system message in front.
Result<PromptList> make_prompts(const Options& options);

}  // namespace retort::collect
