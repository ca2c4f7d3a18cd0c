// Taking back a withdrawal that was made by mistake. Only the holder of the key that the withdrawal
// itself names can: entry "retraction", named by the SHA-256 of its envelope, which holds an
// in-toto Statement v1 signed with that key (terms/statement.h). The statement names the log, the
// withdrawal's entry and the name of that entry, so it says nothing of any other withdrawal, nor of
// the same one made again. A retraction that does not hold in every point takes nothing back.
//
// What followed from the withdrawal goes with it. An erasure does not: what was erased is gone.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/withdrawals.h"
#include "json/value.h"
#include "ledger/ledger.h"

namespace retort::corpus {

inline constexpr const char* kRetractionType = "https://retort.local/retort/retraction/v1";

struct RetractionDraft {
  std::string reason = {}, by = {};
};
// What is signed, for a person to read.
std::string retraction_text(const ledger::Ledger& ledger, const Withdrawal& withdrawal,
                            const RetractionDraft& draft);

// The one of this entry; refused (usage, not_found) where it cannot be taken back: it names no
// holder, it follows from another one, or it was taken back before.
Result<Withdrawal> withdrawal_to_take_back(ledger::Ledger& ledger, int64_t entry);
// The entry to append for the envelope (JSON of terms/statement.h); refused_by_gate where it does
// not take that withdrawal back.
Result<ledger::Draft> retraction_entry(const ledger::Ledger& ledger, const Withdrawal& withdrawal,
                                       const json::Value& envelope);

// Sets taken_back. `all`: every withdrawal of the log, in its order. bad_input where entries that
// it rests on are not those under the log's signed root.
Result<void> mark_taken_back(ledger::Ledger& ledger, std::vector<Withdrawal>& all);

}  // namespace retort::corpus
