#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/parallel.h"
#include "base/short_waits.h"

namespace retort::base {
namespace {

std::atomic<int> wanted_threads{0};

void run_team(int threads, FunctionRef<void(int, int)> body) {
  std::vector<std::thread> others;
  for (int id = 1; id < threads; ++id) {
    others.emplace_back([&body, id, threads] { body(id, threads); });
  }
  body(0, threads);
  for (auto& other : others) other.join();
}

}  // namespace

void keep_waits_short(char**) {}  // these threads sleep at once

int thread_count() {
  const int wanted = wanted_threads.load();
  if (wanted > 0) return wanted;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void set_thread_count(int threads) {
  RETORT_CHECK(threads >= 1);
  wanted_threads.store(threads);
}

void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  const int64_t wanted = grain > 0 ? n / grain : n;
  const int threads = static_cast<int>(std::clamp<int64_t>(wanted, 1, thread_count()));
  if (n <= 0) return;
  if (threads == 1) return body(0, n);
  run_team(threads, [&](int id, int team) {
    const int64_t begin = n * id / team;
    const int64_t end = n * (id + 1) / team;
    if (begin < end) body(begin, end);
  });
}

void parallel_team(FunctionRef<void(int, int)> body) {
  run_team(thread_count(), body);
}

}  // namespace retort::base
