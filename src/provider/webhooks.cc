#include "provider/webhooks.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "accounts/cases.h"
#include "base/files.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "http/post.h"
#include "json/value.h"
#include "store/database.h"

namespace retort::provider {
namespace {

constexpr int64_t kLook_ms = 1000;
constexpr int64_t kFirstWait_ms = 5000;  // doubled with each attempt
constexpr int64_t kLongestWait_ms = 3'600'000;
constexpr int64_t kGiveUp_ms = 7 * base::kDay_ms;
constexpr int64_t kRowsAtOnce = 200;
constexpr size_t kSecretBytesMin = 24, kSecretBytesMax = 64;

constexpr const char* kWebhookTables = R"(
CREATE TABLE IF NOT EXISTS mark (one INTEGER PRIMARY KEY CHECK (one = 1), row INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (
  row INTEGER PRIMARY KEY, id TEXT NOT NULL, body TEXT NOT NULL, since_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL, due_ms INTEGER NOT NULL);
)";

// "policy.case.appealed"
std::string type_of(const accounts::CaseEvent& event) {
  const std::string& what = event.what;
  std::string kind = what.substr(0, what.find(':'));
  if (kind == "advanced") kind = policy::name(event.step);
  if (kind == "suspension proposed") kind = "proposed";
  return "policy.case." + kind;
}

Result<std::string> key_of(const std::string& secret) {
  constexpr std::string_view kPrefix = "whsec_";
  const Error wrong = base::usage_error(
      "a webhook's secret is whsec_ and 24 to 64 bytes in base64", "webhook",
      "set RETORT_WEBHOOK_SECRET, for example to: whsec_$(openssl rand -base64 32)");
  if (!secret.starts_with(kPrefix)) return wrong;
  const auto key = crypto::from_base64(std::string_view(secret).substr(kPrefix.size()));
  if (!key || key->size() < kSecretBytesMin || key->size() > kSecretBytesMax) return wrong;
  return *key;
}

struct Pending {
  int64_t row = 0, since_ms = 0, attempts = 0;
  std::string id, body;
};

}  // namespace

std::string sign_webhook(const std::string& key, const std::string& id, int64_t timestamp_s,
                         const std::string& body) {
  const auto digest = crypto::hmac_sha256(key, fmt::format("{}.{}.{}", id, timestamp_s, body));
  return "v1," + crypto::to_base64(crypto::as_bytes(digest));
}

struct Webhooks::Impl {
  Options options;
  base::Clock* clock = nullptr;
  std::unique_ptr<accounts::Cases> cases;
  std::unique_ptr<store::Database> database;
  std::string key;
  std::optional<base::FileLock> turn;  // of this process to send

  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<bool> ending{false};  // set with the mutex held
  std::thread worker;

  Result<void> begin();
  Result<int64_t> mark();
  Result<void> set_mark(int64_t row);
  Result<void> follow();
  Result<void> take(const accounts::Cases::Numbered& one);
  Result<std::vector<Pending>> due();
  Result<bool> deliver(const Pending& one);
  Result<void> put_off(const Pending& one, const std::string& why);
  Result<void> drop(const Pending& one);
  bool has_turn();
  bool stops();
};

Webhooks::Webhooks(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  if (!impl_->options.background) return;
  impl_->worker = std::thread([this] {
    while (!impl_->stops()) {
      if (const auto done = work(); !done) base::log_error("webhooks: {}", done.error().text());
    }
  });
}

Webhooks::~Webhooks() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->wake.notify_all();
  if (impl_->worker.joinable()) impl_->worker.join();
}

// True at the end; otherwise a second later.
bool Webhooks::Impl::stops() {
  std::unique_lock lock(mutex);
  return wake.wait_for(lock, std::chrono::milliseconds(kLook_ms), [this] { return ending.load(); });
}

Result<std::unique_ptr<Webhooks>> Webhooks::open(const Options& options) {
  RETORT_TRY_VOID(
      http::check_post({.url = options.url, .private_addresses = options.private_addresses}));
  auto impl = std::make_unique<Impl>();
  RETORT_TRY(impl->key, key_of(options.secret));
  impl->options = options;
  impl->clock = options.clock != nullptr ? options.clock : &base::system_clock();
  const std::string book =
      options.store.empty() ? base::join(options.folder, "accounts.db") : options.store;
  RETORT_TRY(impl->cases, accounts::Cases::open(book, {.create = false, .clock = options.clock}));
  RETORT_TRY(impl->database, store::Database::open(base::join(options.folder, "webhooks.db")));
  RETORT_TRY_VOID(impl->database->execute(kWebhookTables));
  RETORT_TRY_VOID(impl->begin());
  return std::unique_ptr<Webhooks>(new Webhooks(std::move(impl)));
}

// What happened before anybody listened is not told.
Result<void> Webhooks::Impl::begin() {
  RETORT_TRY(const int64_t known, mark());
  if (known >= 0) return {};
  int64_t last = 0;
  while (true) {
    RETORT_TRY(const auto rows, cases->events_after(last, kRowsAtOnce));
    if (rows.empty()) return set_mark(last);
    last = rows.back().row;
  }
}

// -1 before the first.
Result<int64_t> Webhooks::Impl::mark() {
  RETORT_TRY(auto row, database->prepare("SELECT row FROM mark"));
  RETORT_TRY(const bool there, row.step());
  return there ? row.integer(0) : -1;
}

Result<void> Webhooks::Impl::set_mark(int64_t last) {
  RETORT_TRY(auto put, database->prepare("INSERT OR REPLACE INTO mark VALUES (1, ?1)"));
  return put.bind(1, last).run();
}

Result<void> Webhooks::Impl::take(const accounts::Cases::Numbered& one) {
  RETORT_TRY(const auto subject, cases->find(one.case_id));
  const auto& event = one.event;
  const std::string id =
      "evt_" + crypto::sha256_hex(fmt::format("{}\n{}", one.case_id, one.row)).substr(0, 24);
  const json::Value body =
      json::Value::object({{"id", id},
                           {"object", "event"},
                           {"created_at", event.time_ms / 1000},
                           {"type", type_of(event)},
                           {"data", json::Value::object({{"id", one.case_id},
                                                         {"account", subject.account},
                                                         {"clause", subject.clause},
                                                         {"step", policy::name(event.step)},
                                                         {"status", policy::name(event.status)},
                                                         {"what", event.what},
                                                         {"actor", event.actor},
                                                         {"reason", event.reason}})}});
  RETORT_TRY(auto put, database->prepare("INSERT OR IGNORE INTO outbox VALUES (?1, ?2, ?3, ?4, 0, "
                                         "?4)"));
  return put.bind(1, one.row).bind(2, id).bind(3, json::dump(body)).bind(4, clock->wall_ms()).run();
}

// Event and mark in one transaction: neither is without the other.
Result<void> Webhooks::Impl::follow() {
  RETORT_TRY(const int64_t from, mark());
  RETORT_TRY(const auto rows, cases->events_after(from, kRowsAtOnce));
  if (rows.empty()) return {};
  RETORT_TRY(auto transaction, database->begin());
  for (const auto& one : rows) RETORT_TRY_VOID(take(one));
  RETORT_TRY_VOID(set_mark(rows.back().row));
  return transaction.commit();
}

Result<std::vector<Pending>> Webhooks::Impl::due() {
  RETORT_TRY(auto rows, database->prepare("SELECT row, since_ms, attempts, id, body FROM outbox "
                                          "WHERE due_ms <= ?1 ORDER BY row LIMIT ?2"));
  rows.bind(1, clock->wall_ms()).bind(2, kRowsAtOnce);
  std::vector<Pending> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    out.push_back({rows.integer(0), rows.integer(1), rows.integer(2), std::string(rows.text(3)),
                   std::string(rows.text(4))});
  }
}

Result<void> Webhooks::Impl::drop(const Pending& one) {
  RETORT_TRY(auto row, database->prepare("DELETE FROM outbox WHERE row = ?1"));
  return row.bind(1, one.row).run();
}

Result<void> Webhooks::Impl::put_off(const Pending& one, const std::string& why) {
  const int64_t now_ms = clock->wall_ms();
  if (now_ms - one.since_ms >= kGiveUp_ms) {
    base::log_error("webhooks: {} was not taken in a week and is given up: {}", one.id, why);
    return drop(one);
  }
  const int64_t shift = std::min<int64_t>(one.attempts, 20);
  const int64_t wait_ms = std::min(kLongestWait_ms, kFirstWait_ms << shift);
  if (one.attempts == 0) base::log_warning("webhooks: {} is sent again later: {}", one.id, why);
  RETORT_TRY(auto row, database->prepare("UPDATE outbox SET attempts = ?2, due_ms = ?3 WHERE row = "
                                         "?1"));
  return row.bind(1, one.row).bind(2, one.attempts + 1).bind(3, now_ms + wait_ms).run();
}

Result<bool> Webhooks::Impl::deliver(const Pending& one) {
  const int64_t timestamp_s = clock->wall_ms() / 1000;
  const auto status = http::post(
      {.url = options.url,
       .headers = {{"Content-Type", "application/json"},
                   {"webhook-id", one.id},
                   {"webhook-timestamp", std::to_string(timestamp_s)},
                   {"webhook-signature", sign_webhook(key, one.id, timestamp_s, one.body)}},
       .body = one.body,
       .private_addresses = options.private_addresses,
       .timeout_ms = options.timeout_ms,
       .stop = &ending});
  if (status && *status >= 200 && *status < 300) {
    RETORT_TRY_VOID(drop(one));
    return true;
  }
  if (ending) return false;  // its time begins anew
  RETORT_TRY_VOID(put_off(
      one, status ? fmt::format("the receiver answered {}", *status) : status.error().message));
  return false;
}

// The one before may have ended since.
bool Webhooks::Impl::has_turn() {
  if (turn) return true;
  auto lock = base::FileLock::acquire(base::join(options.folder, "webhooks.lock"));
  if (lock) turn.emplace(std::move(*lock));
  return turn.has_value();
}

// In their order: behind one that is not taken the later ones wait for the next time, so that a
// receiver that is down is not asked for each.
Result<int64_t> Webhooks::work() {
  if (!impl_->has_turn()) return 0;
  RETORT_TRY_VOID(impl_->follow());
  RETORT_TRY(const auto pending, impl_->due());
  int64_t delivered = 0;
  for (const auto& one : pending) {
    RETORT_TRY(const bool taken, impl_->deliver(one));
    if (!taken) break;
    ++delivered;
    if (impl_->ending) break;
  }
  return delivered;
}

Result<int64_t> Webhooks::waiting() {
  RETORT_TRY(auto row, impl_->database->prepare("SELECT count(*) FROM outbox"));
  RETORT_TRY_VOID(row.step());
  return row.integer(0);
}

}  // namespace retort::provider
