// The provider's side of a door, behind what `serve` asks: who is it (identify), may it have this
// (admit), and what came of it (Ticket). Holds accounts, exact quotas, the cases against accounts
// with their steps, and the audit of all of it (audit.h); every refusal is an error that OpenAI's
// clients sort into its proper class, with the headers that tell them whether to ask again.
//
// Threads: everything from any thread. identify asks whether the book of accounts has changed, once
// a turn of requests that came together, and then reads it; admit
// writes to the quotas now and then (a few milliseconds when a grant has run out); the others never
// wait.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "accounts/book.h"
#include "accounts/quota.h"
#include "base/clock.h"
#include "base/result.h"
#include "detect/observation.h"
#include "http/client.h"
#include "json/value.h"
#include "openai/error.h"
#include "policy/case.h"

namespace retort::provider {

struct Refused {
  openai::ApiError error;
  http::Headers headers{};  // Retry-After, x-should-retry, x-ratelimit-*
};

template <class T>
using Outcome = std::variant<T, Refused>;

// Who asks, as the HTTP layer saw it.
struct Caller {
  std::string_view authorization{};  // the header's value; "" for none or more than one
  std::string_view address{};        // of the other end of the connection
  // What for: "chat", "completions", "models", "tokenize" ..., as scopes of keys name them.
  // "metrics" needs a key of the administration, which opens nothing else here. "cases" is open to
  // every key of an account, also a suspended one: nobody loses the way to appeal.
  std::string_view scope{};
  std::string_view request{};  // the request's id
  uint64_t turn = 0;           // as http::ServerRequest has it
};

// The request as detection looks at it; nothing of it is kept but salted hashes and counts.
struct Seen {
  std::string request{};  // its id
  std::vector<std::pair<detect::Speaker, std::string>> turns{};
  detect::Sampling sampling{};
};

// What is asked, at most.
struct Wish {
  std::string model{};
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;  // of all answers together
  Seen seen{};
};

// Millionths of the currency's unit for a million tokens.
struct Price {
  int64_t input_micros = 0, output_micros = 0;
};

// Whom a key stands for; `live` follows what happens to the account while a request is under way.
struct LiveAccount {
  std::atomic<bool> active{true};
};
// The open case of an account, as it was when the account was last looked up.
struct Standing {
  policy::Case subject;
  std::shared_ptr<const policy::Policy> policy;
  std::atomic<int64_t> answered{0};  // requests under this step, beyond those of `subject`
};
struct Visitor {
  std::shared_ptr<const accounts::Principal> principal;
  std::shared_ptr<const std::vector<accounts::Subject>> subjects;  // whose limits bind it
  std::shared_ptr<const LiveAccount> live;
  std::shared_ptr<Standing> standing{};  // null: there is no case
  uint64_t address_cell = 0;             // of the network that the request came from
};

// A request for detection, complete when its ticket ends. Its account lives longer than it.
struct Watched {
  Seen seen;
  std::string_view account, key, purpose, payer;
  accounts::Training training = accounts::Training::forbidden;
  int64_t asked_ms = 0;
  uint64_t address_cell = 0;
  int64_t input_tokens = 0, output_tokens = 0;
  std::string answer{};
};
class Audit;
class Sketches;
class Watch;

// A request under way. Gone without finish(), it has used what note() said last, and detection is
// shown that much.
class Ticket {
 public:
  Ticket();
  Ticket(Ticket&& other) noexcept;
  Ticket& operator=(Ticket&& other) noexcept;
  ~Ticket();
  // For the answer's head: x-ratelimit-{limit,remaining,reset}-{requests,tokens}, and where there
  // is a case retort-policy-case and retort-policy-step.
  const http::Headers& headers() const { return headers_; }
  http::Headers take_headers() { return std::move(headers_); }
  // The prompt's tokens, where the wish said only how many they are at most.
  void read(int64_t input_tokens);
  // Output tokens so far. False: nothing more may be sent; cut_error() says why.
  bool note(int64_t output_tokens);
  // What a stream ends with then: its account was suspended, or its place is somebody else's.
  openai::ApiError cut_error() const;
  // `answer`: the text of the first one.
  void finish(int64_t input_tokens, int64_t output_tokens, std::string answer = "");
  // Why it will end without finish(), for the audit: an error's code. Without it, its client left.
  void fail(std::string code) { outcome_ = std::move(code); }

 private:
  friend class Provider;
  void show(const std::string& outcome);
  accounts::Amounts amounts(int64_t input_tokens, int64_t output_tokens) const;
  accounts::Reservation reservation_;
  std::shared_ptr<const accounts::Principal> principal_;
  std::shared_ptr<const LiveAccount> live_;
  std::shared_ptr<Standing> standing_;
  Price price_;
  int64_t input_tokens_ = 0;
  http::Headers headers_;
  Watch* watch_ = nullptr;
  Audit* audit_ = nullptr;
  Sketches* sketches_ = nullptr;  // null: none are kept
  std::string model_;
  std::string outcome_ = "left";
  std::unique_ptr<Watched> watched_;  // until it was shown
};

// A request that needed no ticket, or got none by its own fault: for the audit.
struct Told {
  std::string request{};  // its id
  std::string route{};
  std::string outcome{};  // "answered", "replayed", or an error's code
};

class Provider {
 public:
  struct Options {
    std::string folder;                     // of this machine: audit, detection, live files
    std::string store{};                    // accounts and limits: postgresql://..., "": the folder
    std::map<std::string, Price> prices{};  // by model; one without a price cannot be had for money
    base::Clock* clock = nullptr;           // nullptr: the machine's
    int64_t look_ms = 20;                   // how soon changes of accounts reach what is under way
  };
  // Refuses a folder without accounts: a door that lets nobody in is a mistake.
  static Result<std::unique_ptr<Provider>> open(const Options& options);
  ~Provider();  // no ticket may be left
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;

  // 401 for no key or one that opens nothing; 403 for a suspended account, a foreign address and
  // what the key is not for.
  Outcome<Visitor> identify(const Caller& caller);
  // 403 for a model that the key may not ask; 429 for a limit. Reserves all or nothing.
  Outcome<Ticket> admit(const Visitor& visitor, Wish wish);

  // Whose refusals identify and admit have audited already. `visitor` null: no key names anybody.
  void tell(const Visitor* visitor, const Told& told);

  // What the customer sees of its cases (docs/reference/cases.md), and its appeal. 404 for a case
  // of somebody else; 409 where there is nothing to appeal, with the reason.
  Outcome<json::Value> cases(const Visitor& visitor);
  Outcome<json::Value> find_case(const Visitor& visitor, const std::string& id);
  Outcome<json::Value> appeal(const Visitor& visitor, const std::string& id,
                              const std::string& text);
  // Link, Content-Usage: of the terms that bind this account's answers, by the policy in effect;
  // and retort-policy-change where another version was announced.
  http::Headers licence(const Visitor& visitor);
  // The policy in effect, the one to come, for everybody to read; null without a policy.
  json::Value published_policy();

 private:
  struct Impl;
  explicit Provider(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::provider
