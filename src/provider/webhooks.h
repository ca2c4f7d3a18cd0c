// Tells the provider's own systems of every step of a case and of every appeal: signed POSTs as
// Standard Webhooks has them (webhook-id, webhook-timestamp, webhook-signature: "v1,BASE64" of
// HMAC-SHA256 over "ID.TIMESTAMP.BODY"), at least once. Events are followed from the history of
// cases into an outbox on disk, and leave it when the receiver answered 2xx; a kill loses none, and
// what is sent twice carries the same id. Of several processes on one folder one sends.
// docs/reference/cases.md.
//
// One thread of its own, which waits for the receiver; nobody waits for it.
#pragma once
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace retort::provider {

class Webhooks {
 public:
  struct Options {
    std::string folder;   // of the accounts
    std::string store{};  // where they are on a server
    std::string url{};
    std::string secret{};            // "whsec_" and 24 to 64 bytes in base64
    bool private_addresses = false;  // plain http too
    int64_t timeout_ms = 10'000;     // of one attempt
    base::Clock* clock = nullptr;    // nullptr: the machine's
    bool background = true;          // otherwise somebody calls work()
  };
  // Opened for the first time it begins with what happens from then on.
  static Result<std::unique_ptr<Webhooks>> open(const Options& options);
  ~Webhooks();
  Webhooks(const Webhooks&) = delete;
  Webhooks& operator=(const Webhooks&) = delete;

  // Takes what is new into the outbox and sends what is due. How many were delivered.
  Result<int64_t> work();
  Result<int64_t> waiting();

 private:
  struct Impl;
  explicit Webhooks(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "v1," and the signature, as the receiver makes it to compare. `key`: the secret's bytes.
std::string sign_webhook(const std::string& key, const std::string& id, int64_t timestamp_s,
                         const std::string& body);

}  // namespace retort::provider
