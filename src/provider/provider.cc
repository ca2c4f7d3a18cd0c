#include "provider/provider.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/files.h"
#include "base/log.h"
#include "provider/refusals_internal.h"
#include "terms/evaluate.h"

namespace retort::provider {
namespace {

constexpr size_t kCachedKeysMax = 100'000;
constexpr const char* kMetrics = "metrics";  // figures of all customers together
constexpr int64_t kMillion = 1'000'000;

bool is_same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

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

std::vector<accounts::Subject> subjects_of(const accounts::Principal& who) {
  std::vector<accounts::Subject> out = {"key:" + who.key.id, "account:" + who.account.id, "all"};
  if (!who.account.organisation.empty()) {
    out.push_back("organisation:" + who.account.organisation);
  }
  return out;
}

bool allows(const std::vector<std::string>& patterns, const std::string& name) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(),
                     [&name](const std::string& one) { return terms::matches(one, name); });
}

}  // namespace

struct Provider::Impl {
  Options options;
  base::Clock* clock = nullptr;
  std::unique_ptr<accounts::Quotas> quotas;

  std::mutex mutex;  // of what follows
  std::unique_ptr<accounts::Book> book;
  int64_t version = -1;
  std::unordered_map<std::string, accounts::Principal> known;  // by the key's hash
  std::unordered_map<std::string, std::shared_ptr<LiveAccount>> live;
  std::thread looker;
  std::condition_variable wake;
  bool ending = false;

  // With the mutex held. What was known counts no more once the book has changed.
  Result<void> look();
  Result<std::optional<Visitor>> find(std::string_view secret);
};

Result<std::unique_ptr<Provider>> Provider::open(const Options& options) {
  const std::string path = base::join(options.folder, "accounts.db");
  if (!base::exists(path)) {
    return base::not_found("there are no accounts, so nobody could ask", options.folder,
                           "make one first: retort account create NAME, then retort account issue");
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->clock = options.clock != nullptr ? options.clock : &base::system_clock();
  RETORT_TRY(impl->book, accounts::Book::open(path, {.create = false, .clock = options.clock}));
  RETORT_TRY(impl->quotas, accounts::Quotas::open(options.folder, {.clock = options.clock}));
  return std::unique_ptr<Provider>(new Provider(std::move(impl)));
}

Provider::Provider(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->looker = std::thread([this] {
    std::unique_lock lock(impl_->mutex);
    while (!impl_->wake.wait_for(lock, std::chrono::milliseconds(impl_->options.look_ms),
                                 [this] { return impl_->ending; })) {
      if (const auto looked = impl_->look(); !looked) {
        base::log_error("provider: {}", looked.error().text());
      }
    }
  });
}

Provider::~Provider() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->wake.notify_all();
  impl_->looker.join();
}

Result<void> Provider::Impl::look() {
  RETORT_TRY(const int64_t now, book->version());
  if (now == version) return {};
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

Result<std::optional<Visitor>> Provider::Impl::find(std::string_view secret) {
  if (!accounts::parse_key(secret)) return std::optional<Visitor>{};
  RETORT_TRY_VOID(look());
  const auto hash = accounts::hash_key(secret);
  const std::string key(crypto::as_bytes(hash));
  auto found = known.find(key);
  if (found == known.end()) {
    RETORT_TRY(auto principal, book->find(secret));
    if (!principal) return std::optional<Visitor>{};
    if (known.size() >= kCachedKeysMax) known.clear();
    found = known.emplace(key, std::move(*principal)).first;
  }
  const auto& principal = found->second;
  // A key may have ended since it was looked up.
  if (!accounts::opens(principal.key, clock->wall_ms())) return std::optional<Visitor>{};
  auto& account = live[principal.account.id];
  if (!account) account = std::make_shared<LiveAccount>();
  account->active = principal.account.state == accounts::State::active;
  return std::optional(Visitor{principal, account});
}

Outcome<Visitor> Provider::identify(const Caller& caller) {
  constexpr std::string_view kScheme = "bearer ";
  if (caller.authorization.empty()) return no_key();
  if (!is_same_word(caller.authorization.substr(0, kScheme.size()), kScheme)) return wrong_key();
  std::unique_lock lock(impl_->mutex);
  auto found = impl_->find(caller.authorization.substr(kScheme.size()));
  lock.unlock();
  if (!found) return unavailable(found.error());
  const bool is_admin = caller.scope == kMetrics;
  const auto kind = is_admin ? accounts::KeyKind::admin : accounts::KeyKind::api;
  if (!*found || (*found)->principal.key.kind != kind) return wrong_key();
  Visitor& visitor = **found;
  if (!accounts::address_allowed(visitor.principal.key.limits.addresses, caller.address)) {
    return wrong_address(caller.address);
  }
  if (visitor.principal.account.state != accounts::State::active) {
    return suspended(visitor.principal.account);
  }
  if (!is_admin && !allows(visitor.principal.key.limits.scopes, caller.scope)) {
    return not_allowed("endpoint", caller.scope);
  }
  return std::move(visitor);
}

Outcome<Ticket> Provider::admit(const Visitor& visitor, const Wish& wish) {
  const auto& limits = visitor.principal.key.limits;
  if (!allows(limits.models, wish.model)) return not_allowed("model", wish.model);
  const auto subjects = subjects_of(visitor.principal);
  const auto price = impl_->options.prices.find(wish.model);
  const bool priced = price != impl_->options.prices.end();
  if (!priced && impl_->quotas->binds(subjects, accounts::Resource::cost_micros)) {
    return no_price(wish.model);
  }
  Ticket ticket;
  if (priced) ticket.price_ = price->second;
  ticket.live_ = visitor.live;
  ticket.input_tokens_ = wish.input_tokens;
  auto admitted =
      impl_->quotas->reserve(subjects, ticket.amounts(wish.input_tokens, wish.output_tokens));
  if (!admitted) return unavailable(admitted.error());
  const int64_t now_ms = impl_->clock->wall_ms();
  ticket.headers_ = rate_headers(impl_->quotas->standing(subjects), now_ms);
  if (!admitted->admitted()) {
    Refused refused = over_limit(*admitted->refusal, now_ms);
    for (auto& header : ticket.headers_) refused.headers.push_back(std::move(header));
    return refused;
  }
  ticket.reservation_ = std::move(admitted->reservation);
  return ticket;
}

accounts::Amounts Ticket::amounts(int64_t input_tokens, int64_t output_tokens) const {
  return {.requests = 1,
          .input_tokens = input_tokens,
          .output_tokens = output_tokens,
          .cost_micros = cost_micros(price_, input_tokens, output_tokens)};
}

bool Ticket::note(int64_t output_tokens) {
  reservation_.progress(amounts(input_tokens_, output_tokens));
  return live_->active;
}

void Ticket::finish(int64_t input_tokens, int64_t output_tokens) {
  reservation_.settle(amounts(input_tokens, output_tokens));
}

openai::ApiError cut_error() {
  openai::ApiError error = openai::make_error(
      403, "This account was suspended while the answer was under way; ask again to read why.", "",
      "account_suspended");
  error.type = "account_suspended";
  return error;
}

}  // namespace retort::provider
