#include "relay/upstream.h"

#include <algorithm>
#include <cstdlib>

namespace retort::relay {
namespace {

Result<std::string> key_of(const std::string& variable) {
  if (variable.empty()) return std::string();
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr || *value == '\0') {
    return base::usage_error("the environment variable with the upstream's key is not set",
                             variable, "export " + variable + "=... and start again");
  }
  const std::string key = value;
  if (std::any_of(key.begin(), key.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    return base::usage_error("the upstream's key holds what no header may hold", variable,
                             "export it without blanks and line ends");
  }
  return key;
}

}  // namespace

Upstream::Upstream(Options options, std::string key)
    : options_(std::move(options)),
      key_(std::move(key)),
      client_(
          {.max_connections = options_.max_connections, .user_agent = "retort", .ca_file = ""}) {}

Result<std::unique_ptr<Upstream>> Upstream::open(const Options& options) {
  Options own = options;
  while (own.base_url.ends_with('/')) own.base_url.pop_back();
  const bool is_web = own.base_url.starts_with("http://") || own.base_url.starts_with("https://");
  if (!is_web || own.base_url.find_first_of("?# ") != std::string::npos) {
    return base::usage_error("“" + own.base_url + "” is no address of an API", "upstream",
                             "write it as https://HOST/v1");
  }
  if (own.base_url.find('@') != std::string::npos) {
    return base::usage_error("an address must not carry a name or password", "upstream",
                             "give the key by an environment variable");
  }
  RETORT_TRY(auto key, key_of(own.key_env));
  return std::unique_ptr<Upstream>(new Upstream(std::move(own), std::move(key)));
}

http::ExchangeId Upstream::ask(Kind kind, Asked asked, http::Handlers handlers) {
  http::Request request;
  request.method = "POST";
  request.url = options_.base_url + (kind == Kind::chat ? "/chat/completions" : "/completions");
  request.headers.reserve(4);  // with the client's User-Agent
  request.headers.emplace_back("Content-Type", "application/json");
  request.headers.emplace_back("Accept", asked.stream ? "text/event-stream" : "application/json");
  if (!key_.empty()) request.headers.emplace_back("Authorization", "Bearer " + key_);
  request.body = std::move(asked.body);
  request.idle_timeout_ms = options_.idle_timeout_ms;
  request.total_timeout_ms = options_.timeout_ms;
  request.max_response_bytes = asked.stream ? kStreamBytesMax : kBodyBytesMax;
  return client_.send(std::move(request), std::move(handlers));
}

void Upstream::cancel(http::ExchangeId id) {
  client_.cancel(id);
}

}  // namespace retort::relay
