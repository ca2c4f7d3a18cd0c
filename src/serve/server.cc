#include "serve/server.h"

#include <set>

#include "base/clock.h"
#include "serve/door_internal.h"

namespace retort::serve {
namespace {

Result<void> check_names(const std::vector<Model>& models) {
  if (models.empty()) return base::usage_error("there is no model to serve");
  std::set<std::string> names;
  for (const Model& model : models) {
    if (model.id.empty()) return base::usage_error("a model has no name", "model-id");
    if (!names.insert(model.id).second) {
      return base::usage_error("two models have one name: " + model.id, "model-id",
                               "give each a name of its own");
    }
  }
  return {};
}

}  // namespace

struct Server::Impl {
  Impl(const Options& options, std::vector<Model> models,
       std::unique_ptr<provider::Provider> provider)
      : door(options, base::system_clock().wall_ms() / 1000, std::move(models),
             std::move(provider)) {}

  Door door;
  std::unique_ptr<http::Server> listener;

  http::Reply refuse(int status, const std::string& reason);
  void stop();
};

// What the HTTP layer refuses before a route is known reads like every other error. For the 500 it
// asks before each request, to have it where nobody answers.
http::Reply Server::Impl::refuse(int status, const std::string& reason) {
  const Call call{door, {}, nullptr, new_id("req_"), "none", 0};
  http::Reply reply = status == 500 ? uncounted_head(call, status, "application/json")
                                    : reply_head(call, status, "application/json");
  reply.body = openai::print_error(openai::make_error(status, reason));
  return reply;
}

void Server::Impl::stop() {
  door.stopping = true;
  if (listener) listener->stop();
  // In this order nothing reaches for a thread or an engine that is gone: no more requests, no more
  // pieces, then the engines, whose last events nobody reads.
  listener.reset();
  door.formatter.stop();
  door.models.close();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
  stop();
}
int Server::port() const {
  return impl_->listener ? impl_->listener->port() : 0;
}
json::Value Server::traffic() const {
  json::Value out = impl_->door.traffic.print();
  json::Value models = json::Value::array();
  for (const auto& model : impl_->door.models.all()) {
    json::Value one = json::Value::object(
        {{"id", model->id}, {"in_flight", model->in_flight.load()}, {"upstream", !model->backend}});
    if (model->backend && !model->shares_engine) {
      const auto stats = model->backend->stats();
      one.set("running", stats.running).set("waiting", stats.waiting);
      one.set("memory_bytes", stats.memory_bytes);
    }
    models.push(std::move(one));
  }
  return out.set("models", std::move(models));
}
void Server::stop() {
  impl_->stop();
}

Result<std::unique_ptr<Server>> Server::start(const Options& options, std::vector<Model> models) {
  return start(options, std::move(models), nullptr);
}

Result<std::unique_ptr<Server>> Server::start(const Options& options, std::vector<Model> models,
                                              std::unique_ptr<provider::Provider> provider) {
  RETORT_TRY_VOID(check(options, provider != nullptr));
  RETORT_TRY_VOID(check_names(models));
  auto impl = std::make_unique<Impl>(options, std::move(models), std::move(provider));
  Impl& parts = *impl;
  http::ServerOptions listen;
  listen.host = options.host;
  listen.port = options.port;
  listen.max_connections = options.max_connections;
  listen.max_connections_of_one = options.max_connections_of_one;
  listen.proxies = options.proxies;
  listen.allowed_hosts = options.names;
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
