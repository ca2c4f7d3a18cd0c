// A client that costs little: one thread, one epoll, many streamed answers at once. What comes is
// kept as bytes while the clock runs and read when all is there. Single-threaded.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace retort {

// What a stream said.
struct Streamed {
  std::string text;
  int64_t tokens = 0;  // as its usage has it
};

class LoadClient {
 public:
  explicit LoadClient(int port) : port_(port) {}
  ~LoadClient();
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // Opens connections that say nothing and stay.
  Result<void> hold_idle(int64_t count);
  // How many of them the server still keeps.
  int64_t idle_alive() const;

  // Posts every body to /v1/completions on a connection of its own and reads all answers to their
  // ends. `on_all_begun` is called when each has said something, `on_first_ended` when one has
  // ended.
  Result<std::vector<std::string>> ask(const std::vector<std::string>& bodies,
                                       const std::function<void()>& on_all_begun,
                                       const std::function<void()>& on_first_ended);

 private:
  int port_;
  std::vector<int> idle_;
};

// The stream in the bytes of an answer; anything that is not whole is an error.
Result<Streamed> read_stream(const std::string& bytes);

}  // namespace retort
