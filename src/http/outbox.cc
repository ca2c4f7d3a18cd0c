#include "http/outbox_internal.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "http/bytes_internal.h"

namespace retort::http {
namespace {

bool breaks_line(char c) {
  return c == '\r' || c == '\n' || c == '\0';
}

}  // namespace

const char* reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

// Called with the lock held; the wake-up only posts, it takes no lock of this class.
void Outbox::notify() {
  if (closed_ || notified_) return;
  notified_ = true;
  waited_for_ = false;
  way_.wake();
}

// Called with the lock held, so that pieces keep their order.
void Outbox::send_or_notify() {
  if (waited_for_ && !closed_ && way_.send_now) pending_.erase(0, way_.send_now(pending_));
  if (!pending_.empty()) notify();
}

// A line break in a value would begin a header of its own.
void Outbox::put_header(std::string_view name, std::string_view value) {
  const size_t begin = pending_.size();
  pending_ += name;
  pending_ += ": ";
  pending_ += value;
  if (any_below(std::string_view(pending_).substr(begin), ' ')) {
    std::replace_if(pending_.begin() + static_cast<std::ptrdiff_t>(begin), pending_.end(),
                    breaks_line, ' ');
  }
  pending_ += "\r\n";
}

void Outbox::put_head(const Reply& head, bool streamed) {
  constexpr size_t kHeadBytes = 1024;  // of most
  chunked_ = streamed && !form_.http10 && !form_.head_only;
  pending_.reserve(pending_.size() + kHeadBytes + head.body.size());
  pending_.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ");
  pending_.append(reason_phrase(head.status)).append("\r\n");
  for (const auto& [name, value] : head.headers) put_header(name, value);
  const bool no_body = head.status == 204 || head.status == 304;
  if (!streamed && !no_body) put_header("Content-Length", std::to_string(head.body.size()));
  if (chunked_) pending_ += "Transfer-Encoding: chunked\r\n";
  pending_ += form_.keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
}

// Called with the lock held.
void Outbox::put_reply(const Reply& reply) {
  state_ = State::over;
  put_head(reply, /*streamed=*/false);
  if (!form_.head_only) pending_ += reply.body;
  gone_call_ = nullptr;
  notify();
}

void Outbox::reply(Reply reply) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::fresh) put_reply(reply);
}

void Outbox::begin(Reply head) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::fresh) return;
  state_ = State::streaming;
  put_head(head, /*streamed=*/true);
  send_or_notify();
}

bool Outbox::write(std::string_view piece) {
  std::unique_lock lock(mutex_);
  if (gone_ || state_ != State::streaming) return false;
  // An empty chunk would end the stream.
  if (form_.head_only || piece.empty()) return true;
  if (chunked_) {
    fmt::format_to(std::back_inserter(pending_), "{:x}\r\n{}\r\n", piece.size(), piece);
  } else {
    pending_ += piece;
  }
  send_or_notify();
  const int64_t held = static_cast<int64_t>(pending_.size()) + unsent_bytes_;
  if (held <= form_.max_pending_bytes) return true;
  pending_.clear();
  state_ = State::over;
  cut_ = true;
  leave(lock);
  return false;
}

void Outbox::finish() {
  const std::lock_guard lock(mutex_);
  if (state_ != State::streaming) return;
  state_ = State::over;
  if (chunked_) pending_ += "0\r\n\r\n";
  gone_call_ = nullptr;
  notify();
}

void Outbox::cut() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::over) return;
  state_ = State::over;
  cut_ = true;
  gone_call_ = nullptr;
  notify();
}

void Outbox::abandon(const std::function<Reply()>& make) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || state_ == State::over) return;
    if (state_ == State::fresh) return put_reply(make());
  }
  cut();
}

// Nobody reads any more: the producer is told once, outside the lock.
void Outbox::leave(std::unique_lock<std::mutex>& lock) {
  gone_ = true;
  notify();
  auto call = std::move(gone_call_);
  gone_call_ = nullptr;
  lock.unlock();
  if (call) call();
}

void Outbox::on_gone(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) {
      if (state_ != State::over) gone_call_ = std::move(call);
      return;
    }
  }
  call();
}

Outbox::Batch Outbox::take() {
  const std::lock_guard lock(mutex_);
  notified_ = false;
  Batch batch;
  batch.bytes = std::exchange(pending_, {});
  unsent_bytes_ = static_cast<int64_t>(batch.bytes.size());
  batch.over = state_ == State::over;
  waited_for_ = batch.bytes.empty() && !batch.over;
  // Without chunks only the end of the connection tells that a stream is over.
  batch.close = cut_ || !form_.keep_alive;
  return batch;
}

bool Outbox::close_unless_over() {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::over) return true;
  }
  close();
  return false;
}

void Outbox::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  way_ = {};
  if (!gone_) leave(lock);
}

}  // namespace retort::http
