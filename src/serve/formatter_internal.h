// Carries events from the engine's compute thread to a thread that turns them into bytes: the
// compute thread only moves an event into a list.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace retort::serve {

class Answer;

class Formatter {
 public:
  struct Item {
    std::shared_ptr<Answer> answer;
    size_t choice = 0;
    engine::Event event;
    double at_seconds = 0;
  };
  Formatter();
  ~Formatter() { stop(); }

  void push(Item item);
  // Handles what is there, then ends the thread; what is pushed later is dropped unread.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable news_;
  std::vector<Item> items_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace retort::serve
