// Sealed shards: NAME.jsonl.zst (zstd, a record a line, record.h) and NAME.columns (39 bytes a
// record: its leaf, what it was asked for, when), NAME being the first 16 hex digits of the
// digest; where answers have log-probabilities, NAME.logprobs as well (logprobs.h). They never
// change and stand in the log under the SHA-256 of their bytes. Order of truth: files synced, then
// the leaf committed in the ledger, then the state in corpus.db; a crash in between is mended by
// the next seal. A Shard has no way to read a text: that needs a clearance.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/gathering.h"
#include "ledger/ledger.h"
#include "terms/terms.h"

namespace retort::corpus {

class Shard {
 public:
  // Reads nothing but the name and size; checks happen in verify() and in the clearance.
  static Result<Shard> open(const std::string& path);

  const std::string& path() const { return path_; }
  int64_t size_bytes() const { return size_bytes_; }

 private:
  explicit Shard(std::string path, int64_t size_bytes)
      : path_(std::move(path)), size_bytes_(size_bytes) {}
  friend class Clearance;
  std::string path_;
  int64_t size_bytes_;
};

// The *.jsonl.zst of a folder, sorted by name; an empty or missing folder is not_found.
Result<std::vector<Shard>> list_shards(const std::string& folder);

struct SealOptions {
  std::string folder{};  // OUT/shards
  int64_t records_per_shard = 65'536;
  int compression = 3;  // zstd level
};

struct SealReport {
  int64_t records = 0;              // sealed by this call
  int64_t already = 0;              // sealed before
  std::vector<std::string> shards;  // paths written by this call
};

// Seals every done record that is not sealed yet. All terms that records name must be in `terms`:
// their files go into the log first. A shard holds records of one set of terms only.
Result<SealReport> seal(Gathering& gathering, ledger::Ledger& ledger, const terms::TermsSet& terms,
                        const SealOptions& options);

// Recomputes everything about the shard: bytes, columns, log-probabilities, leaf of every record,
// entry in the log. The error names the first bad record (its number and key) or the file.
Result<void> verify(const Shard& shard, ledger::Ledger& ledger);

// A user's own JSONL: {"messages": [...]} ending with an assistant's turn, {"prompt",
// "completion"}, or
// {"text"}. Sealed at once as records of kind human under the given terms; importing the same file
// again adds nothing. Refuses a malformed line by its number.
struct ImportOptions {
  std::vector<std::string> terms{};  // paths of terms files of these texts
  SealOptions seal;
  base::Clock* clock = nullptr;
};
Result<SealReport> import_jsonl(const std::string& path, ledger::Ledger& ledger,
                                const ImportOptions& options);

}  // namespace retort::corpus
