// The provider's record of what happened: every request, and every change of accounts and cases, as
// lines of JSON in segments whose digests stand in a log of their own (accounts/log, the format of
// ledger/ledger.h). Who edits, cuts or drops a segment contradicts the log; a checkpoint that
// somebody else keeps shows a rewritten one. Prompts and answers are in none of it.
//
//   accounts/audit/open-*.jsonl     what is being written: a line is with the system at once
//   accounts/audit/DIGEST.jsonl     sealed: synced, then logged as `audit`
//
// A change that is logged twice after a crash carries the same `row`. Requests that no key names
// are nobody's, and whoever likes can send them by the million: of these the audit has one line a
// minute and outcome, with their number.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"

namespace retort::accounts {
class Book;
class Cases;
}  // namespace retort::accounts
namespace retort::ledger {
class Ledger;
}

namespace retort::provider {

// One request, at its end.
struct Served {
  int64_t time_ms = 0;  // when it was asked
  std::string_view request{}, account{}, key{};
  std::string_view route{};  // of a request that no model was asked for; then `model` is ""
  std::string_view model{};
  std::string_view outcome{};  // "answered", "replayed", "left" for a client that went away, or the
                               // code of what it was refused with or failed by
  int64_t input_tokens = 0, output_tokens = 0;
  std::string_view case_id{}, step{};  // that it was answered under; "" for none
};

class Audit {
 public:
  // Seals what an earlier process left.
  // `book`: where the accounts are, whose history is followed.
  static Result<std::unique_ptr<Audit>> open(const std::string& folder, const std::string& book,
                                             base::Clock* clock);
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  // From any thread; some microseconds. The system has its line before an answer leaves that the
  // same thread makes afterwards (http::before_answers_leave).
  void add(const Served& served);
  void count_nameless(const std::string& outcome);  // from any thread; likewise short
  // Follows the histories; seals where something changed or a minute has passed.
  Result<void> work();
  Result<void> seal();

 private:
  struct Impl;
  void flush();
  explicit Audit(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct AuditCount {
  int64_t segments = 0, lines = 0;
};
// Verifies the log, then every segment against it, and shows each line: {"kind": "request" |
// "nameless" | "account" | "case", "time_ms", ...}. bad_input names the first segment that is not
// as it was.
Result<AuditCount> read_audit(const std::string& folder,
                              const std::function<Result<void>(const json::Value&)>& use);

}  // namespace retort::provider
