#include "http/server.h"

#include <fmt/core.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/thread_name.h"
#include "http/connection_internal.h"
#include "http/file_limit_internal.h"

namespace retort::http {
namespace {

// What the kernel keeps for a reader that does not read; left alone it would be some megabytes
// each.
constexpr int kSendBufferBytes = 256 << 10;

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
