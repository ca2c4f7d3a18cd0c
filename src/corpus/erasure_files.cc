// What an erasure does to files: shards, log-probabilities, databases.
#include <fmt/core.h>

#include <filesystem>

#include "base/files.h"
#include "corpus/erasure_internal.h"
#include "corpus/zstd_internal.h"
#include "crypto/hash.h"
#include "store/database.h"

namespace retort::corpus {
namespace {

constexpr int kCompression = 3;  // the same bytes again, wherever a copy of the shard lies

Result<std::string> rewrite_lines(const std::string& path,
                                  const std::map<int64_t, ErasedRow>& rows) {
  RETORT_TRY(const auto file, base::MappedFile::open(path));
  RETORT_TRY(auto writer, ZstdWriter::create(path + kErasingSuffix, kCompression));
  ZstdLines lines(file.view(), path);
  int64_t row = 0;
  while (true) {
    RETORT_TRY(const auto block, lines.next());
    if (block.empty()) return writer.finish();
    for (const auto line : block) {
      const auto erased = rows.find(row++);
      if (erased == rows.end()) {
        RETORT_TRY_VOID(writer.write(std::string(line) + "\n"));
      } else {
        const auto& [key, leaf] = erased->second;
        RETORT_TRY_VOID(writer.write(json::dump(tombstone(key, leaf)) + "\n"));
      }
    }
  }
}

// Record by record into a new file: its dictionary then holds no token of the erased ones alone.
Result<std::string> rewrite_logprobs(const std::string& path,
                                     const std::map<int64_t, ErasedRow>& rows) {
  RETORT_TRY(auto bytes, base::read_file(path));
  RETORT_TRY(const auto file, LogprobFile::parse(std::move(bytes), path));
  LogprobWriter writer;
  for (int64_t row = 0; row < file->records(); ++row) {
    writer.add(file->key_digits(row),
               rows.contains(row) ? std::vector<TokenLogprobs>{} : file->read(row));
  }
  const std::string rewritten = writer.finish();
  RETORT_TRY_VOID(base::write_file_atomic(path + kErasingSuffix, rewritten));
  return crypto::sha256_hex(rewritten);
}

Result<void> rename_over(const std::string& from, const std::string& to) {
  std::error_code code;
  std::filesystem::rename(from, to, code);
  if (!code) return {};
  errno = code.value();
  return base::errno_error("rename to", to);
}

}  // namespace

json::Value tombstone(const std::string& key, const std::string& leaf) {
  return json::Value::object(
      {{"retort", json::Value::object({{"schema", kErasedSchema}, {"key", key}, {"leaf", leaf}})}});
}

Result<RewrittenShard> rewrite_without(const std::string& path,
                                       const std::map<int64_t, ErasedRow>& rows) {
  RewrittenShard out;
  RETORT_TRY(out.shard, rewrite_lines(path, rows));
  if (base::exists(logprobs_path(path))) {
    RETORT_TRY(out.logprobs, rewrite_logprobs(logprobs_path(path), rows));
  }
  RETORT_TRY_VOID(base::sync_directory(base::parent(path)));
  return out;
}

// The log-probabilities first: with the shard in place the work is seen to be done.
Result<void> put_in_place(const std::string& path) {
  for (const std::string& file : {logprobs_path(path), path}) {
    if (!base::exists(file + kErasingSuffix)) continue;
    RETORT_TRY_VOID(rename_over(file + kErasingSuffix, file));
    RETORT_TRY_VOID(base::sync_directory(base::parent(file)));
  }
  return {};
}

// What SQLite frees it overwrites with zeros (secure_delete), and the file is written anew after.
Result<bool> erase_answers(const std::string& path, const std::vector<std::string>& keys) {
  RETORT_TRY(const auto lock, base::FileLock::acquire(path + ".lock"));
  RETORT_TRY(auto database, store::Database::open(path, {.create = false}));
  RETORT_TRY_VOID(database->execute("PRAGMA secure_delete = ON"));
  int64_t emptied = 0;
  {
    RETORT_TRY(auto transaction, database->begin());
    RETORT_TRY(auto answers,
               database->prepare("UPDATE answers SET record = '', digest = ?2 WHERE record <> '' "
                                 "AND job IN (SELECT id FROM jobs WHERE key = ?1)"));
    RETORT_TRY(auto logprobs,
               database->prepare("DELETE FROM logprobs WHERE job IN (SELECT id FROM jobs WHERE "
                                 "key = ?1)"));
    RETORT_TRY(auto requests, database->prepare("UPDATE jobs SET request = '' WHERE key = ?1 AND "
                                                "state = 2"));
    for (const auto& key : keys) {
      RETORT_TRY_VOID(
          answers.bind(1, key).bind_blob(2, crypto::as_bytes(crypto::sha256(""))).run());
      emptied += database->changes();
      RETORT_TRY_VOID(logprobs.bind(1, key).run());
      RETORT_TRY_VOID(requests.bind(1, key).run());
    }
    if (emptied == 0) return false;
    RETORT_TRY_VOID(transaction.commit());
  }
  RETORT_TRY_VOID(database->execute("VACUUM"));
  return true;
}

}  // namespace retort::corpus
