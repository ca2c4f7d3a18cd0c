#include "base/cancel.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace retort::base {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int) {
  if (flag.exchange(true)) _exit(130);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file size limit is a write error, not a death
}

bool cancelled() {
  return flag.load(std::memory_order_relaxed);
}
void request_cancel() {
  flag.store(true);
}
void reset_cancel() {
  flag.store(false);
}

Error cancelled_error(const char* stage) {
  return interrupted(std::string(stage) + " was interrupted; what was done is kept");
}

}  // namespace retort::base
