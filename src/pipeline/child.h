// A child process of this program that serves the teacher on loopback for as long as the run needs
// it. It dies with the parent (PR_SET_PDEATHSIG), whatever way the parent ends.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace retort::pipeline {

class Child {
 public:
  // Starts `arguments[0]` with the rest; its stderr goes to `log_path`. It must write the port it
  // listens on into `ready_path` (one line) once it is ready; start() waits for that.
  struct Start {
    std::vector<std::string> arguments;
    std::string log_path;
    std::string ready_path;
    int64_t timeout_ms = 60'000;
  };
  static Result<Child> start(const Start& start);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // SIGTERM, then SIGKILL after two seconds

  int port() const { return port_; }
  bool running() const;

 private:
  Child(pid_t pid, int port) : pid_(pid), port_(port) {}
  pid_t pid_;
  int port_;
};

// The path of this very program, for starting it again.
std::string own_program();

}  // namespace retort::pipeline
