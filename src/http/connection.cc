#include "http/connection_internal.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"

namespace retort::http {
namespace {

using asio::experimental::awaitable_operators::operator||;

// A client may send its next requests early; more than this waits in the kernel.
constexpr size_t kReadAheadBytes = 64 << 10;

}  // namespace

// When time is up what the socket does is cancelled, and late_ says why.
void Connection::set_deadline(int64_t timeout_ms) {
  late_ = false;
  deadline_.expires_after(ms(timeout_ms));
  deadline_.async_wait([weak = weak_from_this(), number = ++deadline_number_](ErrorOf error) {
    const auto self = weak.lock();
    if (error || !self || self->deadline_number_ != number) return;
    self->late_ = true;
    ErrorOf ignored;
    self->socket_.cancel(ignored);
  });
}

void Connection::clear_deadline() {
  ++deadline_number_;  // a wait that is over already must not strike what comes next
  deadline_.cancel();
}

awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  try {
    while (co_await serve_one()) {
    }
  } catch (const std::exception& error) {
    base::log_error("a connection ended by an exception: {}", error.what());
  }
  clear_deadline();
  ErrorOf ignored;
  socket_.close(ignored);
}

void Connection::stop(bool at_once) {
  asio::post(socket_.get_executor(), [weak = weak_from_this(), at_once] {
    const auto self = weak.lock();
    if (!self || !(at_once || self->idle_)) return;
    // Not closed: another thread may be sending, and the number may be another socket's by then.
    self->stopped_ = true;
    ErrorOf ignored;
    self->socket_.shutdown(tcp::socket::shutdown_both, ignored);
    self->socket_.cancel(ignored);
    self->news_.cancel();
  });
}

awaitable<bool> Connection::serve_one() {
  Head head;
  std::string body;
  Got got = co_await read_head(head);
  if (got == Got::yes) {
    refusal_ = judge_origin(head);
    if (refusal_.status != 0) got = Got::refused;
  }
  if (got == Got::yes) got = co_await read_body(head, body);
  if (got == Got::refused) co_await refuse();
  if (got != Got::yes) co_return false;
  co_return co_await answer(std::move(head), std::move(body));
}

awaitable<bool> Connection::fill() {
  const size_t before = buffer_.size();
  buffer_.resize(before + (16 << 10));
  const auto [error, count] = co_await socket_.async_read_some(
      asio::buffer(buffer_.data() + before, buffer_.size() - before), kAwait);
  buffer_.resize(before + (error ? 0 : count));
  co_return !error;
}

awaitable<Connection::Got> Connection::read_head(Head& head) {
  idle_ = buffer_.empty();
  set_deadline(idle_ ? core_.options.idle_timeout_ms : core_.options.head_timeout_ms);
  while (true) {
    const size_t end = find_head_end(buffer_, refusal_);
    if (refusal_.status != 0) co_return Got::refused;
    if (end > 0) {
      refusal_ = parse_head(std::string_view(buffer_).substr(0, end), head);
      buffer_.erase(0, end);
      co_return refusal_.status != 0 ? Got::refused : Got::yes;
    }
    if (core_.stopping && idle_) co_return Got::closed;
    const bool more = co_await fill();
    if (!more && late_ && !idle_) {
      refusal_ = {408, "the request's head took too long"};
      co_return Got::refused;
    }
    if (!more) co_return Got::closed;
    if (std::exchange(idle_, false)) set_deadline(core_.options.head_timeout_ms);
  }
}

// A page in somebody's browser must not ask a server that trusts its own machine.
Refusal Connection::judge_origin(const Head& head) const {
  const auto& allowed = core_.options.allowed_hosts;
  if (core_.loopback && !head.host.empty() && !is_allowed_host(head.host, allowed)) {
    return {403, "this server does not answer to that Host"};
  }
  const std::string* origin = find_header(head.headers, "Origin");
  if (origin == nullptr) return {};
  const std::string host = origin_host(*origin);
  const bool known =
      core_.loopback ? is_allowed_host(host, allowed) : !host.empty() && host == head.host;
  return known ? Refusal{} : Refusal{403, "pages of that Origin may not ask this server"};
}

awaitable<Connection::Got> Connection::read_body(const Head& head, std::string& body) {
  if (!head.chunked && head.content_length == 0) co_return Got::yes;
  if (head.content_length > core_.options.max_body_bytes) {
    refusal_ = {413, "the body is too large"};
    co_return Got::refused;
  }
  set_deadline(core_.options.body_timeout_ms);
  if (head.expects_continue && buffer_.empty()) {
    const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return Got::closed;
  }
  if (head.chunked) co_return co_await read_chunks(body);
  const auto length = static_cast<size_t>(head.content_length);
  while (buffer_.size() < length) {
    const bool more = co_await fill();
    if (!more && late_) {
      refusal_ = {408, "the request's body took too long"};
      co_return Got::refused;
    }
    if (!more) co_return Got::closed;
  }
  body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  co_return Got::yes;
}

awaitable<Connection::Got> Connection::read_chunks(std::string& body) {
  ChunkedDecoder decoder(core_.options.max_body_bytes);
  while (true) {
    refusal_ = decoder.feed(buffer_);
    if (refusal_.status != 0) co_return Got::refused;
    if (decoder.done()) break;
    const bool more = co_await fill();
    if (!more && late_) {
      refusal_ = {408, "the request's body took too long"};
      co_return Got::refused;
    }
    if (!more) co_return Got::closed;
  }
  body = decoder.take();
  co_return Got::yes;
}

awaitable<bool> Connection::send(std::string bytes) {
  const auto [error, count] = co_await asio::async_write(socket_, asio::buffer(bytes), kAwait);
  co_return !error && count == bytes.size();
}

// Says why, then reads on for a moment: closing with unread bytes would reset the connection and
// the client would never see the answer.
awaitable<void> Connection::refuse() {
  Outbox outbox({.keep_alive = false}, {[] {}});
  outbox.reply(core_.error_reply(refusal_.status, refusal_.reason));
  set_deadline(1000);
  const bool sent = co_await send(outbox.take().bytes);
  ErrorOf ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  size_t dropped = 0;
  bool more = sent;
  while (more && dropped < (1 << 20)) {
    dropped += buffer_.size();
    buffer_.clear();
    more = co_await fill();
  }
}

void Connection::wake() {
  asio::post(socket_.get_executor(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->news_.cancel();
  });
}

void Connection::call_handler(ServerRequest request, const std::shared_ptr<Outbox>& outbox) {
  // The handler's reference: when the last one goes, an unanswered request is answered.
  const Reply broken = core_.error_reply(500, "the server failed to answer this request");
  const std::shared_ptr<Responder> responder(
      outbox.get(), [outbox, broken](Responder*) { outbox->abandon(broken); });
  try {
    core_.handler(std::move(request), responder);
  } catch (const std::exception& error) {
    base::log_error("a request failed: {}", error.what());
    outbox->abandon(broken);
  }
}

awaitable<bool> Connection::answer(Head head, std::string body) {
  clear_deadline();
  AnswerForm form;
  form.head_only = head.method == "HEAD";
  form.http10 = head.http10;
  form.keep_alive = head.keep_alive && !core_.stopping;
  form.max_pending_bytes = core_.options.max_pending_bytes;
  const Outbox::Way way = {
      [this] { wake(); },
      [socket = socket_.native_handle()](std::string_view bytes) {
        const ssize_t sent =
            ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return static_cast<size_t>(std::max<ssize_t>(sent, 0));  // a failure is drain()'s to meet
      }};
  const auto outbox = std::make_shared<Outbox>(form, way);
  // Whatever ends this coroutine, no other thread wakes the connection afterwards.
  const std::shared_ptr<void> closer(nullptr, [outbox](void*) { outbox->close(); });
  ServerRequest request{std::move(head.method), std::move(head.path), std::move(head.query),
                        std::move(head.headers), std::move(body), address_};
  call_handler(std::move(request), outbox);
  bool reusable = false;
  co_await (watch(outbox) || drain(outbox, reusable));
  co_return reusable;
}

// Ends when the client leaves; what it sends early is kept. A client that only ends its own side
// counts as gone too, since the two look alike, but an answer that is ready still leaves.
awaitable<void> Connection::watch(std::shared_ptr<Outbox> outbox) {
  while (buffer_.size() < kReadAheadBytes) {
    const bool more = co_await fill();
    if (!more) break;
  }
  if (buffer_.size() < kReadAheadBytes && !outbox->close_unless_over()) co_return;
  asio::steady_timer never(socket_.get_executor(), asio::steady_timer::time_point::max());
  co_await never.async_wait(kAwait);
}

awaitable<void> Connection::drain(std::shared_ptr<Outbox> outbox, bool& reusable) {
  while (true) {
    Outbox::Batch batch = outbox->take();
    if (!batch.bytes.empty()) {
      set_deadline(core_.options.send_timeout_ms);
      const bool sent = co_await send(std::move(batch.bytes));
      clear_deadline();
      if (!sent) co_return;
      continue;
    }
    if (batch.over) {
      reusable = !batch.close;
      co_return;
    }
    news_.expires_at(asio::steady_timer::time_point::max());
    co_await news_.async_wait(kAwait);
    if (stopped_) co_return;
  }
}

}  // namespace retort::http
