#include "http/direct_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "http/direct_link_internal.h"
#include "http/head_internal.h"
#include "http/server.h"

namespace retort::http {
namespace {

Error cancelled() {
  return {ErrorCode::interrupted, "the request was cancelled", "", ""};
}

bool has_proxy() {
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return true;
  }
  return false;
}

sockaddr_storage address_v4(in_addr address, uint16_t port) {
  sockaddr_storage out{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(out);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr = address;
  return out;
}

sockaddr_storage address_v6(const in6_addr& address, uint16_t port) {
  sockaddr_storage out{};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr = address;
  return out;
}

std::vector<sockaddr_storage> addresses_of(const std::string& host, uint16_t port) {
  in_addr v4{};
  in6_addr v6{};
  if (is_same_word(host, "localhost")) {
    v4.s_addr = htonl(INADDR_LOOPBACK);
    return {address_v4(v4, port), address_v6(in6addr_loopback, port)};
  }
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return {address_v4(v4, port)};
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (!bracketed) return {};
  const std::string inner = host.substr(1, host.size() - 2);
  if (::inet_pton(AF_INET6, inner.c_str(), &v6) != 1) return {};
  return {address_v6(v6, port)};
}

// 0 for none.
uint16_t port_of(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() ? port : uint16_t{0};
}

bool is_plain_path(std::string_view path) {
  return path.starts_with('/') && std::all_of(path.begin(), path.end(), [](char c) {
           return c > 0x20 && c < 0x7f && c != '#' && c != '\\';
         });
}

// What libcurl would refuse is refused here with its words.
bool is_sendable(const Request& request) {
  return is_token(request.method) &&
         std::all_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
           return is_token(header.first) && is_field_value(header.second);
         });
}

}  // namespace

std::optional<Target> direct_target(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  const std::string_view rest = std::string_view(url).substr(kScheme.size());
  const size_t slash = rest.find_first_of("/?");
  const std::string_view place = rest.substr(0, slash);
  Target out;
  out.host = place;
  out.path = slash == std::string_view::npos ? "/" : rest.substr(slash);
  if (!is_plain_path(out.path)) return std::nullopt;
  const size_t bracket = place.starts_with('[') ? place.find(']') : 0;
  if (bracket == std::string_view::npos) return std::nullopt;
  const size_t colon = place.find(':', bracket);
  const std::string host(place.substr(0, colon));
  const uint16_t port =
      colon == std::string_view::npos ? uint16_t{80} : port_of(place.substr(colon + 1));
  if (port == 0) return std::nullopt;
  out.addresses = addresses_of(host, port);
  if (out.addresses.empty() || (!is_loopback_host(host) && has_proxy())) return std::nullopt;
  return out;
}

Direct::Direct(Loop& loop, const ClientOptions& options)
    : loop_(loop),
      options_(options),
      links_max_(static_cast<size_t>(std::max<int64_t>(1, options.max_connections / loop.peers()))),
      alive_(std::make_shared<bool>(true)) {}

Direct::~Direct() {
  *alive_ = false;
  while (!asked_.empty()) asked_.begin()->second->fail(Failure::cancelled, cancelled());
  for (DirectLink* link : std::exchange(idle_, {})) {
    link->orphan();
    link->close();
  }
  for (auto& work : std::exchange(waiting_, {})) {
    Outcome outcome;
    outcome.failure = Failure::cancelled;
    outcome.error = cancelled();
    if (work->handlers.on_done) work->handlers.on_done(std::move(outcome));
  }
}

void Direct::send(ExchangeId id, Request request, Handlers handlers,
                  std::shared_ptr<const Target> target) {
  auto work = std::make_unique<Work>();
  work->id = id;
  work->request = std::move(request);
  work->handlers = std::move(handlers);
  work->target = std::move(target);
  if (!is_sendable(work->request)) {
    return fail_later(std::move(work), Failure::invalid,
                      base::usage_error("the method is no HTTP token, or a header holds a line "
                                        "break or a control character"));
  }
  if (find_header(work->request.headers, "User-Agent") == nullptr) {
    work->request.headers.emplace_back("User-Agent", options_.user_agent);
  }
  if (asked_.size() >= links_max_) {
    waiting_.push_back(std::move(work));
  } else {
    start(std::move(work));
  }
}

void Direct::start(std::unique_ptr<Work> work) {
  const ExchangeId id = work->id;
  const auto idle = std::find_if(idle_.rbegin(), idle_.rend(), [&](const DirectLink* link) {
    return link->host() == work->target->host;
  });
  if (idle != idle_.rend()) {
    DirectLink* link = *idle;
    idle_.erase(std::next(idle).base());
    asked_[id] = link;
    return link->begin(std::move(work), /*connected=*/true);
  }
  const auto link = std::make_shared<DirectLink>(*this, loop_, work->target->host);
  asked_[id] = link.get();
  link->begin(std::move(work), /*connected=*/false);
}

void Direct::start_waiting() {
  while (*alive_ && !waiting_.empty() && asked_.size() < links_max_) {
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    start(std::move(work));
  }
}

void Direct::leave(DirectLink& link, ExchangeId id, bool reusable) {
  asked_.erase(id);
  if (reusable) idle_.push_back(&link);
  start_waiting();
}

void Direct::forget(DirectLink& link) {
  std::erase(idle_, &link);
  std::erase_if(asked_, [&link](const auto& one) { return one.second == &link; });
}

// In the loop's next round.
void Direct::fail_later(std::unique_ptr<Work> work, Failure failure, Error error) {
  const std::shared_ptr<Work> kept = std::move(work);
  loop_.post([this, alive = alive_, kept, failure, error] {
    Outcome outcome;
    outcome.failure = failure;
    outcome.sent = kept->sent;
    outcome.error = error;
    if (kept->handlers.on_done) kept->handlers.on_done(std::move(outcome));
    if (*alive) start_waiting();
  });
}

void Direct::cancel(ExchangeId id) {
  if (const auto found = asked_.find(id); found != asked_.end()) {
    return found->second->fail(Failure::cancelled, cancelled());
  }
  const auto queued = std::find_if(waiting_.begin(), waiting_.end(),
                                   [id](const auto& work) { return work->id == id; });
  if (queued == waiting_.end()) return;
  auto work = std::move(*queued);
  waiting_.erase(queued);
  fail_later(std::move(work), Failure::cancelled, cancelled());
}

}  // namespace retort::http
