#include "admin/server.h"

#include <algorithm>

#include "admin/office_internal.h"
#include "base/log.h"

namespace retort::admin {

struct Server::Impl {
  std::unique_ptr<Office> office;
  std::unique_ptr<http::Server> listener;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
  stop();
}

int Server::port() const {
  return impl_->listener ? impl_->listener->port() : 0;
}

void Server::stop() {
  if (impl_->listener) impl_->listener->stop();
  impl_->listener.reset();
}

Result<bool> Server::has_keys() {
  const std::lock_guard lock(impl_->office->mutex);
  auto& book = *impl_->office->book;
  const int64_t now_ms = impl_->office->clock->wall_ms();
  RETORT_TRY(const auto all, book.list());
  for (const auto& account : all) {
    if (account.state != accounts::State::active) continue;
    RETORT_TRY(const auto keys, book.keys(account.id));
    const bool has = std::any_of(keys.begin(), keys.end(), [now_ms](const accounts::Key& key) {
      return key.kind == accounts::KeyKind::admin && accounts::opens(key, now_ms);
    });
    if (has) return true;
  }
  return false;
}

Result<std::unique_ptr<Server>> Server::start(const Options& options) {
  if (options.port < 0 || options.port > 65535) {
    return base::usage_error("a port is a number from 0 to 65535", "admin-port");
  }
  if (!http::is_loopback_host(options.host)) {
    base::log_warning(
        "the administration listens on {} without TLS: whoever is on the way reads "
        "its keys, unless a proxy with TLS stands in front",
        options.host);
  }
  auto impl = std::make_unique<Impl>();
  RETORT_TRY(impl->office, Office::open(options));
  http::ServerOptions listen;
  listen.host = options.host;
  listen.port = options.port;
  listen.max_connections = 64;
  listen.max_body_bytes = 256 << 10;
  listen.allowed_hosts = options.names;
  listen.error_reply = [](int status, const std::string& reason) {
    return reply_of(openai::make_error(status, reason));
  };
  Office& office = *impl->office;
  RETORT_TRY(impl->listener,
             http::Server::start(listen, [&office](const http::ServerRequest& request,
                                                   const std::shared_ptr<http::Responder>& to) {
               to->reply(answer(office, request));
             }));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace retort::admin
