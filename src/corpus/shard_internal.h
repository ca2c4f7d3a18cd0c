// How shards are written, found in the log and read again; what seal, import, curation and the
// clearance share. Everything here belongs to one thread unless it says otherwise.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/logprob_file_internal.h"
#include "corpus/record.h"
#include "corpus/record_internal.h"
#include "corpus/shard.h"
#include "ledger/ledger.h"
#include "terms/terms.h"

namespace retort::corpus {

inline constexpr const char* kShardSuffix = ".jsonl.zst";
inline constexpr const char* kColumnsSuffix = ".columns";
inline constexpr const char* kLogprobsSuffix = ".logprobs";
inline constexpr const char* kPendingSuffix = ".pending";  // synced, but not yet in the log
inline constexpr const char* kErasureSchema = "retort.erasure/1";
inline constexpr const char* kErasedSchema = "retort.erased/1";  // of the line in its place
inline constexpr const char* kRestore =
    "put the file back from a backup, or gather and seal it again";
inline constexpr size_t kNameDigits = 16;
inline constexpr size_t kColumnBytes = 36;

// Sorted and without doubles: the form in which sets of terms are compared and logged.
std::vector<terms::Reference> as_set(std::vector<terms::Reference> references);

// The dictionaries of the log: numbers of terms files, sets of terms, and doors.
class CodeBook {
 public:
  explicit CodeBook(ledger::Ledger& ledger) : ledger_(ledger) {}

  // Writes the files into the log (those it has already are left as they are).
  Result<void> log_terms(const terms::TermsSet& terms);
  // All terms files that the log holds; one that does not fit its id is refused.
  Result<terms::TermsSet> logged_terms();
  // The record's codes, added to the log where they are new. Its terms must be in the log.
  Result<LeafCodes> make(const Record& record);
  // The same without writing; not_found for terms or a door that the log does not know.
  Result<LeafCodes> find(const Record& record);
  // The doors of all that the record was made from, added to the log where they are new.
  Result<std::vector<int64_t>> doors_of(const Record& record);

 private:
  Result<uint32_t> terms_code(const std::vector<terms::Reference>& references, bool add);
  Result<uint32_t> door_code(const Door& door, const std::string& model, bool add);
  Result<uint32_t> code(const std::string& kind, const json::Value& body, bool add);

  ledger::Ledger& ledger_;
  std::map<std::string, uint32_t> codes_;  // kind and name to number
  // Neighbours in a shard are mostly alike.
  std::vector<terms::Reference> last_terms_;
  Door last_door_;
  std::string last_model_;
  std::optional<uint32_t> last_terms_code_, last_door_code_;
};

crypto::Digest leaf_of(const Record& record, const LeafCodes& codes);
// NAME.columns: leaf hash 32, terms code 2 (which of the shard's sets: 0, there is only one),
// features 2, little-endian.
std::string column_of(const crypto::Digest& leaf, uint16_t features);
std::string columns_of(std::span<const Record> records, std::span<const crypto::Digest> leaves);

// A record that was erased: what the log keeps of it.
struct ErasedRow {
  std::string key, leaf;
};

// What the log says of one shard.
struct ShardEntry {
  std::string digest;    // of the file's bytes as it was sealed: its name in the log
  std::string file;      // of its bytes now; another once records were erased
  std::string columns;   // digest of NAME.columns
  std::string logprobs;  // digest of NAME.logprobs now, "" where there is none
  std::string root;      // of the tree over the records' leaves
  std::string source;    // "collect", "import", "curate" ...
  std::string batch;     // the gathering's mark, "" for others
  int64_t records = 0;
  int64_t terms_set = 0;                // entry
  int64_t leaf = -1;                    // index in the log
  int64_t time_ms = 0;                  // when it was logged
  std::map<int64_t, ErasedRow> erased;  // by row
};
class ShardIndex {
 public:
  static Result<ShardIndex> load(ledger::Ledger& ledger);
  const ShardEntry* by_digest(const std::string& digest) const;
  const ShardEntry* by_name(const std::string& name) const;  // the first 16 digits
  const ShardEntry* by_batch(const std::string& batch) const;
  const std::map<std::string, ShardEntry>& all() const { return by_name_; }

 private:
  Result<void> add_erasure(const ledger::Entry& entry);
  std::map<std::string, ShardEntry> by_name_;
  std::map<std::string, std::string> batches_;
};

struct ShardFacts {
  std::string source;
  std::string batch{};
  std::span<const KeptLogprobs> logprobs{};  // one a record, or none at all
};
struct WrittenShard {
  std::string path, digest;
};
// Files synced under a pending name, leaf in the log, final name. All records have the same terms.
Result<WrittenShard> write_shard(std::span<const Record> records, ledger::Ledger& ledger,
                                 CodeBook& codes, const SealOptions& options,
                                 const ShardFacts& facts);
// Ends what a crash left: pending files that the log knows take their name, others are removed.
Result<void> mend_folder(const std::string& folder, ledger::Ledger& ledger);
// Groups of rows with one set of terms each, no longer than `most`, rows in their order.
std::vector<std::vector<size_t>> batches_of(std::span<const Record> records, int64_t most);

struct ReadShard {
  ShardEntry entry;
  std::vector<Record> records;
  std::vector<crypto::Digest> leaves;
  std::vector<KeptLogprobs> logprobs;  // one a record
  // A record that was erased (entry.erased) has nothing but its key here.
};
// What is left to check of a record once its line was.
struct CheckedRow {
  crypto::Digest key{};
  int64_t logprob_tokens = 0;
};
// Those of each record in the shard's order; bad_input, at `path`, when they are of others.
Result<std::vector<KeptLogprobs>> match_logprobs(const std::shared_ptr<const LogprobFile>& file,
                                                 const std::vector<CheckedRow>& rows,
                                                 const std::string& path);

// Checks everything while it reads; errors are bad_input and name the file or the first bad record.
// Uses the compute threads of base/parallel.h.
Result<ReadShard> read_shard(const Shard& shard, const ShardIndex& index, CodeBook& codes);

// "…/0123456789abcdef.jsonl.zst" to "0123456789abcdef".
std::string shard_name(const std::string& path);
std::string columns_path(const std::string& shard_path);
std::string logprobs_path(const std::string& shard_path);

}  // namespace retort::corpus
