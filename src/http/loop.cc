#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/loop_internal.h"
#include "http/server.h"

namespace retort::http {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
thread_local Loop* own = nullptr;
std::atomic<uint64_t> turns{0};

}  // namespace

Loop::Loop(int peers, int epoll, int signal)
    : peers_(peers), epoll_(epoll), signal_(signal), now_ms_(base::system_clock().monotonic_ms()) {}

Result<std::shared_ptr<Loop>> Loop::make(int peers) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int signal = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::shared_ptr<Loop> loop(new Loop(peers, epoll, signal));
  epoll_event event{};
  event.events = EPOLLIN;
  if (epoll >= 0 && signal >= 0 && ::epoll_ctl(epoll, EPOLL_CTL_ADD, signal, &event) == 0) {
    return loop;
  }
  return base::internal_error(std::string("the system gives no place to wait for sockets: ") +
                              std::strerror(errno));
}

Loop::~Loop() {
  for (const auto& [watched, owner] : watched_) ::close(watched->socket_);
  if (epoll_ >= 0) ::close(epoll_);
  if (signal_ >= 0) ::close(signal_);
}

Loop* Loop::current() {
  return own;
}

template <class Call>
void Loop::guarded(Watched& watched, const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    base::log_error("a connection ended by an exception: {}", error.what());
    watched.on_broken();
  }
}

void Loop::run() {
  own = this;
  std::array<epoll_event, 256> events{};
  while (true) {
    const int count = ::epoll_wait(epoll_, events.data(), events.size(), wait_ms());
    now_ms_ = base::system_clock().monotonic_ms();
    in_turn_ = true;
    for (int i = 0; i < count; ++i) {
      auto* watched = static_cast<Watched*>(events[static_cast<size_t>(i)].data.ptr);
      if (watched == nullptr || watched->socket_ < 0) continue;
      guarded(*watched, [&] { watched->on_ready(events[static_cast<size_t>(i)].events); });
    }
    if (now_ms_ >= earliest_ms_) expire();
    run_posted();
    finish_turn();
    in_turn_ = false;
    removed_.clear();
    const std::lock_guard lock(mutex_);
    if (stopping_ && posted_.empty()) break;
  }
  end();
  own = nullptr;
}

void Loop::end() {
  attached_.clear();
  while (!woken_.empty()) run_woken();
  for_each([this](Watched& watched) {
    watched.on_broken();
    remove(watched);
  });
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  run_posted();
  read_.clear();
  woken_.clear();
  removed_.clear();
}

int Loop::wait_ms() const {
  if (earliest_ms_ == kNever) return -1;
  const int64_t left = earliest_ms_ - base::system_clock().monotonic_ms();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

void Loop::stop() {
  post([this] {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  });
}

bool Loop::post(std::function<void()> call) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    first = posted_.empty();
    posted_.push_back(std::move(call));
  }
  if (!first) return true;
  const uint64_t one = 1;
  const ssize_t written = ::write(signal_, &one, sizeof one);
  return written == sizeof one || errno == EAGAIN;  // full: it is signalled already
}

// A call may post another; that one is made in the next round.
void Loop::run_posted() {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    if (posted_.empty()) return;
    calls.swap(posted_);
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(signal_, &count, sizeof count);
  }
  for (const auto& call : calls) {
    try {
      call();
    } catch (const std::exception& error) {
      base::log_error("an I/O thread went on after: {}", error.what());
    }
  }
}

// A request that came early stands behind the answer before it: when that has left it is handled.
void Loop::finish_turn() {
  turn_ = ++turns;
  while (!read_.empty() || !before_leaving_.empty() || !woken_.empty()) {
    run_round(read_, &Watched::waits_, &Watched::on_all_read);
    run_before_leaving();
    run_woken();
  }
}

void Loop::run_before_leaving() {
  for (const auto& [owner, call] : before_leaving_) call();
  before_leaving_.clear();
}

// What an on_wake() wakes has a round of its own: something may have to be written before.
void Loop::run_round(std::vector<Watched*>& list, bool Watched::*mark, void (Watched::*call)()) {
  round_.swap(list);
  for (Watched* watched : round_) {
    watched->*mark = false;
    if (watched->socket_ >= 0) guarded(*watched, [&] { (watched->*call)(); });
  }
  round_.clear();
}

void Loop::expire() {
  std::vector<Watched*> late;
  earliest_ms_ = kNever;
  for (const auto& [watched, owner] : watched_) {
    if (watched->deadline_ms_ <= now_ms_) {
      late.push_back(watched);
    } else {
      earliest_ms_ = std::min(earliest_ms_, watched->deadline_ms_);
    }
  }
  for (Watched* watched : late) {
    if (watched->socket_ < 0 || watched->deadline_ms_ > now_ms_) continue;
    watched->deadline_ms_ = kNever;
    guarded(*watched, [&] { watched->on_deadline(); });
  }
}

bool Loop::add(std::shared_ptr<Watched> watched, int socket, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watched.get();
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0) {
    ::close(socket);
    return false;
  }
  watched->socket_ = socket;
  watched->events_ = events;
  Watched* key = watched.get();
  watched_.emplace(key, std::move(watched));
  return true;
}

void Loop::want(Watched& watched, uint32_t events) {
  if (watched.socket_ < 0 || watched.events_ == events) return;
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watched;
  RETORT_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, watched.socket_, &event) == 0, "epoll: {}",
               std::strerror(errno));
  watched.events_ = events;
}

void Loop::remove(Watched& watched) {
  if (watched.socket_ < 0) return;
  ::close(std::exchange(watched.socket_, -1));  // which ends the watch too
  const auto found = watched_.find(&watched);
  removed_.push_back(std::move(found->second));
  watched_.erase(found);
}

void Loop::set_deadline(Watched& watched, int64_t after_ms) {
  set_deadline_at(watched, now_ms_ + after_ms);
}

void Loop::set_deadline_at(Watched& watched, int64_t at_ms) {
  watched.deadline_ms_ = at_ms;
  earliest_ms_ = std::min(earliest_ms_, at_ms);
}

void Loop::clear_deadline(Watched& watched) {
  watched.deadline_ms_ = kNever;
}

void Loop::wait_for_reads(Watched& watched) {
  if (!std::exchange(watched.waits_, true)) read_.push_back(&watched);
}

void Loop::wake(Watched& watched) {
  if (!std::exchange(watched.woken_, true)) woken_.push_back(&watched);
}

bool Loop::before_leaving(const void* owner, std::function<void()> call) {
  if (!in_turn_) return false;
  const bool known = std::any_of(before_leaving_.begin(), before_leaving_.end(),
                                 [owner](const auto& one) { return one.first == owner; });
  if (!known) before_leaving_.emplace_back(owner, std::move(call));
  return true;
}

bool before_answers_leave(const void* owner, std::function<void()> call) {
  return own != nullptr && own->before_leaving(owner, std::move(call));
}

void Loop::for_each(const std::function<void(Watched&)>& call) {
  std::vector<std::shared_ptr<Watched>> all;
  for (const auto& [key, owner] : watched_) all.push_back(owner);
  for (const auto& one : all) {
    if (one->socket_ >= 0) call(*one);
  }
}

Attached* Loop::attached(const void* key) {
  const auto found = attached_.find(key);
  return found == attached_.end() ? nullptr : found->second.get();
}

void Loop::attach(const void* key, std::unique_ptr<Attached> attached) {
  attached_[key] = std::move(attached);
}

void Loop::detach(const void* key) {
  attached_.erase(key);
}

}  // namespace retort::http
