// Finds the route of a request. Authentication is decided from the same parsed path as routing, and
// before it: without the key nobody learns which routes there are.
#include <malloc.h>

#include <array>
#include <exception>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "serve/door_internal.h"

namespace retort::serve {
namespace {

enum class Access { open, with_key };

struct Route {
  const char* name;  // in the metrics
  const char* method;
  std::array<const char*, 5> path;  // "*": any rest, one part or more; "?": one part
  Access access;
  void (*answer)(Call);
  bool computes = false;  // makes a model work, so that an Idempotency-Key is heeded
};

constexpr std::array kRoutes = {
    Route{"health", "GET", {"health"}, Access::open, answer_health},
    Route{"metrics", "GET", {"metrics"}, Access::with_key, answer_metrics},
    Route{"models", "GET", {"v1", "models"}, Access::with_key, answer_models},
    Route{"model", "GET", {"v1", "models", "*"}, Access::with_key, answer_model},
    Route{"chat",
          "POST",
          {"v1", "chat", "completions"},
          Access::with_key,
          answer_chat,
          /*computes=*/true},
    Route{"completions",
          "POST",
          {"v1", "completions"},
          Access::with_key,
          answer_completion,
          /*computes=*/true},
    Route{"generate", "POST", {"generate"}, Access::with_key, answer_generate, /*computes=*/true},
    Route{"model_info", "GET", {"model_info"}, Access::with_key, answer_model_info},
    Route{"model_info", "GET", {"get_model_info"}, Access::with_key, answer_model_info},
    Route{"tokenize", "POST", {"tokenize"}, Access::with_key, answer_tokenize},
    Route{"cases", "GET", {"v1", "policy", "cases"}, Access::with_key, answer_cases},
    Route{"cases", "GET", {"v1", "policy", "cases", "?"}, Access::with_key, answer_case},
    Route{
        "cases", "POST", {"v1", "policy", "cases", "?", "appeal"}, Access::with_key, answer_appeal},
    Route{"policy", "GET", {".well-known", "retort-policy.json"}, Access::open, answer_policy},
    Route{"detokenize", "POST", {"detokenize"}, Access::with_key, answer_detokenize},
};

bool matches(const Route& route, const std::vector<std::string>& path) {
  size_t parts = 0;
  for (const char* part : route.path) {
    if (part == nullptr) break;
    if (std::string_view(part) == "*") return path.size() > parts;
    if (parts >= path.size()) return false;
    if (std::string_view(part) != "?" && path[parts] != part) return false;
    ++parts;
  }
  return path.size() == parts;
}

const Route* find(const std::vector<std::string>& path) {
  for (const Route& route : kRoutes) {
    if (matches(route, path)) return &route;
  }
  return nullptr;
}

// What was offered as a key; "" when there is none, or more than one.
std::string_view offered_key(const http::ServerRequest& request) {
  return http::only_header(request.headers, "authorization").value_or(std::string_view());
}

bool holds_key(const http::ServerRequest& request, const std::string& key) {
  if (key.empty()) return true;
  const auto offered = http::bearer_of(offered_key(request));
  if (!offered) return false;
  // Digests, so that not even the key's length shows in the time.
  const auto digest = crypto::sha256(*offered);
  return crypto::equal_in_constant_time(crypto::as_bytes(digest),
                                        crypto::as_bytes(crypto::sha256(key)));
}

openai::ApiError no_entry(const http::ServerRequest& request) {
  const bool offered = request.find("authorization") != nullptr;
  return openai::make_error(401,
                            offered ? "Incorrect API key provided."
                                    : "You didn't provide an API key. Send it as Authorization: "
                                      "Bearer YOUR_KEY.",
                            "", "invalid_api_key");
}

// True: it may come in. Otherwise it has its answer.
bool let_in(Call& call, const char* scope) {
  if (!call.door.provider) {
    if (holds_key(call.request, call.door.options.api_key)) return true;
    reply_error(call, no_entry(call.request));
    return false;
  }
  auto who = call.door.provider->identify({.authorization = offered_key(call.request),
                                           .address = call.request.address,
                                           .scope = scope,
                                           .request = call.id,
                                           .turn = call.request.turn});
  if (const auto* refused = std::get_if<provider::Refused>(&who)) {
    reply_refused(call, *refused);
    return false;
  }
  call.visitor = std::make_shared<provider::Visitor>(std::move(std::get<provider::Visitor>(who)));
  return true;
}

// A page in a browser can send plain text anywhere, but JSON only where it is allowed to.
std::optional<openai::ApiError> check_body_kind(const http::ServerRequest& request) {
  if (request.find("content-encoding") != nullptr) {
    return openai::make_error(415, "bodies are read as they are; send no Content-Encoding");
  }
  const std::string* type = request.find("content-type");
  std::string_view kind = type == nullptr ? std::string_view() : std::string_view(*type);
  kind = kind.substr(0, kind.find(';'));
  while (kind.ends_with(' ')) kind.remove_suffix(1);
  if (http::is_same_word(kind, "application/json")) return std::nullopt;
  return openai::make_error(415, "send the body as Content-Type: application/json");
}

void reply_wrong_method(const Call& call, const char* allowed) {
  tell(call, "status_405");
  http::Reply reply = reply_head(call, 405, "application/json");
  reply.headers.emplace_back("Allow", allowed);
  reply.body = openai::print_error(openai::make_error(
      405, call.request.method.substr(0, 16) + " is not known here; use " + allowed));
  call.responder->reply(std::move(reply));
}

// False: the request has its answer, that of an earlier one or a refusal.
bool begin_idempotent(Call& call) {
  constexpr size_t kKeyBytesMax = 255;
  const auto given = http::only_header(call.request.headers, "idempotency-key");
  if (given && given->empty()) return true;
  if (!given || given->size() > kKeyBytesMax) {
    reply_error(call, openai::make_error(400, "send one Idempotency-Key of at most 255 bytes", "",
                                         "invalid_idempotency_key"));
    return false;
  }
  // A key is its account's own, and of one request, route included.
  const std::string whose = call.visitor ? call.visitor->principal->account.id : "";
  const std::string key = crypto::sha256_hex(whose + "\n" + std::string(*given));
  const auto begun =
      call.door.replays->begin(key, crypto::sha256_hex(call.route + "\n" + call.request.body));
  switch (begun.found) {
    case Replays::Found::nothing:
      call.responder = recorded(std::move(call.responder), call.door.replays, key);
      return true;
    case Replays::Found::kept:
      call.door.metrics.add_request(call.route, begun.kept->reply.status);
      tell(call, "replayed");
      replay(*call.responder, *begun.kept);
      return false;
    case Replays::Found::running:
      reply_error(call, openai::make_error(409,
                                           "A request with this Idempotency-Key is being "
                                           "answered; ask again in a moment.",
                                           "", "idempotency_key_in_use"));
      return false;
    case Replays::Found::other:
      break;
  }
  reply_error(call, openai::make_error(422,
                                       "This Idempotency-Key was used for another request; "
                                       "take a new one.",
                                       "", "idempotency_key_reused"));
  return false;
}

void dispatch(Call call) {
  const Route* found = find(call.request.path);
  const bool open = found != nullptr && found->access == Access::open;
  call.told = open;  // nobody's, and asked all day by whoever watches over the machine
  if (!open && !let_in(call, found != nullptr ? found->name : "")) return;
  if (found == nullptr) {
    return reply_error(
        call, openai::make_error(404, "there is nothing at this address", "", "unknown_url"));
  }
  call.route = found->name;
  const std::string_view method = call.request.method;
  if (method != found->method && !(method == "HEAD" && std::string_view(found->method) == "GET")) {
    return reply_wrong_method(call, found->method);
  }
  if (method == "POST") {
    if (const auto error = check_body_kind(call.request)) return reply_error(call, *error);
  }
  if (found->computes && !begin_idempotent(call)) return;
  found->answer(std::move(call));
}

// What a large body became while it was read is given back to the system: otherwise the allocator
// keeps it, a share for every thread that ever read one.
void give_back_memory([[maybe_unused]] size_t body_bytes) {
  constexpr size_t kLargeBody = 256 << 10;
#ifdef __GLIBC__
  if (body_bytes > kLargeBody) malloc_trim(0);
#endif
}

}  // namespace

void route(Door& door, http::ServerRequest request, std::shared_ptr<http::Responder> responder) {
  Call call{door,   std::move(request),       std::move(responder), new_id("req_"),
            "none", base::monotonic_seconds()};
  const auto kept = call.responder;
  const std::string id = call.id;
  const size_t body_bytes = call.request.body.size();
  try {
    dispatch(std::move(call));
  } catch (const std::exception& failure) {
    base::log_error("request {} failed: {}", id, failure.what());
    reply_error({door, {}, kept, id, "none", 0},
                openai::make_error(500, "the server failed on this request"));
  }
  give_back_memory(body_bytes);
}

}  // namespace retort::serve
