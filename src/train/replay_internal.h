// The student's answers that are learnt from again, each a given number of times (DistiLLM, arXiv
// 2402.03898, section 3.2, learns off policy from such a buffer): sampling costs more than
// learning. As long as there is room, answers are sampled; once it is full they are drawn from here
// until some are used up. What is drawn is a function of the seed, the step and what is here, which
// checkpoints hold.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "train/examples.h"

namespace retort::train {

class Replay {
 public:
  Replay(int64_t answers, int64_t uses) : most_(answers), uses_(uses) {}

  bool holds_answers() const { return most_ > 0 && uses_ > 1; }
  // Whether the next answers are to be drawn from here.
  bool full() const { return static_cast<int64_t>(kept_.size()) >= most_; }
  // Answers that are being used for the first time.
  void add(const std::vector<Example>& rows);
  // Up to `count` different ones, which are used once more.
  std::vector<Example> draw(size_t count, uint64_t seed, int64_t step);
  int64_t size() const { return static_cast<int64_t>(kept_.size()); }

  // All that is here, as text, and back.
  std::string saved() const;
  Result<void> restore(const std::string& text);

 private:
  struct Kept {
    Example row;
    int64_t used = 0;
  };
  int64_t most_, uses_;
  std::vector<Kept> kept_;
};

}  // namespace retort::train
