#include "corpus/erasure.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/files.h"
#include "corpus/erasure_internal.h"
#include "corpus/sealed_files_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr const char* kDatabase = "corpus.db";

// What one shard loses: the rows by this command, and all with those of earlier ones.
struct Loss {
  std::vector<std::string> paths;  // where the shard lies
  std::map<int64_t, ErasedRow> rows, all;
  RewrittenShard becomes;
};

class Erasure {
 public:
  Erasure(ledger::Ledger& ledger, const ErasureRequest& request)
      : ledger_(ledger), request_(request) {}

  Result<ErasureReport> run() {
    RETORT_TRY_VOID(step("mend"));
    RETORT_TRY_VOID(apply_erasures(ledger_, request_.folders));
    RETORT_TRY_VOID(sort_out());
    RETORT_TRY_VOID(write_files());
    RETORT_TRY_VOID(step("log"));
    RETORT_TRY_VOID(log_all());
    RETORT_TRY_VOID(put_all_in_place());
    RETORT_TRY_VOID(empty_databases());
    return std::move(report_);
  }

 private:
  Result<void> step(const std::string& name) const {
    if (!request_.before_step) return {};
    return request_.before_step(name);
  }

  // Which of the records found go, and which are other text that stays.
  Result<void> sort_out() {
    RETORT_TRY(const auto found, find_record(ledger_, request_.folders, request_.record));
    RETORT_TRY(const auto index, ShardIndex::load(ledger_));
    std::set<std::pair<std::string, std::string>> texts;  // leaf's content: prompt and answer
    CodeBook codes(ledger_);
    std::string path;
    ReadShard read;
    for (const auto& one : found) {
      if (one.file.path != path) {
        path = one.file.path;
        RETORT_TRY(const auto shard, Shard::open(path));
        RETORT_TRY(read, read_shard(shard, index, codes));
      }
      const auto row = static_cast<size_t>(one.row);
      const bool gone = read.entry.erased.contains(one.row);
      const std::pair text{json::canonical(messages_json(read.records[row].messages)),
                           read.records[row].answer};
      if (!one.derived && !gone) texts.insert(text);
      if (one.derived && !gone && !texts.contains(text)) {
        report_.derived.push_back(one);
        continue;
      }
      report_.erased.push_back(one);
      if (gone) continue;
      auto& loss = losses_[one.file.digest];
      if (loss.paths.empty() || loss.paths.back() != path) loss.paths.push_back(path);
      loss.rows[one.row] = {one.key, crypto::to_hex(read.leaves[row])};
      loss.all = read.entry.erased;
    }
    report_.known = losses_.empty();
    return {};
  }

  Result<void> write_files() {
    for (auto& [digest, loss] : losses_) {
      loss.all.insert(loss.rows.begin(), loss.rows.end());
      for (const auto& path : loss.paths) {
        RETORT_TRY_VOID(step("write " + path));
        RETORT_TRY(auto becomes, rewrite_without(path, loss.all));
        loss.becomes = std::move(becomes);
      }
    }
    return {};
  }

  Result<void> log_all() {
    if (losses_.empty()) return {};
    std::vector<ledger::Draft> drafts;
    for (const auto& [digest, loss] : losses_) {
      for (const auto& [row, erased] : loss.rows) {
        json::Value body = json::Value::object({{"schema", kErasureSchema},
                                                {"shard", digest},
                                                {"index", row},
                                                {"leaf", erased.leaf},
                                                {"file", loss.becomes.shard},
                                                {"reason", request_.reason},
                                                {"by", request_.by}});
        if (!loss.becomes.logprobs.empty()) body.set("logprobs", loss.becomes.logprobs);
        drafts.push_back({"erasure", fmt::format("{}@{}", erased.key, digest), std::move(body)});
      }
    }
    while (true) {
      RETORT_TRY(const auto head, ledger_.head());
      RETORT_TRY(const bool done, ledger_.append_all(head.size, drafts));
      if (done) return {};
    }
  }

  Result<void> put_all_in_place() {
    for (const auto& [digest, loss] : losses_) {
      for (const auto& path : loss.paths) {
        RETORT_TRY_VOID(step("place " + path));
        RETORT_TRY_VOID(put_in_place(path));
      }
    }
    return {};
  }

  Result<void> empty_databases() {
    std::vector<std::string> keys;
    for (const auto& one : report_.erased) keys.push_back(one.key);
    namespace fs = std::filesystem;
    std::set<std::string> paths;
    for (const auto& folder : request_.folders) {
      std::error_code code;
      // Beside the folder of shards, where a run has it, and anywhere beneath.
      const std::string beside = base::join(base::parent(folder), kDatabase);
      if (base::exists(beside)) paths.insert(beside);
      for (fs::recursive_directory_iterator it(folder, code), end; !code && it != end;
           it.increment(code)) {
        if (it->path().filename() == kDatabase) paths.insert(it->path().string());
      }
    }
    for (const auto& path : paths) {
      RETORT_TRY_VOID(step("empty " + path));
      RETORT_TRY(const bool had, erase_answers(path, keys));
      if (had) report_.databases.push_back(path);
    }
    return {};
  }

  ledger::Ledger& ledger_;
  const ErasureRequest& request_;
  std::map<std::string, Loss> losses_;  // by the shard's digest
  ErasureReport report_;
};

Result<void> remove_left_over(const std::string& path) {
  RETORT_TRY_VOID(base::remove_all(path + kErasingSuffix));
  return base::remove_all(logprobs_path(path) + kErasingSuffix);
}

Result<std::string> digest_or_none(const std::string& path) {
  if (!base::exists(path)) return std::string();
  return crypto::sha256_file_hex(path);
}

Result<bool> is_current(const std::string& path, const ShardEntry& entry) {
  RETORT_TRY(const auto digest, crypto::sha256_file_hex(path));
  RETORT_TRY(const auto logprobs, digest_or_none(logprobs_path(path)));
  return digest == entry.file && logprobs == entry.logprobs;
}

}  // namespace

Result<ErasureReport> erase(ledger::Ledger& ledger, const ErasureRequest& request) {
  if (request.by.empty()) return base::usage_error("who erases it?", "--by", "give a name");
  return Erasure(ledger, request).run();
}

Result<std::vector<std::string>> apply_erasures(ledger::Ledger& ledger,
                                                const std::vector<std::string>& folders) {
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  RETORT_TRY(const auto files, find_sealed(index, folders));
  std::vector<std::string> out;
  for (const auto& file : files) {
    const auto* entry = index.by_digest(file.digest);
    RETORT_TRY(const bool current, is_current(file.path, *entry));
    if (!current && !entry->erased.empty()) {
      // What the command left may be whole; else it is made again, which gives the same bytes.
      RETORT_TRY(const auto left, digest_or_none(file.path + kErasingSuffix));
      if (left == entry->file) RETORT_TRY_VOID(put_in_place(file.path));
      RETORT_TRY(const bool placed, is_current(file.path, *entry));
      if (!placed) {
        RETORT_TRY(const auto becomes, rewrite_without(file.path, entry->erased));
        if (becomes.shard != entry->file || becomes.logprobs != entry->logprobs) {
          RETORT_TRY_VOID(remove_left_over(file.path));
          return base::bad_input(
              "this copy of the shard does not become the one that the log knows "
              "when its erased records are taken out",
              file.path, "it was changed besides; remove it, or restore another");
        }
        RETORT_TRY_VOID(put_in_place(file.path));
      }
      out.push_back(file.path);
    }
    RETORT_TRY_VOID(remove_left_over(file.path));
  }
  return out;
}

}  // namespace retort::corpus
