#include "ledger/ledger.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/files.h"
#include "base/log.h"
#include "ledger/key_internal.h"
#include "ledger/ledger_internal.h"

namespace retort::ledger {
namespace {

// The origin names the log for ever: made from its first key.
std::string origin_of(const crypto::PublicKey& key) {
  const auto bytes = std::string_view(reinterpret_cast<const char*>(key.data()), key.size());
  return "retort.local/" + crypto::sha256_hex(bytes).substr(0, 16);
}

Result<std::string> read_origin(store::Database& database, const crypto::PublicKey& key) {
  RETORT_TRY(auto insert, database.prepare("INSERT OR IGNORE INTO meta VALUES ('origin', ?1)"));
  RETORT_TRY_VOID(insert.bind(1, origin_of(key)).run());
  RETORT_TRY(auto select, database.prepare("SELECT value FROM meta WHERE key = 'origin'"));
  RETORT_TRY_VOID(select.step());
  return std::string(select.text(0));
}

}  // namespace

std::string entry_bytes(const Entry& entry) {
  return json::canonical(json::Value::object({{"body", entry.body},
                                              {"kind", entry.kind},
                                              {"name", entry.name},
                                              {"time_ms", entry.time_ms}}));
}

Result<Entry> parse_entry(std::string_view bytes, int64_t index, const std::string& where) {
  RETORT_TRY(const auto value, json::parse(bytes, where));
  Entry entry;
  entry.index = index;
  RETORT_TRY(entry.kind, value.string_at("kind"));
  RETORT_TRY(entry.name, value.string_at("name"));
  RETORT_TRY(entry.time_ms, value.int_at("time_ms"));
  const auto* body = value.find("body");
  if (body != nullptr) entry.body = *body;
  return entry;
}

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& folder) {
  return open(folder, Options{});
}

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& folder, const Options& options) {
  const std::string path = base::join(folder, "log.db");
  if (!options.create && !base::exists(path)) {
    return base::not_found("there is no ledger", folder, "a run makes one");
  }
  RETORT_TRY_VOID(base::make_directories(folder));
  if (base::exists(path) && !base::exists(base::join(folder, "key.pem"))) {
    return base::bad_input("the log's key is missing", base::join(folder, "key.pem"),
                           "restore it from a backup; a new key cannot continue the same log");
  }
  RETORT_TRY(auto key, load_or_make_key(base::join(folder, "key.pem")));
  RETORT_TRY(auto database, store::Database::open(path));
  RETORT_TRY_VOID(database->execute(kSchema));
  RETORT_TRY(auto origin, read_origin(*database, key.public_key()));
  if (origin != origin_of(key.public_key())) {
    return base::bad_input("the key is not the one that signed this log", folder,
                           "restore key.pem from a backup");
  }
  const std::string verifier = base::join(folder, "verifier.key");
  if (!base::exists(verifier)) {
    RETORT_TRY_VOID(
        base::write_file_atomic(verifier, verifier_key(origin, key.public_key()) + "\n"));
  }
  auto& clock = options.clock != nullptr ? *options.clock : base::system_clock();
  RETORT_TRY(auto impl, Impl::make(folder, origin, clock, std::move(key), std::move(database)));
  // A log that does not fit what it published is opened all the same, so that verify() can say so.
  const auto mended = impl->mend_published();
  if (!mended && mended.error().code != ErrorCode::bad_input) {
    base::log_warning("the log's tiles are behind: {}", mended.error().text());
  }
  return std::unique_ptr<Ledger>(new Ledger(std::move(impl)));
}

Result<std::unique_ptr<Ledger::Impl>> Ledger::Impl::make(
    const std::string& folder, const std::string& origin, base::Clock& clock,
    crypto::SigningKey key, std::unique_ptr<store::Database> database) {
  RETORT_TRY(auto nodes, Nodes::open(*database));
  auto impl = std::make_unique<Impl>(folder, origin, clock, std::move(key), std::move(database),
                                     std::move(nodes));
  RETORT_TRY(auto tiles, Tiles::open(folder, *impl->database, impl->nodes));
  impl->tiles.emplace(std::move(tiles));
  return impl;
}

Ledger::Ledger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() = default;
const std::string& Ledger::folder() const {
  return impl_->folder;
}
const std::string& Ledger::origin() const {
  return impl_->origin;
}
const crypto::PublicKey& Ledger::public_key() const {
  return impl_->key.public_key();
}

std::string Ledger::Impl::where(int64_t index) const {
  return fmt::format("{}: entry {}", folder, index);
}

Result<int64_t> Ledger::Impl::size() {
  RETORT_TRY(auto statement, database->prepare("SELECT coalesce(max(idx) + 1, 0) FROM entries"));
  RETORT_TRY_VOID(statement.step());
  return statement.integer(0);
}

Result<int64_t> Ledger::Impl::index_of(const std::string& kind, const std::string& name) {
  RETORT_TRY(auto statement,
             database->prepare("SELECT idx FROM entries WHERE kind = ?1 AND name = ?2"));
  RETORT_TRY(const bool found, statement.bind(1, kind).bind(2, name).step());
  return found ? statement.integer(0) : int64_t{-1};
}

Result<int64_t> Ledger::Impl::last_time_ms(int64_t size) {
  if (size == 0) return int64_t{0};
  RETORT_TRY(auto statement, database->prepare("SELECT time_ms FROM entries WHERE idx = ?1"));
  RETORT_TRY(const bool found, statement.bind(1, size - 1).step());
  return found ? statement.integer(0) : int64_t{0};
}

Result<void> Ledger::Impl::insert(int64_t size, const Entry& entry) {
  const std::string bytes = entry_bytes(entry);
  if (bytes.size() > kMaxEntryBytes) {
    return base::bad_input(
        fmt::format("a ledger entry of {} bytes; at most {} fit", bytes.size(), kMaxEntryBytes),
        entry.kind + " " + entry.name);
  }
  RETORT_TRY(auto statement, database->prepare("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5)"));
  statement.bind(1, size).bind(2, entry.kind).bind(4, entry.time_ms).bind_blob(5, bytes);
  if (entry.name.empty()) {
    statement.bind_null(3);
  } else {
    statement.bind(3, entry.name);
  }
  RETORT_TRY_VOID(statement.run());
  return nodes.append(size, leaf_hash(bytes));
}

Result<void> Ledger::Impl::sign_head(int64_t size) {
  RETORT_TRY(const auto root, nodes.root(size));
  const std::string note = sign_checkpoint(origin, {size, root}, key);
  RETORT_TRY(auto statement, database->prepare("INSERT INTO checkpoints VALUES (?1, ?2)"));
  return statement.bind(1, size).bind(2, note).run();
}

Result<int64_t> Ledger::append(const std::string& kind, const std::string& name, json::Value body) {
  RETORT_TRY(auto transaction, impl_->database->begin());
  if (!name.empty()) {
    RETORT_TRY(const auto known, impl_->index_of(kind, name));
    if (known >= 0) return known;
  }
  RETORT_TRY(const auto size, impl_->size());
  RETORT_TRY_VOID(impl_->published(size));
  RETORT_TRY(const auto last_ms, impl_->last_time_ms(size));
  Entry entry{.index = size,
              .kind = kind,
              .name = name,
              .time_ms = std::max(last_ms, impl_->clock->wall_ms()),
              .body = std::move(body)};
  RETORT_TRY_VOID(impl_->insert(size, entry));
  RETORT_TRY_VOID(impl_->sign_head(size + 1));
  RETORT_TRY_VOID(transaction.commit());
  RETORT_TRY_VOID(impl_->publish());
  return size;
}

Result<bool> Ledger::append_all(int64_t at_size, std::vector<Draft> drafts) {
  RETORT_TRY(auto transaction, impl_->database->begin());
  RETORT_TRY(auto size, impl_->size());
  if (size != at_size) return false;
  RETORT_TRY_VOID(impl_->published(size));
  RETORT_TRY(const auto last_ms, impl_->last_time_ms(size));
  const int64_t now_ms = std::max(last_ms, impl_->clock->wall_ms());
  for (auto& draft : drafts) {
    if (!draft.name.empty()) {
      RETORT_TRY(const auto known, impl_->index_of(draft.kind, draft.name));
      if (known >= 0) {
        return base::bad_input(fmt::format("the log has a {} {} already", draft.kind, draft.name),
                               impl_->where(known));
      }
    }
    RETORT_TRY_VOID(impl_->insert(size, {.index = size,
                                         .kind = draft.kind,
                                         .name = draft.name,
                                         .time_ms = now_ms,
                                         .body = std::move(draft.body)}));
    RETORT_TRY_VOID(impl_->sign_head(++size));
  }
  RETORT_TRY_VOID(transaction.commit());
  RETORT_TRY_VOID(impl_->publish());
  return true;
}

Result<Entry> Ledger::entry(int64_t index) {
  RETORT_TRY(auto statement, impl_->database->prepare("SELECT entry FROM entries WHERE idx = ?1"));
  RETORT_TRY(const bool found, statement.bind(1, index).step());
  if (!found) return base::not_found("there is no such entry", impl_->where(index));
  return parse_entry(statement.blob(0), index, impl_->where(index));
}

Result<Entry> Ledger::find(const std::string& kind, const std::string& name) {
  RETORT_TRY(const auto index, impl_->index_of(kind, name));
  if (index < 0) {
    return base::not_found(fmt::format("the log has no {} {}", kind, name), impl_->folder);
  }
  return entry(index);
}

Result<void> Ledger::for_each(const std::string& kind,
                              const std::function<Result<void>(const Entry&)>& visit) {
  RETORT_TRY(auto statement, impl_->database->prepare(
                                 "SELECT idx, entry FROM entries WHERE kind = ?1 ORDER BY idx"));
  statement.bind(1, kind);
  while (true) {
    RETORT_TRY(const bool row, statement.step());
    if (!row) return {};
    const int64_t index = statement.integer(0);
    RETORT_TRY(const auto entry, parse_entry(statement.blob(1), index, impl_->where(index)));
    RETORT_TRY_VOID(visit(entry));
  }
}

Result<TreeHead> Ledger::head() {
  RETORT_TRY(const auto size, impl_->size());
  RETORT_TRY(const auto root, impl_->nodes.root(size));
  return TreeHead{size, root};
}

Result<std::string> Ledger::checkpoint() {
  RETORT_TRY(auto statement,
             impl_->database->prepare("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1"));
  RETORT_TRY(const bool found, statement.step());
  if (found) return std::string(statement.text(0));
  return sign_checkpoint(impl_->origin, {0, tree_root({})}, impl_->key);
}

Result<Proof> Ledger::prove(int64_t index) {
  Proof proof;
  RETORT_TRY(proof.checkpoint, checkpoint());
  RETORT_TRY(const auto opened,
             open_checkpoint(proof.checkpoint, impl_->origin, impl_->key.public_key()));
  RETORT_TRY(auto statement, impl_->database->prepare("SELECT entry FROM entries WHERE idx = ?1"));
  RETORT_TRY(const bool found, statement.bind(1, index).step());
  if (!found || index >= opened.head.size) {
    return base::not_found("there is no such entry", impl_->where(index));
  }
  proof.index = index;
  proof.entry = std::string(statement.blob(0));
  RETORT_TRY(proof.path, impl_->nodes.prove_inclusion(index, opened.head.size));
  return proof;
}

Result<std::vector<Digest>> Ledger::prove_consistency(int64_t old_size) {
  RETORT_TRY(const auto size, impl_->size());
  if (old_size < 1 || old_size > size) {
    return base::bad_input(fmt::format("the log has {} entries, not {}", size, old_size),
                           impl_->folder);
  }
  return impl_->nodes.prove_consistency(old_size, size);
}

}  // namespace retort::ledger
