#include <array>
#include <string>

#include "base/random.h"
#include "crypto/hash.h"
#include "serve/door_internal.h"

namespace retort::serve {

std::string new_id(const char* prefix) {
  constexpr size_t kIdBytes = 12;
  // Asked for a hundred ids at a time.
  thread_local std::array<char, 100 * kIdBytes> bytes;
  thread_local size_t used = bytes.size();
  if (used == bytes.size()) {
    base::secure_random(bytes.data(), bytes.size());
    used = 0;
  }
  used += kIdBytes;
  return prefix + crypto::to_hex(std::string_view(bytes.data() + used - kIdBytes, kIdBytes));
}

namespace {

// The terms of the account's licence, where the provider's policy names them; else the door's own.
void add_licence(const Call& call, http::Headers& headers) {
  const Options& options = call.door.options;
  http::Headers own;
  if (call.door.provider && call.visitor) own = call.door.provider->licence(*call.visitor);
  const bool has_terms = http::find_header(own, "Link") != nullptr;
  for (auto& header : own) headers.push_back(std::move(header));
  if (has_terms) return;
  if (!options.terms_url.empty()) {
    headers.emplace_back("Link", "<" + options.terms_url + ">; rel=\"license\"");
  }
  if (!options.content_usage.empty()) {
    headers.emplace_back("Content-Usage", options.content_usage);
  }
}

}  // namespace

http::Reply uncounted_head(const Call& call, int status, const std::string& content_type) {
  http::Reply reply;
  reply.status = status;
  reply.headers.reserve(6 + call.headers.size());
  reply.headers.emplace_back("Content-Type", content_type);
  reply.headers.emplace_back("x-request-id", call.id);
  add_licence(call, reply.headers);
  for (const auto& header : call.headers) reply.headers.push_back(header);
  return reply;
}

http::Reply reply_head(const Call& call, int status, const std::string& content_type) {
  call.door.metrics.add_request(call.route, status);
  call.door.traffic.add_reply(status);
  return uncounted_head(call, status, content_type);
}

void tell(const Call& call, const std::string& outcome) {
  if (call.told || !call.door.provider) return;
  call.door.provider->tell(call.visitor.get(), {call.id, call.route, outcome});
}

std::string outcome_of(const openai::ApiError& error) {
  return error.code.empty() ? "status_" + std::to_string(error.status) : error.code;
}

void reply_json(const Call& call, std::string body) {
  tell(call, "answered");
  http::Reply reply = reply_head(call, 200, "application/json");
  reply.body = std::move(body);
  call.responder->reply(std::move(reply));
}

namespace {

void count_refusal(const Call& call, const openai::ApiError& error) {
  call.door.traffic.add_refusal(outcome_of(error));
}

}  // namespace

void reply_error(const Call& call, const openai::ApiError& error) {
  tell(call, outcome_of(error));
  count_refusal(call, error);
  http::Reply reply = reply_head(call, error.status, "application/json");
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  const bool passes = error.status == 429 || error.status == 503;
  if (passes && http::find_header(reply.headers, "Retry-After") == nullptr) {
    reply.headers.emplace_back("Retry-After", "1");
  }
  reply.body = openai::print_error(error);
  call.responder->reply(std::move(reply));
}

void reply_refused(const Call& call, const provider::Refused& refused) {
  count_refusal(call, refused.error);
  http::Reply reply = reply_head(call, refused.error.status, "application/json");
  if (refused.error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  for (const auto& header : refused.headers) reply.headers.push_back(header);
  reply.body = openai::print_error(refused.error);
  call.responder->reply(std::move(reply));
}

}  // namespace retort::serve
