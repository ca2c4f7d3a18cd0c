#include "serve/server.h"

#include "base/clock.h"
#include "serve/door_internal.h"

namespace retort::serve {

struct Server::Impl {
  Door door;
  std::unique_ptr<http::Server> listener;

  http::Reply refuse(int status, const std::string& reason);
  void stop();
};

// What the HTTP layer refuses before a route is known reads like every other error.
http::Reply Server::Impl::refuse(int status, const std::string& reason) {
  const Call call{door, {}, nullptr, new_id("req_"), "none", 0};
  http::Reply reply = reply_head(call, status, "application/json");
  reply.body = openai::print_error(openai::make_error(status, reason));
  return reply;
}

void Server::Impl::stop() {
  door.stopping = true;
  if (listener) listener->stop();
  // In this order nothing reaches for a thread or an engine that is gone: no more requests, no more
  // pieces, then the engine, whose last events nobody reads.
  listener.reset();
  door.formatter.stop();
  door.backend.reset();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
  stop();
}
int Server::port() const {
  return impl_->listener ? impl_->listener->port() : 0;
}
void Server::stop() {
  impl_->stop();
}

Result<std::unique_ptr<Server>> Server::start(const Options& options,
                                              std::unique_ptr<Backend> backend) {
  RETORT_TRY_VOID(check(options));
  auto impl = std::make_unique<Impl>();
  Impl& parts = *impl;
  parts.door.options = options;
  parts.door.created = base::system_clock().wall_ms() / 1000;
  parts.door.backend = std::move(backend);
  http::ServerOptions listen;
  listen.host = options.host;
  listen.port = options.port;
  listen.max_connections = options.max_connections;
  listen.error_reply = [&parts](int status, const std::string& reason) {
    return parts.refuse(status, reason);
  };
  RETORT_TRY(parts.listener,
             http::Server::start(listen, [&parts](http::ServerRequest request,
                                                  std::shared_ptr<http::Responder> responder) {
               route(parts.door, std::move(request), std::move(responder));
             }));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace retort::serve
