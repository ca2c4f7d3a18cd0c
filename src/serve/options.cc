#include "serve/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/engine.h"
#include "http/server.h"

namespace retort::serve {
namespace {

bool is_printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<void> check(const Options& options, bool with_accounts) {
  if (options.port < 0 || options.port > 65535) {
    return base::usage_error("a port is a number from 0 to 65535", "port");
  }
  // A key that no Authorization header can carry would lock everybody out.
  if (!is_printable(options.api_key)) {
    return base::usage_error("the API key may hold printable ASCII without blanks alone",
                             "api-key");
  }
  if (!is_printable(options.terms_url)) {
    return base::usage_error("that is no URL", "terms", "give the address of the terms");
  }
  if (options.api_key.empty() && !with_accounts && !http::is_loopback_host(options.host)) {
    return base::usage_error(
        "without an API key the server listens on loopback alone", options.host,
        "set --api-key (or RETORT_API_KEY), give it --accounts, or leave --host out");
  }
  if (options.max_batch < 1 || options.max_waiting < 0) {
    return base::usage_error("a server that works on no request answers none", "max-batch");
  }
  if (options.max_connections < 1) {
    return base::usage_error("a server without connections answers nobody", "max-connections");
  }
  if (options.max_logprobs < 0 || options.max_logprobs > engine::kTopLogprobsMax) {
    return base::usage_error(
        fmt::format("a token has 0 to {} alternatives", engine::kTopLogprobsMax), "max-logprobs");
  }
  return {};
}

std::string warning(const Options& options) {
  // Nobody is kept from it: there are networks of one's own.
  if (http::is_loopback_host(options.host) || !options.proxies.empty()) return "";
  return fmt::format(
      "{} is reached without TLS: whoever is on the way reads keys, prompts and answers. Put a "
      "proxy "
      "in front and name it with --proxy (docs/guides/providing.md).\n",
      options.host);
}

}  // namespace retort::serve
