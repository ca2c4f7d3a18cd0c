#include "provider/provider.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/files.h"
#include "base/log.h"
#include "provider/audit.h"
#include "provider/customer_internal.h"
#include "provider/desk_internal.h"
#include "provider/refusals_internal.h"
#include "provider/sketches.h"
#include "provider/watch_internal.h"
#include "terms/evaluate.h"

namespace retort::provider {
namespace {

constexpr size_t kCachedKeysMax = 100'000;
constexpr size_t kKeyBytesMax = 64;          // more than any key has
constexpr const char* kMetrics = "metrics";  // figures of all customers together
constexpr const char* kCases = "cases";
constexpr int64_t kJudgeMs = 1000;  // how soon a finding has consequences
constexpr int64_t kMillion = 1'000'000;

// Rounded up, so that small requests lose no money; what no int64 can hold is more than any limit.
int64_t cost_micros(const Price& price, int64_t input_tokens, int64_t output_tokens) {
  constexpr int64_t kTooMuch = INT64_MAX / 4;
  int64_t input = 0, output = 0, total = 0;
  if (__builtin_mul_overflow(price.input_micros, input_tokens, &input) ||
      __builtin_mul_overflow(price.output_micros, output_tokens, &output) ||
      __builtin_add_overflow(input, output, &total)) {
    return kTooMuch;
  }
  return std::min(total / kMillion + (total % kMillion != 0 ? 1 : 0), kTooMuch);
}

// A throttle is a limit of the case's own, so that it holds through processes as all limits do.
accounts::Limit throttle_of(const Standing& standing) {
  return {"case:" + standing.subject.id, accounts::Resource::requests, accounts::Window::minute,
          standing.policy->steps.requests_per_minute};
}

bool throttles(const Standing* standing) {
  return standing != nullptr && standing->subject.step == policy::Step::throttle;
}

std::vector<accounts::Subject> subjects_of(const accounts::Principal& who) {
  std::vector<accounts::Subject> out = {"key:" + who.key.id, "account:" + who.account.id, "all"};
  if (!who.account.organisation.empty()) {
    out.push_back("organisation:" + who.account.organisation);
  }
  return out;
}

Error nobody(const std::string& where) {
  return base::not_found("there are no accounts, so nobody could ask", where,
                         "make one first: retort account create NAME, then retort account issue");
}

bool allows(const std::vector<std::string>& patterns, std::string_view name) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(),
                     [&name](const std::string& one) { return terms::matches(one, name); });
}

}  // namespace

struct Provider::Impl {
  // What is known of a key until the book changes.
  struct Known {
    explicit Known(accounts::Principal whose)
        : principal(std::move(whose)), subjects(subjects_of(principal)) {}
    const accounts::Principal principal;
    const std::vector<accounts::Subject> subjects;
    std::shared_ptr<LiveAccount> live;
  };

  // A digest is as good as random.
  struct DigestHash {
    size_t operator()(const crypto::Digest& digest) const {
      size_t out = 0;
      std::memcpy(&out, digest.data(), sizeof out);
      return out;
    }
  };

  Options options;
  base::Clock* clock = nullptr;
  std::unique_ptr<accounts::Quotas> quotas;
  std::unique_ptr<Desk> desk;
  std::unique_ptr<Watch> watch;
  std::unique_ptr<Audit> audit;
  std::unique_ptr<Sketches> sketches;

  std::mutex mutex;  // of what follows
  std::unique_ptr<accounts::Book> book;
  int64_t version = -1;
  uint64_t looked_turn = 0;  // whose requests had arrived when the book was asked last
  std::unordered_map<crypto::Digest, std::shared_ptr<const Known>, DigestHash> known;
  std::unordered_map<std::string, std::shared_ptr<LiveAccount>> live;
  std::set<std::string> throttled;  // cases whose limit is set
  std::thread looker;
  std::condition_variable wake;
  bool ending = false;

  // With the mutex held. What was known counts no more once the book has changed.
  Result<void> look();
  void keep_looking();
  Result<void> judge();
  Refused noted(Refused refused, const Visitor& visitor, Served served);
  Refused counted(Refused refused);
  void note(const Visitor& visitor, Served served);
  static void log(const Result<void>& done);
  Result<void> throttle(const Standing& standing);
  Result<std::optional<Visitor>> find(std::string_view secret, uint64_t turn);
  Result<std::shared_ptr<const Known>> read(std::string_view secret);
};

Result<std::unique_ptr<Provider>> Provider::open(const Options& options) {
  const bool is_shared = !options.store.empty();
  const std::string book = is_shared ? options.store : base::join(options.folder, "accounts.db");
  if (is_shared) RETORT_TRY_VOID(base::make_directories(options.folder));
  if (!is_shared && !base::exists(book)) return nobody(options.folder);
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->clock = options.clock != nullptr ? options.clock : &base::system_clock();
  RETORT_TRY(impl->book, accounts::Book::open(book, {.create = false, .clock = options.clock}));
  RETORT_TRY(const auto all, impl->book->list());
  if (all.empty()) return nobody(is_shared ? "" : options.folder);
  RETORT_TRY(impl->quotas, accounts::Quotas::open(
                               options.folder, {.clock = options.clock, .store = options.store}));
  RETORT_TRY(impl->desk, Desk::open(book, impl->clock));
  RETORT_TRY(impl->watch, Watch::open(options.folder));
  impl->watch->bind(impl->desk->binding().now);
  RETORT_TRY(impl->audit, Audit::open(options.folder, book, impl->clock));
  RETORT_TRY(impl->sketches, Sketches::open(options.folder, impl->clock));
  return std::unique_ptr<Provider>(new Provider(std::move(impl)));
}

Provider::Provider(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->looker = std::thread([this] { impl_->keep_looking(); });
}

Provider::~Provider() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->wake.notify_all();
  impl_->looker.join();
  impl_->log(impl_->judge());
  impl_->log(impl_->desk->close());
  impl_->log(impl_->audit->seal());
  impl_->log(impl_->sketches->seal());
}

void Provider::Impl::log(const Result<void>& done) {
  if (!done) base::log_error("provider: {}", done.error().text());
}

void Provider::Impl::keep_looking() {
  int64_t judged_ms = 0;
  std::string told;  // a store that is away is reported once, not at every look
  std::unique_lock lock(mutex);
  while (
      !wake.wait_for(lock, std::chrono::milliseconds(options.look_ms), [this] { return ending; })) {
    const auto looked = look();
    if (!looked && looked.error().text() != told) log(looked);
    told = looked ? "" : looked.error().text();
    if (clock->monotonic_ms() - judged_ms < kJudgeMs) continue;
    judged_ms = clock->monotonic_ms();
    lock.unlock();
    log(judge());
    lock.lock();
  }
}

// What was found becomes cases, cases move with the time, and what has ended is forgotten.
Result<void> Provider::Impl::judge() {
  watch->bind(desk->binding().now);
  for (const auto& [account, finding] : watch->take()) {
    log(desk->take(account, finding));  // one that cannot be taken does not hold up the others
  }
  RETORT_TRY_VOID(desk->work());
  for (const auto& account : desk->take_cleared()) watch->forget(account);
  RETORT_TRY_VOID(audit->work());
  if (const auto policy = desk->binding().now) RETORT_TRY_VOID(sketches->work(policy->sketch_days));
  return watch->save();
}

// A refusal of a known account; keys that open nothing are nobody's.
Refused Provider::Impl::noted(Refused refused, const Visitor& visitor, Served served) {
  served.outcome = refused.error.code;
  note(visitor, std::move(served));
  return refused;
}

void Provider::Impl::note(const Visitor& visitor, Served served) {
  served.time_ms = clock->wall_ms();
  served.account = visitor.principal->account.id;
  served.key = visitor.principal->key.id;
  if (visitor.standing) {
    served.case_id = visitor.standing->subject.id;
    served.step = policy::name(visitor.standing->subject.step);
  }
  audit->add(served);
}

// Of a request that no key names.
Refused Provider::Impl::counted(Refused refused) {
  audit->count_nameless(refused.error.code);
  return refused;
}

Result<void> Provider::Impl::look() {
  RETORT_TRY(const int64_t now, book->version());
  if (now == version) return {};
  RETORT_TRY_VOID(desk->reload());
  known.clear();
  for (auto at = live.begin(); at != live.end();) {
    if (at->second.use_count() == 1) {
      at = live.erase(at);
      continue;
    }
    RETORT_TRY(const auto account, book->account(at->first));
    at->second->active = account.state == accounts::State::active;
    ++at;
  }
  version = now;  // last: what failed is tried again
  return {};
}

// With the mutex held; null for a key that opens nothing.
Result<std::shared_ptr<const Provider::Impl::Known>> Provider::Impl::read(std::string_view secret) {
  RETORT_TRY(auto principal, book->find(secret));
  if (!principal) return std::shared_ptr<const Known>{};
  auto out = std::make_shared<Known>(std::move(*principal));
  auto& account = live[out->principal.account.id];
  if (!account) account = std::make_shared<LiveAccount>();
  account->active = out->principal.account.state == accounts::State::active;
  out->live = account;
  return std::shared_ptr<const Known>(std::move(out));
}

// Whoever asks the book after a request has arrived knows of every suspension that was acknowledged
// before it was sent; of requests that arrived together the first one asks for all.
Result<std::optional<Visitor>> Provider::Impl::find(std::string_view secret, uint64_t turn) {
  if (secret.size() > kKeyBytesMax) return std::optional<Visitor>{};
  const auto hash = accounts::hash_key(secret);
  const std::lock_guard lock(mutex);
  if (!known.contains(hash) && !accounts::parse_key(secret)) return std::optional<Visitor>{};
  if (turn == 0 || turn != looked_turn) RETORT_TRY_VOID(look());
  looked_turn = turn;
  auto found = known.find(hash);
  if (found == known.end()) {
    RETORT_TRY(auto made, read(secret));
    if (!made) return std::optional<Visitor>{};
    if (known.size() >= kCachedKeysMax) known.clear();
    found = known.emplace(hash, std::move(made)).first;
  }
  const auto& one = found->second;
  // A key may have ended since it was looked up.
  if (!accounts::opens(one->principal.key, clock->wall_ms())) return std::optional<Visitor>{};
  Visitor out{{one, &one->principal},
              {one, &one->subjects},
              one->live,
              desk->standing(one->principal.account.id)};
  if (throttles(out.standing.get())) {
    auto subjects = std::make_shared<std::vector<accounts::Subject>>(one->subjects);
    subjects->push_back("case:" + out.standing->subject.id);
    out.subjects = std::move(subjects);
  }
  return std::optional(std::move(out));
}

Result<void> Provider::Impl::throttle(const Standing& standing) {
  {
    const std::lock_guard lock(mutex);
    if (!throttled.insert(standing.subject.id).second) return {};
  }
  return quotas->set_limit(throttle_of(standing));
}

Outcome<Visitor> Provider::identify(const Caller& caller) {
  if (caller.authorization.empty()) return impl_->counted(no_key());
  const auto offered = http::bearer_of(caller.authorization);
  if (!offered) return impl_->counted(wrong_key());
  auto found = impl_->find(*offered, caller.turn);
  if (!found) return impl_->counted(unavailable(found.error()));
  const bool is_admin = caller.scope == kMetrics;
  const auto kind = is_admin ? accounts::KeyKind::admin : accounts::KeyKind::api;
  if (!*found || (*found)->principal->key.kind != kind) return impl_->counted(wrong_key());
  Visitor& visitor = **found;
  visitor.address_cell = address_cell(caller.address);
  const auto refuse = [&](Refused refused) {
    return impl_->noted(std::move(refused), visitor,
                        {.request = caller.request, .route = caller.scope});
  };
  if (!accounts::address_allowed(visitor.principal->key.limits.addresses, caller.address)) {
    return refuse(wrong_address(caller.address));
  }
  if (caller.scope == kCases && !is_admin) return std::move(visitor);
  if (visitor.principal->account.state != accounts::State::active) {
    return refuse(suspended(visitor.principal->account, visitor.standing.get()));
  }
  if (!is_admin && !allows(visitor.principal->key.limits.scopes, caller.scope)) {
    return refuse(not_allowed("endpoint", caller.scope));
  }
  return std::move(visitor);
}

Outcome<Ticket> Provider::admit(const Visitor& visitor, Wish wish) {
  const auto& limits = visitor.principal->key.limits;
  const auto refuse = [&](Refused refused) {
    return impl_->noted(std::move(refused), visitor,
                        {.request = wish.seen.request, .model = wish.model});
  };
  if (!allows(limits.models, wish.model)) return refuse(not_allowed("model", wish.model));
  const auto& subjects = *visitor.subjects;
  const auto price = impl_->options.prices.find(wish.model);
  const bool priced = price != impl_->options.prices.end();
  if (!priced && impl_->quotas->binds(subjects, accounts::Resource::cost_micros)) {
    return refuse(no_price(wish.model));
  }
  Ticket ticket;
  if (priced) ticket.price_ = price->second;
  ticket.principal_ = visitor.principal;
  ticket.live_ = visitor.live;
  ticket.standing_ = visitor.standing;
  if (throttles(visitor.standing.get())) {
    if (const auto set = impl_->throttle(*visitor.standing); !set) {
      return refuse(unavailable(set.error()));
    }
  }
  ticket.input_tokens_ = wish.input_tokens;
  auto admitted =
      impl_->quotas->reserve(subjects, ticket.amounts(wish.input_tokens, wish.output_tokens));
  if (!admitted) return refuse(unavailable(admitted.error()));
  const int64_t now_ms = impl_->clock->wall_ms();
  ticket.headers_ = rate_headers(impl_->quotas->standing(subjects), now_ms);
  for (auto& header : case_headers(visitor.standing.get())) {
    ticket.headers_.push_back(std::move(header));
  }
  if (!admitted->admitted()) {
    const auto& why = *admitted->refusal;
    Refused refused = why.limit.subject.starts_with("case:")
                          ? throttled(*visitor.standing, why, now_ms)
                          : over_limit(why, now_ms);
    for (auto& header : ticket.headers_) refused.headers.push_back(std::move(header));
    return refuse(std::move(refused));
  }
  ticket.reservation_ = std::move(admitted->reservation);
  ticket.watch_ = impl_->watch.get();
  ticket.audit_ = impl_->audit.get();
  // Without a policy nothing says for how long they may be kept.
  const auto policy = impl_->desk->binding().now;
  if (policy && policy->sketch_days > 0) ticket.sketches_ = impl_->sketches.get();
  ticket.model_ = std::move(wish.model);
  const auto& account = visitor.principal->account;
  ticket.watched_ = std::make_unique<Watched>(
      Watched{std::move(wish.seen), account.id, visitor.principal->key.id, account.purpose,
              account.payer, account.training, now_ms, visitor.address_cell, wish.input_tokens, 0});
  return ticket;
}

void Provider::tell(const Visitor* visitor, const Told& told) {
  if (visitor == nullptr) return impl_->audit->count_nameless(told.outcome);
  impl_->note(*visitor, {.request = told.request, .route = told.route, .outcome = told.outcome});
}

Outcome<json::Value> Provider::cases(const Visitor& visitor) {
  return cases_of(*impl_->desk, visitor);
}

Outcome<json::Value> Provider::find_case(const Visitor& visitor, const std::string& id) {
  return case_of(*impl_->desk, visitor, id);
}

Outcome<json::Value> Provider::appeal(const Visitor& visitor, const std::string& id,
                                      const std::string& text) {
  return take_appeal(*impl_->desk, visitor, id, text);
}

http::Headers Provider::licence(const Visitor& visitor) {
  return licence_headers(*impl_->desk, visitor.principal->account);
}

json::Value Provider::published_policy() {
  return policy_document(*impl_->desk);
}

accounts::Amounts Ticket::amounts(int64_t input_tokens, int64_t output_tokens) const {
  return {.requests = 1,
          .input_tokens = input_tokens,
          .output_tokens = output_tokens,
          .cost_micros = cost_micros(price_, input_tokens, output_tokens)};
}

Ticket::Ticket() = default;
Ticket::Ticket(Ticket&& other) noexcept = default;
Ticket& Ticket::operator=(Ticket&& other) noexcept {
  if (this == &other) return *this;
  show(outcome_);
  reservation_ = std::move(other.reservation_);
  principal_ = std::move(other.principal_);
  live_ = std::move(other.live_);
  standing_ = std::move(other.standing_);
  price_ = other.price_;
  input_tokens_ = other.input_tokens_;
  headers_ = std::move(other.headers_);
  watch_ = other.watch_;
  audit_ = other.audit_;
  sketches_ = other.sketches_;
  model_ = std::move(other.model_);
  outcome_ = std::move(other.outcome_);
  watched_ = std::move(other.watched_);
  return *this;
}
Ticket::~Ticket() {
  show(outcome_);
}

void Ticket::show(const std::string& outcome) {
  if (!watched_) return;
  const bool bound = standing_ && standing_->subject.visible();
  audit_->add({.time_ms = watched_->asked_ms,
               .request = watched_->seen.request,
               .account = watched_->account,
               .key = watched_->key,
               .model = model_,
               .outcome = outcome,
               .input_tokens = watched_->input_tokens,
               .output_tokens = watched_->output_tokens,
               .case_id = bound ? std::string_view(standing_->subject.id) : "",
               .step = bound ? std::string_view(policy::name(standing_->subject.step)) : ""});
  watch_->see(*watched_);
  if (sketches_ != nullptr) {
    sketches_->add({.time_ms = watched_->asked_ms,
                    .request = watched_->seen.request,
                    .account = watched_->account,
                    .model = model_,
                    .answer = watched_->answer});
  }
  watched_.reset();
}

void Ticket::read(int64_t input_tokens) {
  input_tokens_ = input_tokens;
  if (watched_) watched_->input_tokens = input_tokens;
}

bool Ticket::note(int64_t output_tokens) {
  if (watched_) watched_->output_tokens = output_tokens;
  const bool has_place = reservation_.progress(amounts(input_tokens_, output_tokens));
  return has_place && live_->active;
}

openai::ApiError Ticket::cut_error() const {
  return live_->active ? place_lost() : suspended_meanwhile();
}

void Ticket::finish(int64_t input_tokens, int64_t output_tokens, std::string answer) {
  if (standing_) ++standing_->answered;
  if (watched_) {
    watched_->input_tokens = input_tokens;
    watched_->output_tokens = output_tokens;
    watched_->answer = std::move(answer);
    show("answered");
  }
  reservation_.settle(amounts(input_tokens, output_tokens));
}

}  // namespace retort::provider
