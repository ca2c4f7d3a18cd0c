// Declarations (terms/declaration.h) and revocations in the log. A declaration counts only from its
// entry there, and only while none revokes it: the log's time, which nobody chooses, is its date.
//   "declaration"  {"schema": "retort.declaration/1", "id", "envelope"}: the whole DSSE envelope;
//                  named by the SHA-256 of the envelope's canonical JSON, since one statement may
//                  be signed by several people
//   "revocation"   {"schema": "retort.revocation/1", "by", "reason"}, named by the declaration's id
// A revocation needs no signature: it takes permission away and can give none.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "terms/declaration.h"

namespace retort::corpus {

struct LoggedDeclaration {
  terms::Declaration declaration;  // with void_reason
  std::string key;                 // id of the decider's key that signed it, "" for none
  std::string statement;           // the signed bytes
  int64_t leaf = -1;
  int64_t logged_ms = 0;
};

// Writes a signed declaration into the log; bad input when it is no declaration, or signed by none
// of `deciders`.
Result<LoggedDeclaration> log_declaration(ledger::Ledger& ledger, const json::Value& envelope,
                                          const terms::Deciders& deciders,
                                          const std::string& where);

struct Revocation {
  std::string declaration;  // id, 64 hex digits
  std::string by, reason;
};
// not_found when the log holds no such declaration. Returns the entry's number.
Result<int64_t> revoke_declaration(ledger::Ledger& ledger, const Revocation& revocation);

// All that the log holds, those for most records first; void_reason says which count for nothing at
// `now_ms` (or at the time of the log's last entry, if that is later). Entries that are no
// declaration are left out.
Result<std::vector<LoggedDeclaration>> read_declarations(ledger::Ledger& ledger,
                                                         const terms::Deciders& deciders,
                                                         int64_t now_ms);

}  // namespace retort::corpus
