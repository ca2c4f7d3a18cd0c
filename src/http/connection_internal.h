// One client of the server: its requests one after another, each with its answer. Everything but
// the outbox runs on the connection's strand.
#pragma once
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "http/head_internal.h"
#include "http/outbox_internal.h"
#include "http/server.h"

namespace retort::http {

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using ErrorOf = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

inline std::chrono::milliseconds ms(int64_t count) {
  return std::chrono::milliseconds(count);
}

class Connection;

// What all connections share.
struct Core {
  ServerOptions options;
  Handler handler;
  bool loopback = false;
  asio::io_context io;
  std::atomic<bool> stopping{false};

  // State below is protected by mutex.
  std::mutex mutex;
  std::condition_variable changed;
  std::unordered_set<Connection*> connections;

  Reply error_reply(int status, const std::string& reason) const {
    if (options.error_reply) return options.error_reply(status, reason);
    return {status, {{"Content-Type", "text/plain"}}, reason + "\n"};
  }
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Core& core, tcp::socket socket)
      : core_(core),
        socket_(std::move(socket)),
        deadline_(socket_.get_executor()),
        news_(socket_.get_executor()) {
    boost::system::error_code none;
    const auto peer = socket_.remote_endpoint(none);
    if (!none) address_ = peer.address().to_string();
    const std::lock_guard lock(core_.mutex);
    core_.connections.insert(this);
  }
  ~Connection() {
    const std::lock_guard lock(core_.mutex);
    core_.connections.erase(this);
    core_.changed.notify_all();
  }

  awaitable<void> run();
  // From any thread: ends at once, or only when no request is under way.
  void stop(bool at_once);

 private:
  enum class Got { yes, closed, refused };

  awaitable<bool> serve_one();
  awaitable<Got> read_head(Head& head);
  awaitable<Got> read_body(const Head& head, std::string& body);
  awaitable<Got> read_chunks(std::string& body);
  awaitable<bool> fill();
  awaitable<bool> send(std::string bytes);
  awaitable<void> refuse();
  awaitable<bool> answer(Head head, std::string body);
  awaitable<void> watch(std::shared_ptr<Outbox> outbox);
  awaitable<void> drain(std::shared_ptr<Outbox> outbox, bool& reusable);
  Refusal judge_origin(const Head& head) const;
  void call_handler(ServerRequest request, const std::shared_ptr<Outbox>& outbox);
  void set_deadline(int64_t timeout_ms);
  void clear_deadline();
  void wake();

  Core& core_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  asio::steady_timer news_;  // never expires; cancelled when the outbox has something
  std::string address_;  // of the other end
  std::string buffer_;
  Refusal refusal_;
  uint64_t deadline_number_ = 0;
  bool idle_ = true;
  bool stopped_ = false;
  bool late_ = false;
};

}  // namespace retort::http
