// Which address is answered by what, and what every answer carries.
#include <array>
#include <exception>

#include "admin/gate_internal.h"
#include "admin/office_internal.h"
#include "base/log.h"

namespace retort::admin {
namespace {

struct Route {
  const char* method;
  std::array<const char*, 4> path;  // behind /admin/v1; "?": one part
  const char* scope;
  Answer (*answer)(const Ask&);
  bool alone = false;  // without the office's mutex
};

constexpr std::array kRoutes = {
    Route{"GET", {"whoami"}, kLook, answer_whoami},
    Route{"GET", {"traffic"}, kLook, answer_traffic, /*alone=*/true},
    Route{"GET", {"accounts"}, kLook, answer_accounts},
    Route{"GET", {"accounts", "?"}, kLook, answer_account},
    Route{"POST", {"accounts", "?", "suspend"}, kAccounts, answer_suspend},
    Route{"POST", {"accounts", "?", "reinstate"}, kAccounts, answer_reinstate},
    Route{"GET", {"cases"}, kLook, answer_cases},
    Route{"GET", {"cases", "?"}, kLook, answer_case},
    Route{"POST", {"cases", "?", "decide"}, kDecide, answer_decide},
    Route{"GET", {"audit"}, kLook, answer_audit},
    Route{"GET", {"audit", "checkpoint"}, kLook, answer_checkpoint},
    Route{"GET", {"audit", "growth"}, kLook, answer_growth},
    Route{"GET", {"audit", "entries", "?"}, kLook, answer_proof},
    Route{"GET", {"audit", "segments", "?"}, kLook, answer_segment},
    Route{"POST", {"audit", "verify"}, kLook, answer_verify, /*alone=*/true},
};

constexpr size_t kPrefix = 2;  // parts of /admin/v1

bool is_api(const std::vector<std::string>& path) {
  return path.size() > kPrefix && path[0] == "admin" && path[1] == "v1";
}

bool matches(const Route& route, const std::vector<std::string>& path) {
  size_t parts = kPrefix;
  for (const char* part : route.path) {
    if (part == nullptr) break;
    if (parts >= path.size()) return false;
    if (std::string_view(part) != "?" && path[parts] != part) return false;
    ++parts;
  }
  return path.size() == parts;
}

// Nothing: the body is an object of JSON, or there is none to be read.
std::optional<openai::ApiError> read_body(const http::ServerRequest& request, json::Value& body) {
  const auto* type = request.find("content-type");
  if (type == nullptr || type->substr(0, type->find(';')) != "application/json") {
    return openai::make_error(415, "send the body as Content-Type: application/json");
  }
  auto parsed = json::parse(request.body);
  if (!parsed || !parsed->is_object()) {
    return openai::make_error(400, "the body must be a JSON object");
  }
  body = std::move(*parsed);
  return std::nullopt;
}

const Route* find(const http::ServerRequest& request, bool& other_method) {
  for (const Route& route : kRoutes) {
    if (!matches(route, request.path)) continue;
    if (request.method == route.method) return &route;
    other_method = true;
  }
  return nullptr;
}

Answer answer_api(Office& office, const http::ServerRequest& request) {
  if (auto error = check_origin(request)) return std::move(*error);
  bool other_method = false;
  const Route* route = find(request, other_method);
  std::unique_lock lock(office.mutex);
  // Without a key nobody learns which routes there are.
  const auto who = enter(office, request, route != nullptr ? route->scope : kLook);
  if (!who) {
    if (office.options.refused) office.options.refused(who.error().code);
    return who.error();
  }
  if (route == nullptr) {
    return other_method
               ? openai::make_error(405, request.method.substr(0, 16) + " is not for this")
               : openai::make_error(404, "there is nothing at this address", "", "unknown_url");
  }
  Ask ask{office, request, *who};
  if (request.method == "POST") {
    if (auto error = read_body(request, ask.body)) return std::move(*error);
  }
  if (route->alone) lock.unlock();
  return route->answer(ask);
}

http::Reply dispatch(Office& office, const http::ServerRequest& request) {
  if (!is_api(request.path)) {
    const Body* file = page_file(request.path);
    if (file == nullptr)
      return reply_of(
          openai::make_error(404, "there is nothing at this address", "", "unknown_url"));
    if (request.method != "GET" && request.method != "HEAD") {
      return reply_of(openai::make_error(405, "this is a page to read"));
    }
    return reply_of(200, *file);
  }
  auto answered = answer_api(office, request);
  return answered ? reply_of(200, std::move(*answered)) : reply_of(answered.error());
}

}  // namespace

// The page may run its own scripts and ask this server, nothing else: not even a script that got
// into it could load, post or frame anything, and text cannot become markup (Trusted Types).
http::Reply reply_of(int status, Body body) {
  constexpr const char* kPolicy =
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
      "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
      "require-trusted-types-for 'script'; trusted-types 'none'";
  http::Reply reply;
  reply.status = status;
  reply.headers = {{"Content-Type", body.type},
                   {"Cache-Control", "no-store"},
                   {"Content-Security-Policy", kPolicy},
                   {"X-Frame-Options", "DENY"},
                   {"X-Content-Type-Options", "nosniff"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cross-Origin-Opener-Policy", "same-origin"},
                   {"Cross-Origin-Resource-Policy", "same-origin"}};
  if (status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  reply.body = std::move(body.bytes);
  return reply;
}

http::Reply reply_of(const openai::ApiError& error) {
  return reply_of(error.status, {"application/json", openai::print_error(error)});
}

http::Reply answer(Office& office, const http::ServerRequest& request) {
  try {
    return dispatch(office, request);
  } catch (const std::exception& failure) {
    base::log_error("admin: a request failed: {}", failure.what());
    return reply_of(openai::make_error(500, "the server failed on this request"));
  }
}

}  // namespace retort::admin
