// Processes of this test that train together: forked, with their sums in shared memory. What
// mpirun does with MPI, without either. For tests alone.
#pragma once
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "base/check.h"
#include "base/parallel.h"
#include "train/collective.h"

namespace retort::train {

class SharedRanks final : public Collective {
 public:
  static constexpr size_t kBytesARank = size_t{1} << 21;

  explicit SharedRanks(int size) : size_(size) {
    void* const memory =
        ::mmap(nullptr, sizeof(pthread_barrier_t) + kBytesARank * static_cast<size_t>(size),
               PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    RETORT_CHECK(memory != MAP_FAILED);
    barrier_ = static_cast<pthread_barrier_t*>(memory);
    data_ = static_cast<std::byte*>(memory) + sizeof(pthread_barrier_t);
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(barrier_, &attributes, static_cast<unsigned>(size));
  }
  void become(int rank) { rank_ = rank; }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum(std::span<float> values) override { add_up(values); }
  void sum(std::span<double> values) override { add_up(values); }
  void broadcast(std::span<std::byte> bytes) override {
    for (size_t at = 0; at < bytes.size(); at += kBytesARank) {
      const auto piece = bytes.subspan(at, std::min(kBytesARank, bytes.size() - at));
      if (rank_ == 0) std::copy(piece.begin(), piece.end(), data_);
      pthread_barrier_wait(barrier_);
      if (rank_ != 0) std::copy_n(data_, piece.size(), piece.begin());
      pthread_barrier_wait(barrier_);
    }
  }

 private:
  template <class T>
  void add_up(std::span<T> values) {
    RETORT_CHECK(values.size_bytes() <= kBytesARank);
    std::memcpy(data_ + static_cast<size_t>(rank_) * kBytesARank, values.data(),
                values.size_bytes());
    pthread_barrier_wait(barrier_);
    for (size_t i = 0; i < values.size(); ++i) {
      T sum = 0;
      for (int rank = 0; rank < size_; ++rank) {
        T one;
        std::memcpy(&one, data_ + static_cast<size_t>(rank) * kBytesARank + i * sizeof(T),
                    sizeof(T));
        sum += one;
      }
      values[i] = sum;
    }
    pthread_barrier_wait(barrier_);
  }

  int rank_ = 0, size_;
  pthread_barrier_t* barrier_ = nullptr;
  std::byte* data_ = nullptr;
};

// Runs `body` in `size` processes; gives what each ended with, -signal where one killed it. When
// one is killed all others are, as mpirun does.
inline std::vector<int> run_ranks(int size, const std::function<int(Collective&)>& body) {
  base::set_thread_count(1);  // a team of threads does not survive a fork
  SharedRanks ranks(size);
  std::vector<pid_t> children;
  for (int rank = 0; rank < size; ++rank) {
    const pid_t child = ::fork();
    if (child == 0) {
      ranks.become(rank);
      std::_Exit(body(ranks));
    }
    children.push_back(child);
  }
  std::vector<int> codes(static_cast<size_t>(size));
  for (int left = size; left > 0; --left) {
    int status = 0;
    const pid_t ended = ::wait(&status);
    const auto place = std::find(children.begin(), children.end(), ended) - children.begin();
    codes[place] = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    children[place] = 0;
    if (codes[place] >= 0) continue;
    for (const pid_t other : children) {
      if (other > 0) ::kill(other, SIGKILL);
    }
  }
  return codes;
}

}  // namespace retort::train
