// The provider's side of a door, behind what `serve` asks: who is it (identify), may it have this
// (admit), and what came of it (Ticket). Holds accounts and exact quotas; every refusal is an error
// that OpenAI's clients sort into its proper class, with the headers that tell them whether to ask
// again.
//
// Threads: everything from any thread. identify reads the book of accounts when it changed, admit
// writes to the quotas now and then (a few milliseconds when a grant has run out); the others never
// wait.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "accounts/book.h"
#include "accounts/quota.h"
#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "openai/error.h"

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
  // "metrics" needs a key of the administration, which opens nothing else here.
  std::string scope{};
};

// What is asked, at most.
struct Wish {
  std::string model{};
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;  // of all answers together
};

// Millionths of the currency's unit for a million tokens.
struct Price {
  int64_t input_micros = 0, output_micros = 0;
};

// Whom a key stands for; `live` follows what happens to the account while a request is under way.
struct LiveAccount {
  std::atomic<bool> active{true};
};
struct Visitor {
  accounts::Principal principal;
  std::shared_ptr<const LiveAccount> live;
};

// A request under way. Gone without finish(), it has used what note() said last.
class Ticket {
 public:
  // x-ratelimit-{limit,remaining,reset}-{requests,tokens} for the answer's head.
  const http::Headers& headers() const { return headers_; }
  // Output tokens so far. False: the account was suspended, so nothing more may be sent.
  bool note(int64_t output_tokens);
  void finish(int64_t input_tokens, int64_t output_tokens);

 private:
  friend class Provider;
  accounts::Amounts amounts(int64_t input_tokens, int64_t output_tokens) const;
  accounts::Reservation reservation_;
  std::shared_ptr<const LiveAccount> live_;
  Price price_;
  int64_t input_tokens_ = 0;
  http::Headers headers_;
};

class Provider {
 public:
  struct Options {
    std::string folder;                     // accounts.db and the quotas
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
  Outcome<Ticket> admit(const Visitor& visitor, const Wish& wish);

 private:
  struct Impl;
  explicit Provider(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What a stream ends with when its account is suspended meanwhile.
openai::ApiError cut_error();

}  // namespace retort::provider
