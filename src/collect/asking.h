// Asking one teacher, as a state machine without I/O: how many requests may leave now, what follows
// from a reply, when to stop. It knows jobs by number and the requests in flight; which jobs there
// are is the notebook's matter (ask_all.h). Time comes in as monotonic milliseconds. One thread.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "collect/budget.h"
#include "collect/pacing.h"
#include "collect/reply.h"

namespace retort::collect {

struct AskingOptions {
  Limits limits;
  Prices prices;
  PacingOptions pacing;
  int64_t max_attempts = 6;         // broken ones of a job in one run
  int64_t top_logprobs = 0;         // asked for each token; 0: not asked
  int64_t rejections_to_stop = 20;  // the first so many replies all "rejected": the run is wrong
};

enum class Outcome {
  answered,  // store the answer
  failed,    // given up in this run, with the reason
  again,     // to be asked again
};

struct Step {
  Outcome outcome = Outcome::failed;
  Spend charge;             // what the attempt is booked with
  bool unknown = false;     // charged at the reserved most: nobody knows what it cost
  int64_t again_in_ms = 0;  // outcome again: not before
};

struct Tally {
  int64_t answered = 0;
  int64_t rejected = 0;   // the request itself is wrong
  int64_t exhausted = 0;  // ran out of attempts
  int64_t sent = 0;
  int64_t retries = 0;    // attempts that were followed by another one
  int64_t throttled = 0;  // replies that said "slow down"
  int64_t unknown = 0;    // attempts charged at the reserved most
  int64_t answer_tokens = 0;
  int64_t without_logprobs = 0;  // answers, where they were asked for
  std::string last_failure;
  std::string policy_case;  // that the provider has against this account, as it said last
};

class Asking {
 public:
  // `spent`: by earlier runs.
  Asking(const AskingOptions& options, Spend spent, int64_t now_ms);

  // How many requests may leave now; 0 when parked, full, waiting for a settlement, or stopped.
  int64_t room(int64_t now_ms) const;
  // Reserves what job costs at most (budget.h, priced()). Anything but granted: it must not be
  // sent; refused also stops.
  Admission admit(int64_t job, const Spend& most);
  // What follows from the reply to an admitted job.
  Step on_reply(int64_t job, const Reply& reply, int64_t sent_ms, int64_t now_ms);
  // An attempt of an earlier process whose end nobody knows.
  void book_unknown(const Spend& most);

  // No more is sent; what is in flight may still come back.
  void stop(Error error);
  // Why it stopped; none when it did not.
  const std::optional<Error>& stopped() const { return stopped_; }

  // When room() may grow without a reply; INT64_MAX when only a reply helps.
  int64_t wake_ms(int64_t now_ms) const;

  int64_t in_flight() const { return static_cast<int64_t>(in_flight_.size()); }
  const Tally& tally() const { return tally_; }
  const Budget& budget() const { return budget_; }
  const Pacing& pacing() const { return pacing_; }

 private:
  struct Troubles {
    int64_t broken = 0;
    int64_t throttled = 0;
  };
  Step on_answer(const Spend& most, const Reply& reply, int64_t now_ms);
  void check_logprobs(const Answer& answer);
  Step on_broken(int64_t job, const Spend& most, const Reply& reply, int64_t now_ms);
  Step on_throttle(int64_t job, const Spend& most, const Reply& reply, int64_t sent_ms,
                   int64_t now_ms);
  Step on_unreachable(const Spend& most, const Reply& reply, int64_t now_ms);
  Step on_rejected(const Spend& most, const Reply& reply);
  Step on_stop(const Spend& most, const Reply& reply);
  void check_patience(const Reply& reply, int64_t now_ms);

  AskingOptions options_;
  Budget budget_;
  Pacing pacing_;
  std::map<int64_t, Spend> in_flight_;    // job to what is reserved for it
  std::map<int64_t, Troubles> troubles_;  // of jobs that did not go well
  bool waits_for_budget_ = false;         // only a settlement lets the next request in
  bool has_logprobs_ = false;             // an answer came with them
  Tally tally_;
  std::optional<Error> stopped_;
};

}  // namespace retort::collect
