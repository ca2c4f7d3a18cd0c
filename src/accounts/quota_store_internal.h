// The store of the quotas, a file or a server: limits, what was used of them, and what processes
// hold. Belongs to one thread at a time; other processes may write between any two calls.
//
//   counters    of a limit in a period: used, and held by all processes together. Their sum never
//               exceeds the limit, because what is taken is one conditional UPDATE of this row.
//   holdings    what one process holds of a counter: granted and, of that, reported as used;
//               totals since the row was made, under a number that the process chose
//   processes   who holds anything, and until when nobody else may end that
//
// Whoever changes what a process holds locks its row in `processes` first, so a transaction whose
// end is not known has ended when the next one of this process looks. What a process says are
// totals: they are compared with what the store is known to hold, or, after an answer was lost,
// with what it is then read to hold; so nothing is ever taken, used or given back twice.
//
// A process that a server's store has not heard of for `lease_ms` counts as gone, with all that it
// held as used. It stops handing anything out after half of that time.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "accounts/quota.h"
#include "store/database.h"

namespace retort::accounts {

// Everybody takes and settles counters in this order, so that no two wait for each other.
inline auto counter_order(const Limit& limit, const int64_t& period_ms) {
  return std::tie(limit.subject, limit.resource, limit.window, period_ms);
}

// A process's wish to hold more of a limit in a period.
struct Want {
  Limit limit;
  int64_t period_ms = 0;
  int64_t row = 0;      // the process's own number for what it holds of it, never 0
  int64_t granted = 0;  // in total, as far as the process knows
  int64_t need = 0;     // at least this much more, or nothing at all
  int64_t wish = 0;     // so much more if there is plenty
};
struct Given {
  int64_t granted = 0;    // the new total
  int64_t unclaimed = 0;  // neither used nor held by anybody, after this
};
struct Answer {
  std::vector<Given> given{};  // one a want, or none
  std::optional<Refusal> refusal{};
};

// What a process says of what it holds: totals since the row was made.
struct Report {
  int64_t row = 0;
  int64_t granted = 0;  // not more than before: the rest is given back
  int64_t spent = 0;
  bool last = false;  // the row goes
};

class QuotaStore {
 public:
  struct Options {
    std::string address{};  // a path, or of a server
    std::string process{};
    int64_t lease_ms = 0;
    base::Clock* clock = nullptr;
  };
  static Result<QuotaStore> open(Options options);

  Result<void> set_limit(const Limit& limit);
  Result<void> remove_limit(const Limit& limit);
  Result<std::vector<Limit>> limits();
  // Differs when limits were changed by whoever.
  Result<int64_t> limits_version();

  Result<Answer> grant(const std::vector<Want>& wants);
  // What can be had of them: a want that is refused is given nothing.
  Result<std::vector<Given>> grant_each(const std::vector<Want>& wants);
  Result<void> report(const std::vector<Report>& reports);
  // The lease is as long as it can be then.
  Result<void> renew();
  Result<void> renew_if_due();
  // The process holds nothing and ends.
  Result<void> leave();
  Result<int64_t> used(const Limit& limit, int64_t period_ms);

  bool is_shared() const { return store::is_server(options_.address); }
  // Until when the process may hand out what it holds (monotonic).
  int64_t lease_ends_ms() const;
  // How often the process counted as gone and was not.
  int64_t deaths() const { return deaths_; }

  Result<std::vector<std::string>> processes();
  // A dead process's rows: what `spent` says of one counts as used; one that it does not know was
  // granted a moment before the end and never touched. Without it all rows count whole.
  using Spent = std::unordered_map<int64_t, int64_t>;
  Result<void> settle_dead(const std::string& process, const std::optional<Spent>& spent);
  // Those whose lease is over.
  Result<void> settle_expired();
  // Minutes that were over a day ago and of which nobody holds anything, some hundreds at once;
  // whether there may be more.
  Result<bool> forget_minutes();

 private:
  struct Held {
    Limit limit;  // without its number
    int64_t period_ms = 0;
    int64_t granted = 0, reported = 0;
    int64_t open() const { return granted - reported; }
  };
  using Rows = std::unordered_map<int64_t, Held>;
  enum class Death { known, expired };

  QuotaStore(Options options, std::unique_ptr<store::Database> database);
  Result<store::Statement*> sql(const char* text);
  Result<void> change(const std::function<Result<void>()>& work);
  Result<void> enlist();
  Result<bool> claim();
  Result<Rows> read_held(const std::string& process);
  Result<void> bump_version();
  Result<std::optional<Refusal>> grant_one(const Want& want, Given& given);
  Result<std::optional<Given>> take(const Want& want, int64_t need);
  Result<void> report_one(const Report& report);
  Result<void> charge(const Held& held, int64_t used, int64_t back);
  Result<void> settle(const std::string& process, const std::optional<Spent>& spent, Death death);
  // What nobody has used and nobody holds.
  Result<int64_t> remaining(const Limit& limit, int64_t period_ms);
  Result<void> carry_over();

  Options options_;
  std::unique_ptr<store::Database> database_;
  std::unordered_map<const char*, std::unique_ptr<store::Statement>> statements_;
  bool enlisted_ = false;
  int64_t renewed_ms_ = 0;  // when the last lease was asked for (monotonic)
  int64_t deaths_ = 0;
  // What the store holds for this process, while that is known, and what a transaction makes of it.
  bool is_known_ = true;
  Rows held_;
  std::unordered_map<int64_t, std::optional<Held>> changed_;
};

}  // namespace retort::accounts
