// Asks a teacher what it thinks of texts that are given to it as token ids: /completions with
// "echo" and "logprobs", as lm-evaluation-harness asks it, which vLLM, SGLang and retort's own
// server answer. The teacher's tokens must be those of the ids: each is compared by how it is
// spelled.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "collect/sender.h"

namespace retort::collect {

struct GivenText {
  std::vector<int32_t> ids = {};
  std::vector<std::string> pieces = {};  // the bytes of each id
  int64_t from = 1;                      // the first id that is judged; at least 1
};

struct ScoringOptions {
  std::string model = {};
  int64_t concurrency = 8;
  int64_t attempts = 6;     // of a text that is broken again and again
  int64_t most_tokens = 0;  // of all texts together, those that were asked in vain too; 0: no limit
};

class Scoring {
 public:
  Scoring(std::unique_ptr<Sender> sender, ScoringOptions options, base::Clock& clock)
      : sender_(std::move(sender)), options_(std::move(options)), clock_(clock) {}

  // Natural log-probabilities of ids[from] and what follows of a text, by its number.
  using OnScored = std::function<void(size_t text, std::vector<float> logprobs)>;
  // Each text once, in any order; what was paid for is handed out before an error ends it. Waits
  // where the teacher is busy. Errors: upstream (the teacher's words), bad_input (its tokens are
  // others), budget_reached, interrupted (Ctrl-C).
  Result<void> score(const std::vector<GivenText>& texts, const OnScored& on_scored);

 private:
  struct Job {
    bool flying = false;
    bool done = false;
    int64_t broken = 0;      // attempts
    int64_t not_before = 0;  // monotonic
  };
  Result<void> send(const GivenText& text, int64_t number);
  struct Work {
    const std::vector<GivenText>& texts;
    const OnScored& on_scored;
    std::vector<Job> jobs;
  };
  Result<void> take(const Ended& ended, Work& work);
  Result<void> step(Work& work);
  // Nothing is in flight any more.
  void abandon(Work& work);

  std::unique_ptr<Sender> sender_;
  ScoringOptions options_;
  base::Clock& clock_;
  int64_t asked_tokens_ = 0;
  int64_t held_until_ms_ = 0;  // monotonic: the teacher is busy
};

// For reading alone: the log-probabilities of an answer to `text`.
Result<std::vector<float>> read_scores(const std::string& body, const GivenText& text);
std::string scoring_body(const std::string& model, const GivenText& text);

}  // namespace retort::collect
