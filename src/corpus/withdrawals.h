// Permission that ended after records were gathered, as entries of the log. What each case takes
// away:
//   terms-changed      the provider's new version holds from a day on: records captured before it
//                      keep their version, those captured from then on are denied
//   account-ended      the account, grant or licence behind terms or a door is over: every record
//                      under them is denied
//   reading-corrected  our reading of the terms was wrong: every record under them is judged again,
//                      by the corrected reading. Where that one is signed by a decider it takes the
//                      place of the wrong one; unsigned, both bind, which can only deny more
//   record             one record: it is denied, and what was derived from it
//   declaration-ended  a declaration counts for nothing any more (as after its revocation)
// Entry "withdrawal", named by the SHA-256 of its body without `runs`: the same withdrawal twice is
// one entry. One that names a holder may be taken back by whoever holds that key (retraction.h),
// and by nobody else; one that names none is never taken back.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "terms/terms.h"

namespace retort::corpus {

enum class WithdrawalCase {
  terms_changed,
  account_ended,
  reading_corrected,
  record,
  declaration_ended
};
const char* name(WithdrawalCase one);
std::optional<WithdrawalCase> parse_withdrawal_case(std::string_view text);

enum class SubjectKind { terms, door, record, declaration };
const char* name(SubjectKind kind);

struct Withdrawal {
  WithdrawalCase why = WithdrawalCase::account_ended;
  SubjectKind kind = SubjectKind::terms;
  // Of terms and declarations their id, of a door the name of its entry, of a record
  // "SHARD:ROW" with the shard's digest.
  std::string id = {};
  std::string key = {};           // of a record: its key
  std::string corrected_by = {};  // reading-corrected: id of the reading that is right
  int64_t from_ms = 0;            // terms-changed: when the new version begins
  int64_t follows = -1;           // entry of the withdrawal that this one is a consequence of
  std::string holder = {};        // public key in PEM; "": nobody's
  int64_t again = -1;             // entry of the retraction after which it was said once more
  // Of a record: the runs (entries) that learnt from it or from what was made of it, where that is
  // known; else all that learnt from its shard count.
  std::optional<std::vector<int64_t>> runs = {};
  std::string reason = {}, by = {};
  // As the log has it.
  int64_t entry = -1;
  int64_t time_ms = 0;
  int64_t taken_back = -1;  // entry of its retraction, or of that of the one that it follows

  // "the terms 0123456789abcdef were withdrawn by NAME: account ended, REASON".
  std::string words() const;
  // The same with the day and the entry, as the log has them.
  std::string sentence() const;
};

// The body and the name of its entry.
json::Value to_json(const Withdrawal& withdrawal);
std::string name_of(const Withdrawal& withdrawal);
// bad_input for a body that is not what it should be, or that a newer program wrote.
Result<Withdrawal> withdrawal_from_entry(const ledger::Entry& entry);

// Whether it can be: the case fits what it is about, the log knows it (not_found otherwise), a
// corrected reading is in the log and is another one, somebody is named. usage and bad_input.
Result<void> check(ledger::Ledger& ledger, const Withdrawal& withdrawal);

// A terms file's entry, such as that of a corrected reading; the one that is there already where it
// is.
Result<void> log_reading(ledger::Ledger& ledger, const terms::Terms& reading);

// Those that stand, in the order of the log.
Result<std::vector<Withdrawal>> read_withdrawals(ledger::Ledger& ledger);
// With those that were taken back.
Result<std::vector<Withdrawal>> read_all_withdrawals(ledger::Ledger& ledger);

}  // namespace retort::corpus
