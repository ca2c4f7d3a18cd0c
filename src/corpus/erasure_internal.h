// The parts of an erasure that only this room needs.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/shard_internal.h"
#include "json/value.h"

namespace retort::corpus {

inline constexpr const char* kErasingSuffix = ".erasing";

// The line that stands where the record was.
json::Value tombstone(const std::string& key, const std::string& leaf);

// Digests of what a shard's files become.
struct RewrittenShard {
  std::string shard, logprobs;  // logprobs: "" where there are none
};
// Writes the shard at `path`, and its log-probabilities, without these rows into files beside them
// with kErasingSuffix; synced.
Result<RewrittenShard> rewrite_without(const std::string& path,
                                       const std::map<int64_t, ErasedRow>& rows);
// They take their places. Nothing where there are none.
Result<void> put_in_place(const std::string& path);

// Empties the answers to these keys, and what hangs on them, in a gathering's database; false where
// it has none of them. Nobody may be gathering into it.
Result<bool> erase_answers(const std::string& database, const std::vector<std::string>& keys);

}  // namespace retort::corpus
