// Evidence for one record as a file, to be checked with the log's public key alone: the record's
// leaf, the path from it to the root of its shard, the shard's entry, and the proof that the log
// holds that entry (docs/reference/ledger.md). The leaf says under which terms, through which door
// and when the record was captured, and commits to its texts by hashes under its salt, which stays
// with the record: the file shows nothing of the texts.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::corpus {

struct RecordProof {
  std::string leaf;     // its bytes, leaf v1
  int64_t row = 0;      // in the shard
  int64_t records = 0;  // of the shard
  std::vector<ledger::Digest> path;
  ledger::Proof shard;  // of the entry
};

// Of the one record that `record` names (its key, or SHARD:ROW) in these folders. bad_input for an
// erased one: nobody has its leaf any more, only the leaf's hash.
Result<RecordProof> prove_record(ledger::Ledger& ledger, const std::vector<std::string>& folders,
                                 const std::string& record);

std::string write_record_proof(const RecordProof& proof);
bool is_record_proof(std::string_view text);
// Refuses whatever is not to the letter; it proves nothing by itself.
Result<RecordProof> read_record_proof(std::string_view text, const std::string& where);

// What a proof that holds says.
struct ProvenRecord {
  std::string kind;  // "teacher", "human", "derived", "merged"
  int64_t captured_ms = 0;
  uint32_t terms_set = 0, door = 0;  // entries of the log
  uint16_t features = 0;
  size_t parents = 0;
  std::string shard;  // digest
  int64_t shard_entry = 0;
  int64_t log_size = 0;
};
// bad_input when any step from the leaf to the signed root is not right.
Result<ProvenRecord> verify_record_proof(const RecordProof& proof, const std::string& origin,
                                         const crypto::PublicKey& key);

}  // namespace retort::corpus
