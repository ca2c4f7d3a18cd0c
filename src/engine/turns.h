// Several engines of one process share the cores' one thread team: each takes a turn for one step
// (at most one chunk of prompts and one decoding step) and queues again, so that nobody waits for
// more than one step of each of the others. What an engine computes does not depend on the turns.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace retort::engine {

class Turns {
 public:
  // Holds the team while it lives.
  class Turn {
   public:
    explicit Turn(Turns* turns) : turns_(turns) {
      if (turns_ != nullptr) turns_->begin();
    }
    ~Turn() {
      if (turns_ != nullptr) turns_->end();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Turns* turns_;
  };

 private:
  void begin() {
    std::unique_lock lock(mutex_);
    const uint64_t mine = last_++;
    changed_.wait(lock, [&] { return now_ == mine; });
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ++now_;
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t last_ = 0, now_ = 0;  // numbers as at a counter
};

}  // namespace retort::engine
