#include "relay/fault.h"

#include <algorithm>
#include <array>

namespace retort::relay {
namespace {

using openai::make_error;

// Those that tell a client what to change, or when to come again.
constexpr std::array kClients = {400, 404, 408, 409, 413, 415, 422, 429};

openai::ApiError unavailable(int status) {
  return make_error(status, "The server behind this door cannot be used now; ask again later.", "",
                    "upstream_unavailable");
}

// The bill, in the words of several APIs.
bool is_of_money(const openai::ApiError& error) {
  for (const char* word : {"insufficient_quota", "billing", "credit"}) {
    if (error.code.find(word) != std::string::npos || error.type.find(word) != std::string::npos) {
      return true;
    }
  }
  return false;
}

http::Headers retry_headers(const http::Response& response) {
  http::Headers out;
  for (const char* name : {"Retry-After", "retry-after-ms"}) {
    const auto* value = response.find(name);
    if (value != nullptr && value->size() <= 64) out.emplace_back(name, *value);
  }
  return out;
}

}  // namespace

Fault fault_of(const http::Response& response, std::string_view body) {
  auto error = openai::parse_error(response.status, body);
  const bool is_clients =
      std::find(kClients.begin(), kClients.end(), response.status) != kClients.end();
  if (is_clients && !is_of_money(error)) return {std::move(error), retry_headers(response)};
  // Its own failures keep their status; their words may tell of machines that are nobody's concern.
  if (response.status >= 500 && response.status <= 504) {
    return {unavailable(response.status), retry_headers(response)};
  }
  return {unavailable(502), {}, /*own=*/true};
}

Fault fault_of(const http::Outcome& outcome) {
  switch (outcome.failure) {
    case http::Failure::timed_out:
      return {make_error(504, "The server behind this door gave no whole answer in time.", "",
                         "upstream_timeout")};
    case http::Failure::too_large:
    case http::Failure::broken:
    case http::Failure::none:
      return {broken_answer()};
    case http::Failure::cancelled:
      return {make_error(503, "the server is stopping; ask again later", "", "server_stopping")};
    case http::Failure::connect:
      return {make_error(502, "The server behind this door was not reached; ask again later.", "",
                         "upstream_unreachable"),
              {},
              /*own=*/true};
    case http::Failure::tls:
    case http::Failure::invalid:
      break;
  }
  return {unavailable(502), {}, /*own=*/true};
}

openai::ApiError broken_answer() {
  return make_error(502, "The server behind this door broke off its answer or sent none.", "",
                    "upstream_broken");
}

}  // namespace retort::relay
