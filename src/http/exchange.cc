#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "http/exchange_internal.h"
#include "http/guarded_internal.h"
#include "http/head_internal.h"
#include "http/server.h"

namespace retort::http {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Part of a parsed URL; "" when there is none.
std::string url_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

}  // namespace

Exchange::~Exchange() {
  curl_slist_free_all(list_);
  if (handle_ != nullptr) curl_easy_cleanup(handle_);
}

Result<void> Exchange::prepare(const ClientOptions& options) {
  handle_ = curl_easy_init();
  if (handle_ == nullptr) return base::internal_error("libcurl gave no handle");
  RETORT_TRY_VOID(set_url());
  RETORT_TRY_VOID(set_headers());
  set_body();
  curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(handle_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!options.ca_file.empty()) curl_easy_setopt(handle_, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request_.connect_timeout_ms));
  curl_easy_setopt(handle_, CURLOPT_MAXFILESIZE_LARGE,
                   static_cast<curl_off_t>(request_.max_response_bytes));
  curl_easy_setopt(handle_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, curl_text_);
  curl_easy_setopt(handle_, CURLOPT_PRIVATE, this);
  curl_easy_setopt(handle_, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  curl_easy_setopt(handle_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  curl_easy_setopt(handle_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
  curl_easy_setopt(handle_, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(handle_, CURLOPT_PREREQFUNCTION, &Exchange::on_before_request);
  curl_easy_setopt(handle_, CURLOPT_PREREQDATA, this);
  if (find_header(request_.headers, "User-Agent") == nullptr) {
    curl_easy_setopt(handle_, CURLOPT_USERAGENT, options.user_agent.c_str());
  }
  return {};
}

Result<void> Exchange::set_url() {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), &curl_url_cleanup);
  const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, request_.url.c_str(), 0);
  const std::string scheme = url_part(url.get(), CURLUPART_SCHEME);
  if (code != CURLUE_OK || (scheme != "http" && scheme != "https") ||
      request_.url.find('\0') != std::string::npos) {
    return base::usage_error("this is no http or https URL", "", "write it as http://HOST:PORT/v1");
  }
  if (!url_part(url.get(), CURLUPART_USER).empty() ||
      !url_part(url.get(), CURLUPART_PASSWORD).empty()) {
    return base::usage_error("a URL must not carry a name or password", "",
                             "give the key by an environment variable");
  }
  const std::string host = url_part(url.get(), CURLUPART_HOST);
  const std::string port = url_part(url.get(), CURLUPART_PORT);
  place_ = scheme + "://" + host + (port.empty() ? "" : ":" + port) +
           url_part(url.get(), CURLUPART_PATH);
  curl_easy_setopt(handle_, CURLOPT_URL, request_.url.c_str());
  if (is_loopback_host(host)) curl_easy_setopt(handle_, CURLOPT_PROXY, "");
  return {};
}

Result<void> Exchange::set_headers() {
  const auto append = [this](const std::string& line) {
    list_ = curl_slist_append(list_, line.c_str());
  };
  if (!is_token(request_.method)) return base::usage_error("the method is no HTTP token");
  for (const auto& [name, value] : request_.headers) {
    if (!is_token(name)) return base::usage_error("a header's name is no HTTP token", place_);
    if (!is_field_value(value)) {
      return base::usage_error(
          fmt::format("the header {} holds a line break or a control character", name), place_);
    }
    // libcurl reads "Name:" as "leave this header out" and "Name;" as an empty value.
    append(value.empty() ? name + ";" : name + ": " + value);
  }
  for (const char* automatic : {"Expect", "Content-Type"}) {
    if (find_header(request_.headers, automatic) == nullptr) append(std::string(automatic) + ":");
  }
  curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, list_);
  return {};
}

void Exchange::set_body() {
  if (request_.method == "HEAD") {
    curl_easy_setopt(handle_, CURLOPT_NOBODY, 1L);
    return;
  }
  if (request_.method != "GET" || !request_.body.empty()) {
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, request_.body.data());
    curl_easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

void Exchange::start(int64_t now_ms) {
  started_ms_ = active_ms_ = now_ms;
}

int64_t Exchange::deadline_ms() const {
  int64_t deadline = kNever;
  if (request_.total_timeout_ms > 0) deadline = started_ms_ + request_.total_timeout_ms;
  // Before the request is written the connect time-out rules.
  if (request_.idle_timeout_ms > 0 && attempts_ > 0) {
    deadline = std::min(deadline, active_ms_ + request_.idle_timeout_ms);
  }
  return deadline;
}

void Exchange::touch() {
  active_ms_ = base::system_clock().monotonic_ms();
}

size_t Exchange::on_header(char* data, size_t size, size_t count, void* self) {
  const size_t bytes = size * count;
  return static_cast<Exchange*>(self)->take_header({data, bytes}) ? bytes : 0;
}

size_t Exchange::on_body(char* data, size_t size, size_t count, void* self) {
  const size_t bytes = size * count;
  return static_cast<Exchange*>(self)->take_body({data, bytes}) ? bytes : 0;
}

int Exchange::on_progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up) {
  auto* exchange = static_cast<Exchange*>(self);
  if (exchange->progress_bytes_ != down + up) {
    exchange->progress_bytes_ = down + up;
    exchange->touch();
  }
  return 0;
}

int Exchange::on_before_request(void* self, char*, char*, int, int) {
  auto* exchange = static_cast<Exchange*>(self);
  exchange->touch();
  // libcurl sends a request again by itself when a reused connection broke before the first byte of
  // an answer. The peer may have done the work by then, so that choice is the caller's.
  return ++exchange->attempts_ == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

bool Exchange::take_header(std::string_view line) {
  touch();
  head_bytes_ += static_cast<int64_t>(line.size());
  if (head_bytes_ > static_cast<int64_t>(kAnswerHeadBytesMax)) {
    too_large_ = true;
    return false;
  }
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (head_done_) return true;  // trailers
  if (line.starts_with("HTTP/")) {
    response_.headers.clear();
    return true;
  }
  if (line.empty()) {
    long status = 0;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return true;  // 1xx: the real head follows
    response_.status = static_cast<int>(status);
    head_done_ = true;
    if (handlers_.on_head) guarded([&] { handlers_.on_head(response_); });
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  response_.headers.emplace_back(line.substr(0, colon), value);
  return true;
}

bool Exchange::take_body(std::string_view piece) {
  touch();
  response_.received_bytes += static_cast<int64_t>(piece.size());
  if (response_.received_bytes > request_.max_response_bytes) {
    too_large_ = true;
    return false;
  }
  if (handlers_.on_chunk) {
    guarded([&] { handlers_.on_chunk(piece); });
  } else {
    response_.body += piece;
  }
  return true;
}

Failure Exchange::classify(CURLcode code) const {
  if (too_large_) return Failure::too_large;
  switch (code) {
    // libcurl takes an end inside the head for the end of the answer.
    case CURLE_OK:
      return head_done_ ? Failure::none : Failure::broken;
    case CURLE_FILESIZE_EXCEEDED:
      return Failure::too_large;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return attempts_ > 0 ? Failure::broken : Failure::invalid;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
      return attempts_ > 0 ? Failure::broken : Failure::tls;
    case CURLE_OPERATION_TIMEDOUT:
      return Failure::timed_out;
    default:
      return attempts_ > 0 ? Failure::broken : Failure::connect;
  }
}

void Exchange::finish(CURLcode code) {
  const Failure failure = classify(code);
  if (failure == Failure::none) {
    Outcome outcome;
    outcome.sent = true;
    outcome.response = std::move(response_);
    if (handlers_.on_done) guarded([&] { handlers_.on_done(std::move(outcome)); });
    return;
  }
  if (code == CURLE_OK) code = CURLE_PARTIAL_FILE;
  std::string text = curl_text_[0] != '\0' ? curl_text_ : curl_easy_strerror(code);
  if (attempts_ > 1) text = "the connection closed before an answer came";
  if (failure == Failure::too_large) {
    text = fmt::format("the answer is larger than {} bytes", request_.max_response_bytes);
  }
  std::string hint;
  if (failure == Failure::connect) hint = "check the address and that it is running";
  if (failure == Failure::tls) hint = "check the address and the peer's certificate";
  fail(failure, base::upstream_error(std::move(text), "", std::move(hint)));
}

void Exchange::fail(Failure failure, Error error) {
  Outcome outcome;
  outcome.failure = failure;
  outcome.sent = attempts_ > 0;
  outcome.error = std::move(error);
  if (outcome.error.where.empty()) outcome.error.where = place_;
  outcome.response = std::move(response_);
  if (handlers_.on_done) guarded([&] { handlers_.on_done(std::move(outcome)); });
}

}  // namespace retort::http
