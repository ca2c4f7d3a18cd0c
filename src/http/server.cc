#include "http/server.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/thread_name.h"
#include "http/connection_internal.h"
#include "http/file_limit_internal.h"
#include "http/forwarded_internal.h"

namespace retort::http {
namespace {

// What the kernel keeps for a reader that does not read; left alone it would be some megabytes
// each.
constexpr int kSendBufferBytes = 256 << 10;
constexpr int64_t kPauseMs = 50;  // where no file is left for a connection

void set_option(int socket, int level, int name, int value) {
  ::setsockopt(socket, level, name, &value, sizeof value);
}

// Without the port, and IPv4 as such, though it came over a socket of both; "" for what is no
// address of the internet.
std::string address_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  int family = address.ss_family;
  if (address.ss_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    bytes = &v6;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
      family = AF_INET;
      bytes = v6.s6_addr + 12;
    }
  }
  if (bytes == nullptr) return "";
  const char* made = ::inet_ntop(family, bytes, text.data(), text.size());
  return made == nullptr ? "" : made;
}

int port_of(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

bool is_loopback(const sockaddr_storage& address) {
  return is_loopback_host(address_of(address));
}

Error listen_error(const ServerOptions& options, const std::string& why) {
  return {ErrorCode::usage, "cannot listen: " + why,
          fmt::format("{}:{}", options.host, options.port), "choose another address or port"};
}

struct Listening {
  int socket = -1;
  sockaddr_storage address{};
};

int listening_socket(const addrinfo& where) {
  const int made =
      ::socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (made < 0) return -1;
  set_option(made, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(made, where.ai_addr, where.ai_addrlen) == 0 && ::listen(made, SOMAXCONN) == 0) {
    return made;
  }
  const int why = errno;
  ::close(made);
  errno = why;
  return -1;
}

Result<Listening> listen(const ServerOptions& options) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const int answer =
      ::getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(), &hints, &found);
  if (answer != 0) return listen_error(options, ::gai_strerror(answer));
  Listening out;
  out.socket = listening_socket(*found);
  const std::string why = std::strerror(errno);
  ::freeaddrinfo(found);
  if (out.socket < 0) return listen_error(options, why);
  socklen_t size = sizeof out.address;
  ::getsockname(out.socket, reinterpret_cast<sockaddr*>(&out.address), &size);
  return out;
}

// Takes connections in and hands them to the loops in turn.
class Listener : public Watched {
 public:
  Listener(Core& core, std::vector<std::shared_ptr<Loop>>& loops, int socket)
      : core_(core), loops_(loops), socket_(socket) {}

  void on_ready(uint32_t) override {
    constexpr int kAtOnce = 64;  // before the others have their turn
    for (int i = 0; i < kAtOnce && accept(); ++i) {
    }
  }
  void on_deadline() override { loops_.front()->want(*this, EPOLLIN); }
  void on_broken() override {}

 private:
  bool accept() {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int made = ::accept4(socket_, reinterpret_cast<sockaddr*>(&address), &size,
                               SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (made >= 0) {
      take(made, address_of(address));
      return true;
    }
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno != EAGAIN) {  // out of descriptors, most likely: wait until some are given back
      loops_.front()->want(*this, 0);
      loops_.front()->set_deadline(*this, kPauseMs);
    }
    return false;
  }

  void take(int socket, std::string address) {
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(socket, SOL_SOCKET, SO_SNDBUF, kSendBufferBytes);
    if (is_full(address)) return turn_away(socket);
    Loop& loop = *loops_[next_++ % loops_.size()];
    const auto connection = std::make_shared<Connection>(core_, loop, socket, std::move(address));
    if (&loop == Loop::current()) return connection->begin();
    if (!loop.post([connection] { connection->begin(); })) ::close(socket);
  }

  bool is_full(const std::string& address) {
    const int64_t most = most_of(address);
    const std::lock_guard lock(core_.mutex);
    if (core_.connections >= core_.options.max_connections) return true;
    const auto of_customer = core_.of_customer.find(base::customer_of(address));
    return of_customer != core_.of_customer.end() && of_customer->second >= most;
  }

  // So that one machine cannot keep all others out.
  int64_t most_of(const std::string& address) const {
    const auto& options = core_.options;
    if (is_of(core_.proxies, address)) return options.max_connections;
    if (options.max_connections_of_one > 0) return options.max_connections_of_one;
    return is_loopback_host(address) ? options.max_connections
                                     : std::max<int64_t>(1, options.max_connections / 2);
  }

  void turn_away(int socket) {
    Outbox outbox({.keep_alive = false}, {[] {}});
    outbox.reply(core_.error_reply(503, "too many connections"));
    const std::string bytes = outbox.take().bytes;
    [[maybe_unused]] const ssize_t sent =
        ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::close(socket);
  }

  Core& core_;
  std::vector<std::shared_ptr<Loop>>& loops_;
  const int socket_;
  size_t next_ = 0;
};

// More threads than processors that this process may use would only wait for each other.
int threads_of(const ServerOptions& options) {
  cpu_set_t may_use{};
  const bool known = ::sched_getaffinity(0, sizeof may_use, &may_use) == 0;
  return std::clamp(options.threads, 1, known ? std::max(1, CPU_COUNT(&may_use)) : options.threads);
}

}  // namespace

struct Server::Impl {
  Core core;
  std::vector<std::shared_ptr<Loop>> loops;
  std::shared_ptr<Watched> listener;
  std::vector<std::thread> threads;
  int port = 0;

  Result<void> begin();
  void stop();
  void stop_connections(bool at_once);
};

Result<void> Server::Impl::begin() {
  const int count = threads_of(core.options);
  for (int i = 0; i < count; ++i) {
    RETORT_TRY(auto loop, Loop::make(count));
    loops.push_back(std::move(loop));
  }
  RETORT_TRY(const auto listening, listen(core.options));
  core.loopback = is_loopback(listening.address);
  port = port_of(listening.address);
  listener = std::make_shared<Listener>(core, loops, listening.socket);
  if (!loops.front()->add(listener, listening.socket, EPOLLIN)) {
    return listen_error(core.options, std::strerror(errno));
  }
  for (const auto& loop : loops) {
    threads.emplace_back([loop] {
      base::name_thread("retort-http");
      loop->run();
    });
  }
  return {};
}

void Server::Impl::stop_connections(bool at_once) {
  for (const auto& loop : loops) {
    loop->post([loop, at_once] {
      loop->for_each([at_once](Watched& watched) {
        if (auto* connection = dynamic_cast<Connection*>(&watched)) connection->stop(at_once);
      });
    });
  }
}

void Server::Impl::stop() {
  if (threads.empty()) return;
  core.stopping = true;
  loops.front()->post([this] { loops.front()->remove(*listener); });
  for (const bool at_once : {false, true}) {
    stop_connections(at_once);
    std::unique_lock lock(core.mutex);
    core.changed.wait_for(lock, std::chrono::milliseconds(core.options.drain_timeout_ms),
                          [this] { return core.connections == 0; });
  }
  for (const auto& loop : loops) loop->stop();
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  listener.reset();
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
  RETORT_TRY_VOID(base::check_addresses(options.proxies, "proxy"));
  for (const auto& text : options.proxies) {
    impl->core.proxies.push_back(*base::parse_address_block(text));
  }
  impl->core.options.max_connections = connections_with_files(options.max_connections);
  impl->core.handler = std::move(handler);
  RETORT_TRY_VOID(impl->begin());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace retort::http
