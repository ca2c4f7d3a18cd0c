// The one place where compute threads come from: OpenMP's pool, shared with oneDNN (or std::thread
// in builds for ThreadSanitizer). Only one thread team computes at a time; bodies must not call
// parallel_for themselves. The split of work never depends on timing, so results are repeatable
// for the same thread count.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

namespace retort::base {

int thread_count();
// Takes effect for later calls; 1 or more. The default is the number of cores this process may use.
void set_thread_count(int threads);

// A borrowed callable: valid only during the call it is passed to.
template <class Signature>
class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  FunctionRef(F&& function)  // NOLINT: implicit
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

// body(begin, end) over pieces that cover [0, n); each thread gets one contiguous piece. With fewer
// than 2 * grain items, or one thread, it runs on the calling thread.
void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);
// body(thread, threads) once a thread.
void parallel_team(FunctionRef<void(int, int)> body);

// Where the threads of a team wait for each other, again and again. They spin for some microseconds
// and sleep then, so that a team with fewer cores than threads still gets on.
class TeamBarrier {
 public:
  explicit TeamBarrier(int threads) : threads_(threads) {}
  void wait();

 private:
  const int threads_;
  std::atomic<int> arrived_ = 0;
  std::atomic<uint32_t> round_ = 0;
};

}  // namespace retort::base
