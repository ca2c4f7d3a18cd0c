// Another OpenAI-compatible server that answers in place of an engine. It is sent the body that
// read_request() made, the provider's own key from an environment variable, and no header of the
// client's. Threads: every function from any thread; callbacks as http::Client has them.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/client.h"
#include "relay/request.h"

namespace retort::relay {

struct Options {
  std::string base_url{};  // http://HOST/v1
  std::string model{};     // as the upstream names it
  std::string key_env{};   // the name of a variable; "": no key is sent
  int64_t timeout_ms = 600'000;
  int64_t idle_timeout_ms = 120'000;  // between two pieces of an answer
  int64_t max_connections = 256;
  Bounds bounds{};
};

class Upstream {
 public:
  // Refuses an address that is none, and a variable that is not set.
  static Result<std::unique_ptr<Upstream>> open(const Options& options);
  const std::string& model() const { return options_.model; }
  const Bounds& bounds() const { return options_.bounds; }

  http::ExchangeId ask(Kind kind, Asked asked, http::Handlers handlers);
  void cancel(http::ExchangeId id);

 private:
  Upstream(Options options, std::string key);
  Options options_;
  std::string key_;
  http::Client client_;
};

// A whole answer, or the body of an error.
constexpr int64_t kBodyBytesMax = int64_t{32} << 20;
// Of a stream, all of it.
constexpr int64_t kStreamBytesMax = int64_t{1} << 30;

}  // namespace retort::relay
