// System calls that fail, or end the process, at a chosen one of them: for tests alone. Including
// this header puts functions of libc's names into the test program, and its libraries (SQLite as
// well) call these. One source of a program includes it. Counted are the calls that change regular
// files: write, sync, cut, link, rename, remove. The calls may be of any thread; arm() is called
// while no other thread makes them.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>

namespace retort::base::faults {

enum class Fault {
  kill,         // before the call
  kill_torn,    // in the middle of a write; before any other call
  no_space,     // ENOSPC, from then on by every write
  io_error,     // EIO, by this call alone
  short_write,  // a write that takes half of what it was given, which is no error
};

struct Plan {
  Fault fault = Fault::kill;
  int64_t at = -1;  // which call, from 0; -1: none
  std::atomic<int64_t> calls = 0;
};
inline Plan plan;

inline void arm(Fault fault, int64_t at) {
  plan.fault = fault;
  plan.at = at;
  plan.calls = 0;
}
// Whether the chosen call was reached.
inline bool fired() {
  return plan.at >= 0 && plan.calls > plan.at;
}

enum class Call { pass, half, fail };

// What becomes of the next call.
inline Call next(bool is_write) {
  const int64_t number = plan.calls++;
  const bool later = plan.fault == Fault::no_space && is_write && number > plan.at;
  if (plan.at < 0 || (number != plan.at && !later)) return Call::pass;
  switch (plan.fault) {
    case Fault::kill:
      ::kill(::getpid(), SIGKILL);
      return Call::pass;
    case Fault::kill_torn:
      if (is_write) return Call::half;
      ::kill(::getpid(), SIGKILL);
      return Call::pass;
    case Fault::short_write:
      return is_write ? Call::half : Call::pass;
    case Fault::no_space:
      if (!is_write) return Call::pass;
      errno = ENOSPC;
      return Call::fail;
    case Fault::io_error:
      errno = EIO;
      return Call::fail;
  }
  return Call::pass;
}

inline bool is_file(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// `call(n)` writes n bytes.
template <class Real>
ssize_t written(int fd, size_t size, const Real& call) {
  if (!is_file(fd)) return call(size);
  switch (next(/*is_write=*/true)) {
    case Call::fail:
      return -1;
    case Call::half: {
      const ssize_t done = call(size > 1 ? size / 2 : size);
      if (plan.fault == Fault::kill_torn) ::kill(::getpid(), SIGKILL);
      return done;
    }
    case Call::pass:
      break;
  }
  return call(size);
}

inline bool fails() {
  return next(/*is_write=*/false) == Call::fail;
}

}  // namespace retort::base::faults

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  return retort::base::faults::written(
      fd, size, [&](size_t n) { return ::syscall(SYS_write, fd, bytes, n); });
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return retort::base::faults::written(
      fd, size, [&](size_t n) { return ::syscall(SYS_pwrite64, fd, bytes, n, at); });
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  return ::pwrite(fd, bytes, size, at);
}
int fsync(int fd) {
  if (retort::base::faults::fails()) return -1;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  if (retort::base::faults::fails()) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int ftruncate(int fd, off_t size) noexcept {
  if (retort::base::faults::fails()) return -1;
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept {
  return ::ftruncate(fd, size);
}
int rename(const char* from, const char* to) noexcept {
  if (retort::base::faults::fails()) return -1;
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int link(const char* from, const char* to) noexcept {
  if (retort::base::faults::fails()) return -1;
  return static_cast<int>(::syscall(SYS_link, from, to));
}
int unlink(const char* path) noexcept {
  if (retort::base::faults::fails()) return -1;
  return static_cast<int>(::syscall(SYS_unlink, path));
}

}  // extern "C"
