// One thread that waits for sockets, deadlines and calls of other threads. What it watches belongs
// to it and lives until the event after its removal, so that an event of the same batch finds it.
//
// What is done between two waits is a turn. All that has come is read first; then requests are
// handled, then what their answers rest on is written (server.h, before_answers_leave), then the
// answers leave. So one look at the outside counts for all requests of a turn, and one write.
//
// Threads: post() and stop() from any; everything else on the loop's own thread, or before run().
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace retort::http {

class Loop;

// A socket and who is told of it.
class Watched {
 public:
  virtual ~Watched() = default;
  // `events` as epoll has them. May remove itself.
  virtual void on_ready(uint32_t events) = 0;
  virtual void on_deadline() = 0;
  virtual void on_all_read() {}
  virtual void on_wake() {}
  // A call above threw: nothing is known of its state but that it must end.
  virtual void on_broken() = 0;

 private:
  friend class Loop;
  int socket_ = -1;  // -1: not watched
  uint32_t events_ = 0;
  int64_t deadline_ms_ = std::numeric_limits<int64_t>::max();
  bool waits_ = false, woken_ = false;
};

// What somebody keeps on a loop beside sockets; gone with the loop, on its thread.
class Attached {
 public:
  virtual ~Attached() = default;
};

class Loop : public std::enable_shared_from_this<Loop> {
 public:
  static Result<std::shared_ptr<Loop>> make(int peers);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The loop whose thread this is; null on other threads.
  static Loop* current();
  // How many loops share the work, this one among them.
  int peers() const { return peers_; }

  // Until stop(); then everything watched and attached is let go, and calls that were posted are
  // made.
  void run();
  void stop();
  // False: the loop has ended, and nothing is called.
  bool post(std::function<void()> call);

  // In monotonic milliseconds, of the moment that the loop woke up.
  int64_t now_ms() const { return now_ms_; }

  // Closes the socket when it is removed, or at once where the system has no place for it: false.
  bool add(std::shared_ptr<Watched> watched, int socket, uint32_t events);
  void want(Watched& watched, uint32_t events);
  void remove(Watched& watched);
  void set_deadline(Watched& watched, int64_t after_ms);
  void set_deadline_at(Watched& watched, int64_t at_ms);
  void clear_deadline(Watched& watched);
  // Once each, in this turn or the next, if it is still watched then: on_all_read() when everything
  // was read that has come, on_wake() when what is about to leave may leave.
  void wait_for_reads(Watched& watched);
  void wake(Watched& watched);
  // server.h, before_answers_leave(); false between turns.
  bool before_leaving(const void* owner, std::function<void()> call);
  // Of all loops' turns; for what was read by then. 0 before the first.
  uint64_t turn() const { return turn_; }
  void for_each(const std::function<void(Watched&)>& call);

  // By whoever keeps it; null for none.
  Attached* attached(const void* key);
  void attach(const void* key, std::unique_ptr<Attached> attached);
  void detach(const void* key);

  // For reading from sockets: what is in it is the caller's until it returns.
  std::array<char, 64 << 10>& scratch() { return scratch_; }

 private:
  Loop(int peers, int epoll, int signal);
  void end();
  void run_posted();
  void finish_turn();
  void run_before_leaving();
  // Takes all out of the list and their marks off; `call` may put some in again, for a later round.
  void run_round(std::vector<Watched*>& list, bool Watched::*mark, void (Watched::*call)());
  void run_woken() { run_round(woken_, &Watched::woken_, &Watched::on_wake); }
  void expire();
  int wait_ms() const;
  template <class Call>
  void guarded(Watched& watched, const Call& call);

  const int peers_;
  int epoll_ = -1, signal_ = -1;
  int64_t now_ms_ = 0;
  // No deadline lies before it. Setting one only lowers it, so that most cost a comparison; all are
  // looked at when it has come.
  int64_t earliest_ms_ = std::numeric_limits<int64_t>::max();
  std::unordered_map<Watched*, std::shared_ptr<Watched>> watched_;
  std::vector<std::shared_ptr<Watched>> removed_;
  std::vector<Watched*> read_, woken_, round_;
  std::vector<std::pair<const void*, std::function<void()>>> before_leaving_;
  uint64_t turn_ = 0;
  bool in_turn_ = false;
  std::map<const void*, std::unique_ptr<Attached>> attached_;
  std::array<char, 64 << 10> scratch_{};

  std::mutex mutex_;  // of what follows
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false, ended_ = false;
};

}  // namespace retort::http
