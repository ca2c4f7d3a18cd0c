// What the sealer asks of corpus.db: which answers go into a shard together, and which shard holds
// them.
#include <fmt/core.h>

#include "base/random.h"
#include "corpus/gathering_internal.h"
#include "corpus/shard_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr const char* kRestoreDatabase =
    "the database was changed by hand; put it back from a backup";

std::string new_mark() {
  std::string bytes(16, '\0');
  base::secure_random(bytes.data(), bytes.size());
  return crypto::to_hex(bytes);
}

}  // namespace

Result<void> Gathering::Impl::reopen_batches(
    const std::function<bool(const std::string& digest)>& is_there) {
  return writing([&]() -> Result<void> {
    std::vector<int64_t> gone;
    RETORT_TRY(auto* row, sql("SELECT id, digest FROM batches WHERE digest IS NOT NULL"));
    while (true) {
      RETORT_TRY(const bool more, row->step());
      if (!more) break;
      if (!is_there(std::string(row->text(1)))) gone.push_back(row->integer(0));
    }
    RETORT_TRY(auto* reopen, sql("UPDATE batches SET digest = NULL WHERE id = ?1"));
    for (const int64_t id : gone) RETORT_TRY_VOID(reopen->bind(1, id).run());
    return {};
  });
}

Result<int64_t> Gathering::Impl::count_sealed() {
  return reading([&]() -> Result<int64_t> {
    RETORT_TRY(auto* row, sql("SELECT count(*) FROM answers a JOIN batches b ON a.batch = b.id "
                              "WHERE b.digest IS NOT NULL"));
    RETORT_TRY_VOID(row->step());
    const int64_t sealed = row->integer(0);
    row->reset();
    return sealed;
  });
}

Result<std::vector<Batch>> Gathering::Impl::list_open_batches() {
  std::vector<Batch> out;
  RETORT_TRY(auto* row, sql("SELECT id, mark FROM batches WHERE digest IS NULL ORDER BY id"));
  while (true) {
    RETORT_TRY(const bool more, row->step());
    if (!more) return out;
    out.push_back({row->integer(0), std::string(row->text(1))});
  }
}

Result<std::vector<Batch>> Gathering::Impl::open_batches() {
  return reading([&]() -> Result<std::vector<Batch>> { return list_open_batches(); });
}

Result<std::vector<Batch>> Gathering::Impl::make_batches(int64_t most) {
  return writing([&]() -> Result<std::vector<Batch>> {
    while (true) {
      RETORT_TRY(auto* next, sql("SELECT j.terms_set FROM answers a JOIN jobs j ON j.id = a.job "
                                 "WHERE a.batch IS NULL ORDER BY a.job LIMIT 1"));
      RETORT_TRY(const bool more, next->step());
      if (!more) break;
      const std::string set(next->text(0));
      next->reset();
      RETORT_TRY(auto* make, sql("INSERT INTO batches (mark) VALUES (?1)"));
      RETORT_TRY_VOID(make->bind(1, new_mark()).run());
      const int64_t id = database->last_row_id();
      RETORT_TRY(auto* fill,
                 sql("UPDATE answers SET batch = ?1 WHERE job IN "
                     "(SELECT a.job FROM answers a JOIN jobs j ON j.id = a.job "
                     "WHERE a.batch IS NULL AND j.terms_set = ?2 ORDER BY a.job LIMIT ?3)"));
      RETORT_TRY_VOID(fill->bind(1, id).bind(2, set).bind(3, std::max<int64_t>(most, 1)).run());
    }
    return list_open_batches();
  });
}

Result<Record> Gathering::Impl::read_record(const store::Statement& row) {
  const std::string_view text = row.text(0);
  const std::string where = fmt::format("{}: job {}", path, row.integer(2));
  if (row.blob(1) != crypto::as_bytes(crypto::sha256(text))) {
    return base::bad_input("an answer in the database is not the one that was written there", where,
                           kRestoreDatabase);
  }
  RETORT_TRY(const auto value, json::parse(text, where));
  RETORT_TRY(auto record, record_from_json(value, where));
  if (record.key != row.text(3)) {
    return base::bad_input("an answer in the database belongs to another question", where,
                           kRestoreDatabase);
  }
  return record;
}

Result<KeptLogprobs> Gathering::Impl::read_logprobs(const store::Statement& row,
                                                    const Record& record) {
  const std::string where = fmt::format("{}: job {}", path, row.integer(2));
  const auto wrong = [&where](const char* what) {
    return base::bad_input(fmt::format("the log-probabilities of an answer {}", what), where,
                           kRestoreDatabase);
  };
  const std::string bytes(row.blob(4));
  if (bytes.empty()) {
    if (record.logprob_tokens == 0) return KeptLogprobs();
    return wrong("are gone from the database");
  }
  if (row.blob(5) != crypto::as_bytes(crypto::sha256(record.key + bytes))) {
    return wrong("in the database are not those that were written there");
  }
  RETORT_TRY(auto file, LogprobFile::parse(bytes, where));
  if (file->records() != 1 || file->tokens() != record.logprob_tokens) {
    return wrong("in the database belong to another answer");
  }
  return KeptLogprobs(std::move(file), 0);
}

Result<BatchContent> Gathering::Impl::content_of(int64_t batch) {
  return reading([&]() -> Result<BatchContent> {
    BatchContent out;
    RETORT_TRY(auto* row, sql("SELECT a.record, a.digest, a.job, j.key, l.file, l.digest "
                              "FROM answers a JOIN jobs j ON j.id = a.job "
                              "LEFT JOIN logprobs l ON l.job = a.job "
                              "WHERE a.batch = ?1 AND a.record <> '' ORDER BY a.job"));
    row->bind(1, batch);
    while (true) {
      RETORT_TRY(const bool more, row->step());
      if (!more) return out;
      auto record = read_record(*row);
      auto logprobs = record ? read_logprobs(*row, *record) : record.error();
      if (!logprobs) {
        row->reset();
        return logprobs.error();
      }
      out.records.push_back(std::move(*record));
      out.logprobs.push_back(std::move(*logprobs));
    }
  });
}

Result<void> Gathering::Impl::close_batch(int64_t batch, const std::string& digest) {
  return writing([&]() -> Result<void> {
    RETORT_TRY(auto* row, sql("UPDATE batches SET digest = ?2 WHERE id = ?1"));
    return row->bind(1, batch).bind(2, digest).run();
  });
}

}  // namespace retort::corpus
