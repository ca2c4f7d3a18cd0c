#include "http/server.h"

#include <fmt/core.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/log.h"
#include "base/thread_name.h"
#include "http/file_limit_internal.h"
#include "http/head_internal.h"
#include "http/outbox_internal.h"

namespace retort::http {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using asio::experimental::awaitable_operators::operator||;
using ErrorOf = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// A client may send its next requests early; more than this waits in the kernel.
constexpr size_t kReadAheadBytes = 64 << 10;
// What the kernel keeps for a reader that does not read; left alone it would be some megabytes
// each.
constexpr int kSendBufferBytes = 256 << 10;

std::chrono::milliseconds ms(int64_t count) {
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

// One client. Everything but the outbox runs on the connection's strand.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Core& core, tcp::socket socket)
      : core_(core),
        socket_(std::move(socket)),
        deadline_(socket_.get_executor()),
        news_(socket_.get_executor()) {
    ErrorOf none;
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
  std::string address_;
  std::string buffer_;
  Refusal refusal_;
  uint64_t deadline_number_ = 0;
  bool idle_ = true;
  bool stopped_ = false;
  bool late_ = false;
};

// When time is up what the socket does is cancelled, and late_ says why.
void Connection::set_deadline(int64_t timeout_ms) {
  late_ = false;
  deadline_.expires_after(ms(timeout_ms));
  deadline_.async_wait([weak = weak_from_this(), number = ++deadline_number_](ErrorOf error) {
    const auto self = weak.lock();
    if (error || !self || self->deadline_number_ != number) return;
    self->late_ = true;
    ErrorOf ignored;
    self->socket_.cancel(ignored);
  });
}

void Connection::clear_deadline() {
  ++deadline_number_;  // a wait that is over already must not strike what comes next
  deadline_.cancel();
}

awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  try {
    while (co_await serve_one()) {
    }
  } catch (const std::exception& error) {
    base::log_error("a connection ended by an exception: {}", error.what());
  }
  clear_deadline();
  ErrorOf ignored;
  socket_.close(ignored);
}

void Connection::stop(bool at_once) {
  asio::post(socket_.get_executor(), [weak = weak_from_this(), at_once] {
    const auto self = weak.lock();
    if (!self || !(at_once || self->idle_)) return;
    // Not closed: another thread may be sending, and the number may be another socket's by then.
    self->stopped_ = true;
    ErrorOf ignored;
    self->socket_.shutdown(tcp::socket::shutdown_both, ignored);
    self->socket_.cancel(ignored);
    self->news_.cancel();
  });
}

awaitable<bool> Connection::serve_one() {
  Head head;
  std::string body;
  Got got = co_await read_head(head);
  if (got == Got::yes) {
    refusal_ = judge_origin(head);
    if (refusal_.status != 0) got = Got::refused;
  }
  if (got == Got::yes) got = co_await read_body(head, body);
  if (got == Got::refused) co_await refuse();
  if (got != Got::yes) co_return false;
  co_return co_await answer(std::move(head), std::move(body));
}

awaitable<bool> Connection::fill() {
  const size_t before = buffer_.size();
  buffer_.resize(before + (16 << 10));
  const auto [error, count] = co_await socket_.async_read_some(
      asio::buffer(buffer_.data() + before, buffer_.size() - before), kAwait);
  buffer_.resize(before + (error ? 0 : count));
  co_return !error;
}

awaitable<Connection::Got> Connection::read_head(Head& head) {
  idle_ = buffer_.empty();
  set_deadline(idle_ ? core_.options.idle_timeout_ms : core_.options.head_timeout_ms);
  while (true) {
    const size_t end = find_head_end(buffer_, refusal_);
    if (refusal_.status != 0) co_return Got::refused;
    if (end > 0) {
      refusal_ = parse_head(std::string_view(buffer_).substr(0, end), head);
      buffer_.erase(0, end);
      co_return refusal_.status != 0 ? Got::refused : Got::yes;
    }
    if (core_.stopping && idle_) co_return Got::closed;
    const bool more = co_await fill();
    if (!more && late_ && !idle_) {
      refusal_ = {408, "the request's head took too long"};
      co_return Got::refused;
    }
    if (!more) co_return Got::closed;
    if (std::exchange(idle_, false)) set_deadline(core_.options.head_timeout_ms);
  }
}

// A page in somebody's browser must not ask a server that trusts its own machine.
Refusal Connection::judge_origin(const Head& head) const {
  const auto& allowed = core_.options.allowed_hosts;
  if (core_.loopback && !head.host.empty() && !is_allowed_host(head.host, allowed)) {
    return {403, "this server does not answer to that Host"};
  }
  const std::string* origin = find_header(head.headers, "Origin");
  if (origin == nullptr) return {};
  const std::string host = origin_host(*origin);
  const bool known =
      core_.loopback ? is_allowed_host(host, allowed) : !host.empty() && host == head.host;
  return known ? Refusal{} : Refusal{403, "pages of that Origin may not ask this server"};
}

awaitable<Connection::Got> Connection::read_body(const Head& head, std::string& body) {
  if (!head.chunked && head.content_length == 0) co_return Got::yes;
  if (head.content_length > core_.options.max_body_bytes) {
    refusal_ = {413, "the body is too large"};
    co_return Got::refused;
  }
  set_deadline(core_.options.body_timeout_ms);
  if (head.expects_continue && buffer_.empty()) {
    const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return Got::closed;
  }
  if (head.chunked) co_return co_await read_chunks(body);
  const auto length = static_cast<size_t>(head.content_length);
  while (buffer_.size() < length) {
    const bool more = co_await fill();
    if (!more && late_) {
      refusal_ = {408, "the request's body took too long"};
      co_return Got::refused;
    }
    if (!more) co_return Got::closed;
  }
  body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  co_return Got::yes;
}

awaitable<Connection::Got> Connection::read_chunks(std::string& body) {
  ChunkedDecoder decoder(core_.options.max_body_bytes);
  while (true) {
    refusal_ = decoder.feed(buffer_);
    if (refusal_.status != 0) co_return Got::refused;
    if (decoder.done()) break;
    const bool more = co_await fill();
    if (!more && late_) {
      refusal_ = {408, "the request's body took too long"};
      co_return Got::refused;
    }
    if (!more) co_return Got::closed;
  }
  body = decoder.take();
  co_return Got::yes;
}

awaitable<bool> Connection::send(std::string bytes) {
  const auto [error, count] = co_await asio::async_write(socket_, asio::buffer(bytes), kAwait);
  co_return !error && count == bytes.size();
}

// Says why, then reads on for a moment: closing with unread bytes would reset the connection and
// the client would never see the answer.
awaitable<void> Connection::refuse() {
  Outbox outbox({.keep_alive = false}, {[] {}});
  outbox.reply(core_.error_reply(refusal_.status, refusal_.reason));
  set_deadline(1000);
  const bool sent = co_await send(outbox.take().bytes);
  ErrorOf ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  size_t dropped = 0;
  bool more = sent;
  while (more && dropped < (1 << 20)) {
    dropped += buffer_.size();
    buffer_.clear();
    more = co_await fill();
  }
}

void Connection::wake() {
  asio::post(socket_.get_executor(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->news_.cancel();
  });
}

void Connection::call_handler(ServerRequest request, const std::shared_ptr<Outbox>& outbox) {
  // The handler's reference: when the last one goes, an unanswered request is answered.
  const Reply broken = core_.error_reply(500, "the server failed to answer this request");
  const std::shared_ptr<Responder> responder(
      outbox.get(), [outbox, broken](Responder*) { outbox->abandon(broken); });
  try {
    core_.handler(std::move(request), responder);
  } catch (const std::exception& error) {
    base::log_error("a request failed: {}", error.what());
    outbox->abandon(broken);
  }
}

awaitable<bool> Connection::answer(Head head, std::string body) {
  clear_deadline();
  AnswerForm form;
  form.head_only = head.method == "HEAD";
  form.http10 = head.http10;
  form.keep_alive = head.keep_alive && !core_.stopping;
  form.max_pending_bytes = core_.options.max_pending_bytes;
  const Outbox::Way way = {
      [this] { wake(); },
      [socket = socket_.native_handle()](std::string_view bytes) {
        const ssize_t sent =
            ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return static_cast<size_t>(std::max<ssize_t>(sent, 0));  // a failure is drain()'s to meet
      }};
  const auto outbox = std::make_shared<Outbox>(form, way);
  // Whatever ends this coroutine, no other thread wakes the connection afterwards.
  const std::shared_ptr<void> closer(nullptr, [outbox](void*) { outbox->close(); });
  ServerRequest request{std::move(head.method),  std::move(head.path), std::move(head.query),
                        std::move(head.headers), std::move(body),      address_};
  call_handler(std::move(request), outbox);
  bool reusable = false;
  co_await (watch(outbox) || drain(outbox, reusable));
  co_return reusable;
}

// Ends when the client leaves; what it sends early is kept. A client that only ends its own side
// counts as gone too, since the two look alike, but an answer that is ready still leaves.
awaitable<void> Connection::watch(std::shared_ptr<Outbox> outbox) {
  while (buffer_.size() < kReadAheadBytes) {
    const bool more = co_await fill();
    if (!more) break;
  }
  if (buffer_.size() < kReadAheadBytes && !outbox->close_unless_over()) co_return;
  asio::steady_timer never(socket_.get_executor(), asio::steady_timer::time_point::max());
  co_await never.async_wait(kAwait);
}

awaitable<void> Connection::drain(std::shared_ptr<Outbox> outbox, bool& reusable) {
  while (true) {
    Outbox::Batch batch = outbox->take();
    if (!batch.bytes.empty()) {
      set_deadline(core_.options.send_timeout_ms);
      const bool sent = co_await send(std::move(batch.bytes));
      clear_deadline();
      if (!sent) co_return;
      continue;
    }
    if (batch.over) {
      reusable = !batch.close;
      co_return;
    }
    news_.expires_at(asio::steady_timer::time_point::max());
    co_await news_.async_wait(kAwait);
    if (stopped_) co_return;
  }
}

awaitable<void> accept_all(Core& core, tcp::acceptor& acceptor) {
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(asio::make_strand(core.io), kAwait);
    if (!acceptor.is_open()) co_return;
    if (error) {  // out of descriptors, most likely: wait until some are given back
      asio::steady_timer pause(acceptor.get_executor(), ms(50));
      co_await pause.async_wait(kAwait);
      continue;
    }
    ErrorOf ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::send_buffer_size(kSendBufferBytes), ignored);
    size_t count = 0;
    {
      const std::lock_guard lock(core.mutex);
      count = core.connections.size();
    }
    if (count >= static_cast<size_t>(core.options.max_connections)) {
      Outbox outbox({.keep_alive = false}, {[] {}});
      outbox.reply(core.error_reply(503, "too many connections"));
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(outbox.take().bytes), ignored);
      continue;
    }
    const auto executor = socket.get_executor();
    const auto connection = std::make_shared<Connection>(core, std::move(socket));
    asio::co_spawn(
        executor, [connection] { return connection->run(); }, asio::detached);
  }
}

void run_io(asio::io_context& io) {
  base::name_thread("retort-http");
  while (true) {
    try {
      io.run();
      return;
    } catch (const std::exception& error) {
      base::log_error("an I/O thread of the server went on after: {}", error.what());
    }
  }
}

Error listen_error(const ServerOptions& options, const ErrorOf& error) {
  return {ErrorCode::usage, "cannot listen: " + error.message(),
          fmt::format("{}:{}", options.host, options.port), "choose another address or port"};
}

}  // namespace

struct Server::Impl {
  Core core;
  std::unique_ptr<tcp::acceptor> acceptor;
  std::vector<std::thread> threads;
  std::unique_ptr<asio::executor_work_guard<asio::io_context::executor_type>> work;
  int port = 0;

  Result<void> listen();
  void stop();
};

Result<void> Server::Impl::listen() {
  const ServerOptions& options = core.options;
  ErrorOf error;
  tcp::resolver resolver(core.io);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error) return listen_error(options, error);
  const tcp::endpoint endpoint = found.begin()->endpoint();
  core.loopback = endpoint.address().is_loopback();
  acceptor = std::make_unique<tcp::acceptor>(asio::make_strand(core.io));
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor->bind(endpoint, error);
  if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
  if (error) return listen_error(options, error);
  port = acceptor->local_endpoint().port();
  return {};
}

void Server::Impl::stop() {
  if (threads.empty()) return;
  core.stopping = true;
  asio::post(acceptor->get_executor(), [this] {
    ErrorOf ignored;
    acceptor->close(ignored);
  });
  std::unique_lock lock(core.mutex);
  for (const bool at_once : {false, true}) {
    for (Connection* connection : core.connections) connection->stop(at_once);
    core.changed.wait_for(lock, ms(core.options.drain_timeout_ms),
                          [this] { return core.connections.empty(); });
  }
  lock.unlock();
  work.reset();
  core.io.stop();
  for (std::thread& thread : threads) thread.join();
  threads.clear();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
  stop();
}
int Server::port() const {
  return impl_->port;
}
void Server::stop() {
  impl_->stop();
}

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, Handler handler) {
  auto impl = std::make_unique<Impl>();
  impl->core.options = options;
  impl->core.options.max_connections = connections_with_files(options.max_connections);
  impl->core.handler = std::move(handler);
  RETORT_TRY_VOID(impl->listen());
  Impl& parts = *impl;
  parts.work = std::make_unique<asio::executor_work_guard<asio::io_context::executor_type>>(
      parts.core.io.get_executor());
  asio::co_spawn(
      parts.acceptor->get_executor(), [&parts] { return accept_all(parts.core, *parts.acceptor); },
      asio::detached);
  for (int i = 0; i < std::max(1, options.threads); ++i) {
    parts.threads.emplace_back([&parts] { run_io(parts.core.io); });
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace retort::http
