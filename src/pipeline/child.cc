#include "pipeline/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"

namespace retort::pipeline {
namespace {

constexpr int64_t kPollMs = 20;
constexpr int64_t kGraceMs = 2000;

// Between fork and exec only async-signal-safe calls are allowed.
[[noreturn]] void become(const std::vector<char*>& arguments, int log_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  setpgid(0, 0);  // the terminal's Ctrl-C is the parent's to handle
  const int null_fd = open("/dev/null", O_RDWR);
  dup2(null_fd, STDIN_FILENO);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  execv(arguments[0], arguments.data());
  _exit(127);
}

std::string last_line(const std::string& path) {
  const auto text = base::read_file(path, int64_t{16} << 20);
  if (!text || text->empty()) return "it printed nothing";
  std::string trimmed = *text;
  while (!trimmed.empty() && trimmed.back() == '\n') trimmed.pop_back();
  const size_t at = trimmed.rfind('\n');
  return at == std::string::npos ? trimmed : trimmed.substr(at + 1);
}

int read_port(const std::string& path) {
  const auto text = base::read_file(path, 64);
  if (!text || text->empty() || text->back() != '\n') return 0;
  int port = 0;
  std::from_chars(text->data(), text->data() + text->size(), port);
  return port;
}

}  // namespace

Result<Child> Child::start(const Start& start) {
  RETORT_TRY_VOID(base::remove_all(start.ready_path));
  const int log_fd = open(start.log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (log_fd < 0) return base::errno_error("create", start.log_path);
  std::vector<char*> arguments;
  for (const auto& argument : start.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become(arguments, log_fd, parent);
  const Error fork_error = base::errno_error("start a process", start.arguments[0]);
  close(log_fd);
  if (pid < 0) return fork_error;

  Child child(pid, 0);
  for (int64_t waited_ms = 0; waited_ms < start.timeout_ms; waited_ms += kPollMs) {
    if (base::cancelled()) return base::cancelled_error("starting the teacher");
    child.port_ = read_port(start.ready_path);
    if (child.port_ > 0) return child;
    if (!child.running()) {
      return base::upstream_error("the teacher's server ended: " + last_line(start.log_path),
                                  start.log_path);
    }
    base::system_clock().sleep_ms(kPollMs);
  }
  return base::upstream_error("the teacher's server was not ready in time", start.log_path);
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), port_(other.port_) {}

Child::~Child() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  for (int64_t waited_ms = 0; waited_ms < kGraceMs; waited_ms += kPollMs) {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) return;
    base::system_clock().sleep_ms(kPollMs);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Child::running() const {
  siginfo_t info{};
  if (pid_ <= 0) return false;
  const int waited = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  return waited == 0 && info.si_pid == 0;
}

std::string own_program() {
  std::error_code code;
  return std::filesystem::read_symlink("/proc/self/exe", code).string();
}

}  // namespace retort::pipeline
