#include "serve/formatter_internal.h"

#include <exception>

#include "base/log.h"
#include "base/thread_name.h"
#include "serve/answer_internal.h"

namespace retort::serve {

Formatter::Formatter() : thread_([this] { run(); }) {}

void Formatter::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  news_.notify_one();
  thread_.join();
}

void Formatter::push(Item item) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = items_.empty();
    items_.push_back(std::move(item));
  }
  if (wake) news_.notify_one();
}

void Formatter::run() {
  base::name_thread("retort-format");
  std::vector<Item> taken;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [this] { return stopping_ || !items_.empty(); });
      if (items_.empty()) return;
      taken.swap(items_);
    }
    for (Item& item : taken) {
      try {
        item.answer->take(item.choice, item.event, item.at_seconds);
      } catch (const std::exception& failure) {
        // One answer is lost, its neighbours are not.
        base::log_error("an answer could not be written: {}", failure.what());
        item.answer->cancel();
      }
    }
    taken.clear();
  }
}

}  // namespace retort::serve
