// HTTP client for many exchanges at once, connections reused. A failure says whether the request
// can have reached the peer, since asking a teacher costs money. No redirects (credentials never
// leave the origin), no compression, no certificate that does not verify; nothing is logged. Every
// function from any thread; callbacks on an I/O thread, must not block, may send() and cancel().
// That thread is the client's own, or a Server's, where that one sends plain http to an address
// (see direct_internal.h); answer_internal.h says what answers are taken there.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/headers.h"

namespace retort::http {

struct Request {
  std::string method = "GET";
  std::string url;       // http:// or https://
  Headers headers = {};  // Host, Content-Length and User-Agent are made when they are not given
  std::string body = {};
  int64_t connect_timeout_ms = 10'000;
  int64_t idle_timeout_ms = 120'000;   // between two pieces of the answer; 0: none
  int64_t total_timeout_ms = 600'000;  // 0: none
  int64_t max_response_bytes = int64_t{64} << 20;
};

struct Response {
  int status = 0;  // 0: no status line arrived
  Headers headers;
  std::string body;            // empty when on_chunk took it
  int64_t received_bytes = 0;  // of the body
  const std::string* find(std::string_view name) const { return find_header(headers, name); }
};

enum class Failure {
  none,       // an answer is there, of whatever status
  invalid,    // the request itself is wrong (URL, header with a line break); nothing was sent
  connect,    // name, route or port: nothing was sent
  tls,        // the certificate or the handshake failed; nothing was sent
  broken,     // sent, and no answer or half of one came back: the peer may have done the work
  timed_out,  // see Outcome::sent
  too_large,  // more than max_response_bytes
  cancelled,
};
const char* name(Failure failure);

struct Outcome {
  Failure failure = Failure::none;
  bool sent = false;  // the request was, or may have been, handed to the peer
  Error error;        // when it failed: a sentence without secrets
  Response response;  // whole, or what had arrived
  bool ok() const { return failure == Failure::none; }
};

struct Handlers {
  std::function<void(Outcome)> on_done;  // exactly once, whatever happens
  // Optional. Status and headers, before the first piece of the body.
  std::function<void(const Response&)> on_head;
  // Optional. Takes the pieces of the body instead of Response::body.
  std::function<void(std::string_view)> on_chunk;
};

struct ClientOptions {
  // At once, shared out among a server's I/O threads; others wait, their time has not begun.
  int64_t max_connections = 64;
  std::string user_agent = "retort";
  std::string ca_file = {};  // certificates to trust instead of the system's; "" for those
};

using ExchangeId = uint64_t;

class Client {
 public:
  explicit Client(ClientOptions options = {});
  // Cancels what is in flight; its on_done are called before this returns, and must not send again.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  ExchangeId send(Request request, Handlers handlers);
  ExchangeId send(Request request, std::function<void(Outcome)> on_done);
  // on_done follows with Failure::cancelled, unless the exchange ended before.
  void cancel(ExchangeId id);
  // Sends and waits; not from a callback.
  Outcome fetch(Request request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::http
