// Parts of a record's two forms that several files of the room need.
#pragma once
#include <cstdint>
#include <string>

#include "corpus/record.h"

namespace retort::corpus {

inline constexpr size_t kMaxParents = 65'535;
inline constexpr const char* kRecordSchema = "retort.record/1";

json::Value messages_json(const dialog::Messages& messages);
json::Value sampling_json(const Sampling& sampling);

// What the record itself says about its origin (not of merged ones).
Origin origin_of(const Record& record);
terms::Facts facts_of_origin(const Origin& origin);

// Numbers of dictionary entries in the ledger.
struct LeafCodes {
  uint32_t terms_set = 0;
  uint32_t door = 0;
};
// Leaf v1, little-endian: version 1, kind 1, prompt and output hashes 32 + 32 (HMAC-SHA256 under
// the record's salt), terms set 4, door and model 4, principal 4, captured_ms 8, preference 1,
// features 2, parents 2, then 8 bytes a parent.
std::string leaf_bytes(const Record& record, const LeafCodes& codes);
inline constexpr size_t kLeafHeadBytes = 91;  // without the parents

// What stands in a leaf between the hashes of the content and the parents.
struct LeafFacts {
  int64_t captured_ms;
  uint64_t preference;
  uint64_t features;
  size_t parents;
};
void put_leaf_facts(std::string& out, const LeafCodes& codes, const LeafFacts& facts);

}  // namespace retort::corpus
