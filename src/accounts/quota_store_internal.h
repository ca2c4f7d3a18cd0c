// quota.db: limits, what was used of them, and what is granted to processes. Belongs to one thread
// at a time; other processes may write between any two calls.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "accounts/quota.h"
#include "store/database.h"

namespace retort::accounts {

// A process's wish to hold more of a limit in a period.
struct Want {
  Limit limit;
  int64_t period_ms = 0;
  int64_t row = 0;      // of the grant it has; 0: none yet
  int64_t granted = 0;  // in total, with what it asked and got before
  int64_t need = 0;     // at least this much more, or nothing at all
  int64_t wish = 0;     // so much more if there is plenty
};
struct Given {
  int64_t row = 0;
  int64_t granted = 0;    // the new total
  int64_t unclaimed = 0;  // neither used nor granted to anybody, after this
};
struct Answer {
  std::vector<Given> given{};  // one a want, or none
  std::optional<Refusal> refusal{};
};

// What a process says of a grant: totals since the row was made.
struct Report {
  int64_t row = 0;
  int64_t granted = 0;  // not more than before: the rest is given back
  int64_t spent = 0;
  bool last = false;  // the row goes
};

class QuotaStore {
 public:
  static Result<QuotaStore> open(const std::string& path);

  Result<void> set_limit(const Limit& limit);
  Result<void> remove_limit(const Limit& limit);
  Result<std::vector<Limit>> limits();
  // Differs when limits were changed by whoever.
  Result<int64_t> limits_version();

  Result<Answer> grant(const std::string& process, const std::vector<Want>& wants);
  Result<void> report(const std::vector<Report>& reports);
  Result<int64_t> used(const Limit& limit, int64_t period_ms);
  // What nobody has used and nobody holds.
  Result<int64_t> remaining(const Limit& limit, int64_t period_ms);

  Result<std::vector<std::string>> processes();
  // A dead process's grants: what `spent` says of a row counts as used; a row that it does not know
  // was granted a moment before the end and never touched. Without it all rows count whole.
  using Spent = std::unordered_map<int64_t, int64_t>;
  Result<void> settle_dead(const std::string& process, const std::optional<Spent>& spent);

 private:
  explicit QuotaStore(std::unique_ptr<store::Database> database) : database_(std::move(database)) {}
  Result<store::Statement*> sql(const char* text);
  Result<void> bump_version();
  Result<void> report_one(const Report& report);

  std::unique_ptr<store::Database> database_;
  std::unordered_map<const char*, std::unique_ptr<store::Statement>> statements_;
};

}  // namespace retort::accounts
