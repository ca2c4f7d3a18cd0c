// Quotas that are never overrun by one unit, by any number of threads and processes, on one machine
// or on several that share a server (PostgreSQL), kills included.
//
// What the store keeps of every limit and period: what was used, and what processes hold in
// advance. Their sum never exceeds the limit, so what processes hand out in memory of what they
// hold cannot either. Near the limit grants become as small as the request that asks. A process
// notes every reservation, and what it has produced so far, in a file that it maps
// (quota_live_internal.h): after a kill the next one to open the folder reads there what was used,
// to the unit. After a power failure, which may have lost that file, all that was held counts as
// used.
//
// Of a limit that is in use when its period is about to end, a process holds up to a sixteenth of
// the next one, so that nobody's first request waits; it goes back when nobody asks within two
// seconds.
//
// On a server a process has a lease, which its reports renew. A process whose folder nobody opens
// again, because its machine is gone, counts as dead when the lease is over, and all that it held
// as used: the limit is never passed, but for the lease's time, and in that period, others may
// get less than it. A process that does not reach the store hands out what it holds for half of
// the lease and then nothing; what takes a place of `parallel` is told to stop at its next
// progress. One that was stopped as a whole for longer than the lease and wakes up finds that out
// within a second of its going on.
//
//   reserve(subjects, most)   before anything is done: all limits of all subjects, or none
//   progress(so far)          while it is produced, so that a crash loses nothing
//   settle(used)              at the end; a reservation that goes without it has used its progress
//
// Integers throughout. A store that fails, or is not reached, refuses. Thread-safe; reserve may
// wait for a write to the store (a grant ran out), the others do not.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace retort::accounts {

enum class Resource { requests, input_tokens, output_tokens, cost_micros, parallel };
enum class Window { minute, day, month, now };  // calendar periods in UTC; now: of `parallel`
const char* name(Resource resource);
const char* name(Window window);
std::optional<Resource> parse_resource(std::string_view text);
std::optional<Window> parse_window(std::string_view text);

// "key:KEY", "account:ACCOUNT", "organisation:NAME" or "all".
using Subject = std::string;

struct Limit {
  Subject subject;
  Resource resource = Resource::requests;
  Window window = Window::minute;
  int64_t most = 0;
  bool operator==(const Limit&) const = default;
};

struct Amounts {
  int64_t requests = 1, input_tokens = 0, output_tokens = 0, cost_micros = 0;
};

// Why nothing was reserved: the limit that would be passed, and when its period ends.
struct Refusal {
  Limit limit;
  int64_t asked = 0, remaining = 0;
  int64_t resets_ms = 0;  // wall time; 0 for `parallel`
};

// How a limit stands for whoever asks, for x-ratelimit headers.
struct Standing {
  Resource resource = Resource::requests;
  int64_t most = 0, remaining = 0;
  int64_t resets_ms = 0;
};

class Quotas;

class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation();  // settles with what progress said last

  // Totals since the beginning, at most what was reserved: whoever produces stops there. False: it
  // must stop now, because its place may be somebody else's (a lease is over).
  bool progress(const Amounts& so_far);
  void settle(const Amounts& used);
  bool held() const { return owner_ != nullptr; }

 private:
  friend class Quotas;
  Reservation(Quotas* owner, int64_t flight) : owner_(owner), flight_(flight) {}
  Quotas* owner_ = nullptr;
  int64_t flight_ = -1;
};

struct Admission {
  Reservation reservation{};
  std::optional<Refusal> refusal{};
  bool admitted() const { return reservation.held(); }
};

class Quotas {
 public:
  struct Options {
    base::Clock* clock = nullptr;  // nullptr: the machine's
    // Reports what was used to the store, gives back idle grants, and takes some of periods that
    // begin soon, once a second; asks for more of what is half used up. Without it somebody calls
    // tick() and ask_ahead().
    bool background = true;
    // In requests; doubled when used up within a second, tokens by their size.
    int64_t first_grant = 64;
    std::string store{};        // postgresql://...; "": quota.db in the folder
    int64_t lease_ms = 60'000;  // on a server
  };
  // A folder of this machine's own: one live file a process, and quota.db where that is the store.
  static Result<std::unique_ptr<Quotas>> open(const std::string& folder, const Options& options);
  static Result<std::unique_ptr<Quotas>> open(const std::string& folder);
  ~Quotas();  // reports everything; no reservation may be left
  Quotas(const Quotas&) = delete;
  Quotas& operator=(const Quotas&) = delete;

  // Limits may be changed from any process; others heed them within a second. A limit below what is
  // used already refuses until the period ends.
  Result<void> set_limit(const Limit& limit);
  Result<void> remove_limit(const Limit& limit);
  Result<std::vector<Limit>> limits();

  // Storage errors are for the caller to turn into a refusal: nothing was reserved.
  Result<Admission> reserve(const std::vector<Subject>& subjects, const Amounts& most);
  // Whether a limit of this resource binds any of them.
  bool binds(const std::vector<Subject>& subjects, Resource resource);
  // What is left for these subjects; exact but for what other processes did in the last second.
  std::vector<Standing> standing(const std::vector<Subject>& subjects);
  // Used in the period of `at_ms`, as reported: by all processes, up to a second old.
  Result<int64_t> used(const Limit& limit, int64_t at_ms);

  Result<void> tick();
  // More of each grant that is half used up, so that no request has to wait for the store.
  Result<void> ask_ahead();

 private:
  friend class Reservation;
  struct Impl;
  explicit Quotas(std::unique_ptr<Impl> impl);
  bool note_progress(int64_t flight, const Amounts& so_far);
  void finish(int64_t flight, const Amounts* used);
  std::unique_ptr<Impl> impl_;
};

// The limits alone, for who administers them: holds nothing and leaves no file. Belongs to one
// thread at a time.
class LimitBook {
 public:
  // A path, or postgresql://...
  static Result<std::unique_ptr<LimitBook>> open(const std::string& address);
  ~LimitBook();
  Result<void> set(const Limit& limit);
  Result<void> remove(const Limit& limit);
  Result<std::vector<Limit>> list();

 private:
  struct Impl;
  explicit LimitBook(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// First instant of the period that holds `wall_ms`, and of the next one. now: 0 and 0.
int64_t period_start_ms(Window window, int64_t wall_ms);
int64_t period_end_ms(Window window, int64_t wall_ms);

}  // namespace retort::accounts
