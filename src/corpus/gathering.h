// corpus.db: records while they are gathered. One process writes (a lock beside the file keeps a
// second one out), with as many threads as it likes; a second process may read. Order of a call:
//
//   plan(requests)            jobs by key; planning the same again adds nothing
//   claim(n)                  jobs marked as in flight, on disk before this returns: send only then
//   commit / submit(answer)   acknowledged when it is on disk; several answers share one sync
//   fail(job, ...)            planned again after a pause, or given up, with the reason
//
// After a crash the jobs in flight are planned again and counted as possibly sent: those are the
// only calls that can be paid twice. Errors: storage (full disk, locked, damaged file), bad_input.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "corpus/logprobs.h"
#include "corpus/record.h"

namespace retort::corpus {

struct Job {
  int64_t id = 0;
  int64_t attempts = 0;        // with this one
  bool possibly_sent = false;  // was in flight when an earlier process ended
  Record request;              // only what was asked is filled in
};

// What came back; the rest of the record is the job's. The capture time is the gathering's clock.
struct Answer {
  std::string model_answered{};
  std::string text{};
  std::string finish_reason{};
  Usage usage{};
  std::string request_id{};
  terms::Preference preference = terms::Preference::absent;
  std::string preference_text{};
  uint16_t features = 0;
  int64_t cost_micros = 0;
  std::vector<TokenLogprobs> logprobs{};  // of the answer's tokens; empty: none came
};

struct Failure {
  std::string reason{};        // a sentence; never holds a secret
  bool retry = true;           // false: given up
  int64_t retry_after_ms = 0;  // not claimed again before
  int64_t cost_micros = 0;     // failed calls can cost money as well
  Usage usage{};
};

struct Counts {
  int64_t planned = 0;  // waiting, with those that wait for a retry
  int64_t in_flight = 0;
  int64_t done = 0;             // answered, sealed or not
  int64_t failed = 0;           // given up
  int64_t sealed = 0;           // of done
  int64_t requests = 0;         // calls made, all attempts
  int64_t possibly_resent = 0;  // calls made again after a crash while the first was in flight
  int64_t total() const { return planned + in_flight + done + failed; }
};

struct Spend {
  int64_t requests = 0, prompt_tokens = 0, completion_tokens = 0;
  int64_t cost_micros = 0;
};

class Gathering {
 public:
  struct Options {
    int64_t group_ms = 10;         // answers that come within this time share one sync
    base::Clock* clock = nullptr;  // nullptr: the machine's; gives capture times
    bool read_only = false;
  };
  // Makes the file when it is missing (not when read-only). A second writer gets a storage error
  // that names the first one's process.
  static Result<std::unique_ptr<Gathering>> open(const std::string& path, const Options& options);
  static Result<std::unique_ptr<Gathering>> open(const std::string& path);
  ~Gathering();  // commits what was submitted
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;

  // Adds the requests that are new; returns how many. Keys are computed here. A key that exists
  // keeps its job, whatever its state; its terms are not changed.
  Result<int64_t> plan(const std::vector<Record>& requests);

  // Up to `limit` jobs in the order of planning, whose time for a retry has come. Empty: none is
  // ready now; next_ready_ms() says when one will be.
  Result<std::vector<Job>> claim(int64_t limit);
  // Wall time at which a waiting job becomes ready; -1 when none waits.
  Result<int64_t> next_ready_ms();

  // On disk when `done` is called (from the writer's thread; it must not block or call back into
  // this object). A job that is not in flight is a programmer's mistake and refused.
  using Done = std::function<void(Result<void>)>;
  void submit(const Job& job, Answer answer, Done done);
  // The same, waiting for it.
  Result<void> commit(const Job& job, Answer answer);
  Result<void> fail(const Job& job, const Failure& failure);
  // Back to planned without an attempt counted: claimed but not sent.
  Result<void> release(const Job& job);
  // What the attempt of an ended process may have cost at most; counted once for a claimed job that
  // is possibly_sent, which it is no longer from then on.
  Result<void> book_lost(const Job& job, const Usage& usage, int64_t cost_micros);
  // Failed jobs are planned again (a new run of the same command).
  Result<int64_t> retry_failed();
  // Waits until everything submitted is on disk; the first error of the writer, if any.
  Result<void> flush();

  Result<Counts> counts();
  Result<Spend> spend();
  // Reasons of given-up jobs, most frequent first.
  struct FailureReason {
    std::string reason;
    int64_t jobs = 0;
    std::string first_key;  // of the job planned first among them
  };
  Result<std::vector<FailureReason>> failure_reasons();
  // Done records in the order of planning. The visitor must not call back into this object. This is
  // for status, resume and sealing; whoever learns from text goes through corpus/clearance.h.
  struct DoneInfo {
    int64_t job_id = 0;
    std::string key;
    std::string finish_reason;
    Usage usage;
    int64_t captured_ms = 0;
    bool sealed = false;
  };
  Result<void> for_each_done(const std::function<void(const DoneInfo&)>& visit);

  // First opened at; a capture before this cannot be.
  int64_t created_ms() const;
  const std::string& path() const;

 private:
  friend class Sealer;
  struct Impl;
  explicit Gathering(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::corpus
