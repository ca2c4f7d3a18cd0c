// HTTP/1.1 server for an API behind a type-erased handler. Requests that two programs could read in
// two ways are refused before routing (400 and close): repeated or doubtful lengths, folded
// headers, bare line ends, spaces before colons, paths with dots or empty parts. Threads: the
// handler runs on an I/O thread and must not block; a Responder may be used from any thread, also
// after the client or the server has gone.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/client.h"

namespace retort::http {

struct ServerRequest {
  std::string method;
  // The path cut at its slashes, each part percent-decoded once: routing and authentication read
  // these and nothing else. "*" of OPTIONS is one part.
  std::vector<std::string> path;
  std::string query;  // raw, without the question mark
  Headers headers;
  std::string body;
  std::string address = {};  // of who asked, without the port (ServerOptions::proxies)
  // Requests of one turn had all arrived before the first of them was handled, so that one look at
  // something outside counts for all of them. 0: it stands alone.
  uint64_t turn = 0;
  const std::string* find(std::string_view name) const { return find_header(headers, name); }
};

// Content-Length, Transfer-Encoding, Connection and Date are made by the server.
struct Reply {
  int status = 200;
  Headers headers = {};
  std::string body = {};
};

// The answer to one request. When the last reference goes without an answer, the client gets a 500
// or, in the midst of a stream, a cut connection.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void reply(Reply reply) = 0;

  // A stream: begin, write any number of times, finish. The body of `head` is not looked at.
  virtual void begin(Reply head) = 0;
  // False when nobody takes the bytes any more (the client left, or reads too slowly): stop.
  virtual bool write(std::string_view piece) = 0;
  virtual void finish() = 0;
  // Ends a stream so that the client can tell that it is not whole.
  virtual void cut() = 0;

  // Called once if the client leaves before the answer is finished; at once if it has left already.
  virtual void on_gone(std::function<void()> call) = 0;
};

// Answers that an I/O thread makes leave together, at the end of its turn. `call` is called before
// that, once for each owner, on that thread: to write in one go what must be written before any of
// them leaves. Must not throw. False on another thread: nothing is called, answers leave at once.
bool before_answers_leave(const void* owner, std::function<void()> call);

using Handler = std::function<void(ServerRequest, std::shared_ptr<Responder>)>;

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: the system picks one, see Server::port()
  int threads = 2;
  int64_t max_connections = 1024;  // further ones get 503; raises ulimit -n to fit
  // From one address, or of IPv6 from one /64; 0: half of all. Proxies are not counted, nor is this
  // machine unless a number is given.
  int64_t max_connections_of_one = 0;
  int64_t max_body_bytes = int64_t{4} << 20;     // 413 beyond
  int64_t max_pending_bytes = int64_t{1} << 20;  // of a stream whose reader is slow, then cut off
  int64_t head_timeout_ms = 10'000;  // from a request's first byte to the end of its head
  int64_t body_timeout_ms = 30'000;
  int64_t idle_timeout_ms = 75'000;  // between requests
  int64_t send_timeout_ms = 30'000;  // for what is pending to leave
  int64_t drain_timeout_ms = 3'000;  // at stop(), for answers under way
  // Names that Host may carry beside the loopback ones when the server is bound to loopback: a page
  // whose name was re-bound to 127.0.0.1 must not get in. Origin is held to the same list.
  std::vector<std::string> allowed_hosts = {};
  // Addresses and blocks ("10.0.0.0/8") of proxies in front: of what comes from one of them the
  // address is that of X-Forwarded-For, read from its end. usage error for what is no address.
  std::vector<std::string> proxies = {};
  // The body of the server's own refusals; plain text by default.
  std::function<Reply(int status, const std::string& reason)> error_reply = {};
};

// 127.0.0.0/8, ::1 and localhost.
bool is_loopback_host(std::string_view host);

class Server {
 public:
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, Handler handler);
  ~Server();  // stops
  int port() const;
  // Takes no more requests, lets answers under way end for a while, then cuts. Blocks; not from a
  // handler.
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::http
