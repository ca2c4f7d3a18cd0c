#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <cstdlib>

#include "base/check.h"
#include "base/parallel.h"
#include "base/short_waits.h"

namespace retort::base {

namespace {

// OpenMP's own setting belongs to the thread that made it; what computes may be another one.
std::atomic<int>& setting() {
  static std::atomic<int> threads = omp_get_max_threads();
  return threads;
}

constexpr const char* kSpins = "1000";  // of some 40 ns

}  // namespace

void keep_waits_short(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  std::array<char, PATH_MAX> program{};
  // Not by the link itself: the process would be called after it.
  const ssize_t length = ::readlink("/proc/self/exe", program.data(), program.size() - 1);
  if (length <= 0 || ::setenv("GOMP_SPINCOUNT", kSpins, 0) != 0) return;
  ::execv(program.data(), argv);
}

int thread_count() {
  return setting().load(std::memory_order_relaxed);
}

void set_thread_count(int threads) {
  RETORT_CHECK(threads >= 1);
  setting() = threads;
  omp_set_num_threads(threads);  // for oneDNN, which asks OpenMP
}

void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  const int64_t wanted = grain > 0 ? n / grain : n;
  const int threads = static_cast<int>(std::clamp<int64_t>(wanted, 1, thread_count()));
  if (n <= 0) return;
  if (threads == 1) return body(0, n);
#pragma omp parallel num_threads(threads)
  {
    const int64_t id = omp_get_thread_num();
    const int64_t team = omp_get_num_threads();
    const int64_t begin = n * id / team;
    const int64_t end = n * (id + 1) / team;
    if (begin < end) body(begin, end);
  }
}

void parallel_team(FunctionRef<void(int, int)> body) {
#pragma omp parallel num_threads(thread_count())
  body(omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace retort::base
