// Proofs as files, to be checked without the log (docs/reference/ledger.md).
//   c2sp.org/tlog-proof@v1: an entry in the log; its bytes in the line `extra`
//   "old SIZE", hashes, checkpoint: the log continues one of that size (the body of C2SP
//   tlog-witness's add-checkpoint)
// Reading refuses (bad_input) whatever is not to the letter; it proves nothing by itself.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::ledger {

std::string write_proof(const Proof& proof);
Result<Proof> read_proof(std::string_view text, const std::string& where);

struct ConsistencyProof {
  int64_t old_size = 0;
  std::vector<Digest> path;
  std::string checkpoint;
};
std::string write_consistency_proof(const ConsistencyProof& proof);
Result<ConsistencyProof> read_consistency_proof(std::string_view text, const std::string& where);
// The log of `old_checkpoint` only grew until the proof's checkpoint.
Result<void> verify_consistency_proof(const ConsistencyProof& proof,
                                      std::string_view old_checkpoint, const std::string& origin,
                                      const crypto::PublicKey& key);

// One hash a line in base64, as the proofs have them; for proofs of other rooms.
std::string hash_lines(const std::vector<Digest>& hashes);
// Takes lines off the front of `text` up to and with an empty one.
Result<std::vector<Digest>> take_hash_lines(std::string_view& text, const std::string& where);
// Takes a line "WORD VALUE" off the front and gives the value.
Result<std::string> take_field(std::string_view& text, std::string_view word,
                               const std::string& where);
// The same for a number without leading zeros.
Result<int64_t> take_number(std::string_view& text, std::string_view word,
                            const std::string& where);

}  // namespace retort::ledger
