#include "provider/watch_internal.h"

#include <cstring>
#include <iterator>
#include <utility>

#include "base/address.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "detect/prompt.h"
#include "json/value.h"
#include "provider/calibrating.h"

namespace retort::provider {
namespace {

constexpr const char* kWatchTables = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (account TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
)";

// Secret and kept: what is stored are hashes under it.
Result<uint64_t> salt_of(store::Database& database) {
  uint64_t salt = 0;
  base::secure_random(&salt, sizeof salt);
  const std::string_view bytes(reinterpret_cast<const char*>(&salt), sizeof salt);
  RETORT_TRY(auto put, database.prepare("INSERT OR IGNORE INTO meta VALUES ('salt', ?1)"));
  RETORT_TRY_VOID(put.bind_blob(1, bytes).run());
  RETORT_TRY(auto get, database.prepare("SELECT value FROM meta WHERE key = 'salt'"));
  RETORT_TRY_VOID(get.step());
  const auto kept = get.blob(0);
  if (kept.size() != sizeof salt) {
    return base::storage_error("what detection keeps is damaged", database.path(),
                               "move the file away; detection begins anew");
  }
  std::memcpy(&salt, kept.data(), sizeof salt);
  return salt;
}

detect::Policy bounds_of(const policy::Policy& policy) {
  detect::Policy out;
  out.clause = policy.clause.id;
  out.clause_text = policy.clause.text;
  out.warn_alpha = policy.bounds.warn;
  out.throttle_alpha = policy.bounds.throttle;
  out.suspend_alpha = policy.bounds.suspend;
  out.cluster_alpha = policy.bounds.cluster;
  out.family_p = policy.bounds.family_p;
  out.families = static_cast<int>(policy.bounds.families);
  return out;
}

detect::Licence licence_of(accounts::Training training) {
  switch (training) {
    case accounts::Training::allowed:
      return detect::Licence::allowed;
    case accounts::Training::non_competing:
      return detect::Licence::non_competing;
    case accounts::Training::forbidden:
      break;
  }
  return detect::Licence::none;
}

}  // namespace

uint64_t address_cell(std::string_view address) {
  const auto bytes = base::parse_address(address);
  if (!bytes) return 0;
  const bool is_ipv4 = base::is_ipv4(*bytes);
  const size_t first = is_ipv4 ? 12 : 0, kept = is_ipv4 ? 3 : 6;
  uint64_t cell = kept;
  for (size_t i = first; i < first + kept; ++i) cell = cell << 8 | (*bytes)[i];
  return cell;
}

Watch::Watch(std::unique_ptr<store::Database> database, uint64_t salt,
             detect::Calibration calibration)
    : database_(std::move(database)),
      salt_(salt),
      detector_({.salt = salt, .calibration = std::move(calibration)}),
      course_(*database_) {}

Result<std::unique_ptr<Watch>> Watch::open(const std::string& folder) {
  RETORT_TRY(auto database, store::Database::open(base::join(folder, kDetectionFile)));
  RETORT_TRY_VOID(database->execute(kWatchTables));
  RETORT_TRY_VOID(Course::make_tables(*database));
  RETORT_TRY_VOID(make_period_table(*database));
  RETORT_TRY(const uint64_t salt, salt_of(*database));
  RETORT_TRY(auto calibration, calibration_of(folder));
  return std::unique_ptr<Watch>(new Watch(std::move(database), salt, std::move(calibration)));
}

void Watch::bind(std::shared_ptr<const policy::Policy> policy) {
  const std::lock_guard lock(mutex_);
  if (policy_ == policy || (policy_ && policy && policy_->id == policy->id)) return;
  policy_ = std::move(policy);
  if (policy_) detector_.set_policy(bounds_of(*policy_));
}

Watch::All::value_type& Watch::meet(std::string_view account) {
  const auto found = known_.find(account);
  if (found != known_.end()) return *found;
  auto& made = *known_.try_emplace(std::string(account)).first;
  restore(made.first);
  return made;
}

void Watch::note_changed(All::value_type& one) {
  if (!std::exchange(one.second.changed, true)) changed_.push_back(&one);
}

void Watch::note_closed(const All::value_type& one, int64_t time_ms) {
  const auto* state = detector_.state(one.first);
  if (state == nullptr || state->requests == 0) return;
  if ((time_ms - state->first_ms) / detect::kPeriodMs <= state->period) return;
  closed_.push_back({one.first, state->period, one.second.purpose, state->wealth});
}

void Watch::restore(const std::string& account) {
  const auto found = [&]() -> Result<std::string> {
    const std::lock_guard lock(store_mutex_);
    RETORT_TRY(auto row, database_->prepare("SELECT state FROM states WHERE account = ?1"));
    RETORT_TRY(const bool there, row.bind(1, account).step());
    return there ? std::string(row.blob(0)) : std::string();
  }();
  auto restored = Result<void>();
  if (!found) restored = found.error();
  if (found && !found->empty()) restored = detector_.restore(account, *found);
  // Detection begins anew with this account: that errs in its favour.
  if (!restored) base::log_error("provider: {}: {}", account, restored.error().text());
}

void Watch::see(const Watched& watched) {
  const std::lock_guard lock(mutex_);
  if (!policy_) return;
  auto& met = meet(watched.account);
  met.second.purpose = watched.purpose;
  note_closed(met, watched.asked_ms);
  const uint64_t payment_cell =
      watched.payer.empty() ? 0 : detect::hash_text(watched.payer, salt_) | 1U;
  turns_.clear();
  for (const auto& [speaker, text] : watched.seen.turns) turns_.push_back({speaker, text});
  const auto finding = detector_.observe({.subject = {.account = watched.account,
                                                      .key = watched.key,
                                                      .purpose = watched.purpose,
                                                      .licence = licence_of(watched.training)},
                                          .request = watched.seen.request,
                                          .time_ms = watched.asked_ms,
                                          .turns = turns_,
                                          .sampling = watched.seen.sampling,
                                          .answer = watched.answer,
                                          .input_tokens = watched.input_tokens,
                                          .output_tokens = watched.output_tokens,
                                          .address_cell = watched.address_cell,
                                          .payment_cell = payment_cell});
  note_changed(met);
  if (finding) keep(met.first, *finding);
}

void Watch::keep(const std::string& account, const detect::Finding& finding) {
  const auto* charge = std::get_if<detect::Charge>(&finding);
  if (charge == nullptr) {
    base::log_info("provider: {} gathers answers, as it may: {}", account,
                   detect::to_words(finding));
    return;
  }
  charged_.push_back({account,
                      {.carries = static_cast<policy::Step>(charge->step),
                       .words = detect::to_words(finding),
                       .evidence = json::dump(detect::to_json(finding)),
                       .of_others = charge->evidence.cluster && charge->evidence.cluster->heir}});
}

std::vector<Charged> Watch::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(charged_, {});
}

void Watch::forget(const std::string& account) {
  const std::lock_guard lock(mutex_);
  auto& met = meet(account);
  detector_.forget(account);
  note_changed(met);
}

Watch::Unsaved Watch::take_unsaved() {
  const std::lock_guard lock(mutex_);
  Unsaved out;
  out.closed = std::exchange(closed_, {});
  for (auto* one : std::exchange(changed_, {})) {
    auto& [account, met] = *one;
    met.changed = false;
    const auto* held = detector_.state(account);
    out.states.push_back({one, detector_.save(account),
                          held == nullptr
                              ? std::nullopt
                              : course_point(*held, detector_.calibration().find(met.purpose))});
  }
  return out;
}

// Requests do not wait for the store meanwhile, but one of an account that is met for the first
// time.
Result<void> Watch::save() {
  auto unsaved = take_unsaved();
  if (unsaved.states.empty() && unsaved.closed.empty()) return {};
  auto done = write(unsaved);
  if (done) return done;
  const std::lock_guard lock(mutex_);
  for (auto& one : unsaved.states) note_changed(*one.whose);
  closed_.insert(closed_.begin(), std::make_move_iterator(unsaved.closed.begin()),
                 std::make_move_iterator(unsaved.closed.end()));
  return done;
}

Result<void> Watch::write(const Unsaved& unsaved) {
  const std::lock_guard lock(store_mutex_);
  RETORT_TRY(auto transaction, database_->begin());
  RETORT_TRY(auto put, database_->prepare("INSERT OR REPLACE INTO states VALUES (?1, ?2)"));
  RETORT_TRY(auto drop, database_->prepare("DELETE FROM states WHERE account = ?1"));
  for (const auto& one : unsaved.states) {
    const std::string& account = one.whose->first;
    RETORT_TRY_VOID(one.state.empty() ? drop.bind(1, account).run()
                                      : put.bind(1, account).bind_blob(2, one.state).run());
    if (one.point) RETORT_TRY_VOID(course_.note(account, *one.point));
  }
  for (const auto& one : unsaved.closed) RETORT_TRY_VOID(put_period(*database_, one));
  return transaction.commit();
}

}  // namespace retort::provider
