#include "base/parallel.h"

namespace retort::base {

void TeamBarrier::wait() {
  if (threads_ == 1) return;
  const uint32_t round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    return;
  }
  constexpr int kSpins = 4000;  // about 50 microseconds
  for (int i = 0; i < kSpins; ++i) {
    if (round_.load(std::memory_order_acquire) != round) return;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  while (round_.load(std::memory_order_acquire) == round) {
    round_.wait(round, std::memory_order_acquire);
  }
}

}  // namespace retort::base
