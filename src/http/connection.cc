#include "http/connection_internal.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "http/forwarded_internal.h"

namespace retort::http {
namespace {

// A client may send its next requests early; more than this waits in the kernel.
constexpr size_t kReadAheadBytes = 64 << 10;
// A connection that waits keeps no more than this of what a large request needed.
constexpr size_t kKeptBytes = 16 << 10;
constexpr int64_t kRefusalMs = 1000;
constexpr int64_t kDroppedBytesMax = 1 << 20;

ssize_t send_some(int socket, std::string_view bytes) {
  return ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Connection::Connection(Core& core, Loop& loop, int socket, std::string address)
    : core_(core),
      loop_(loop),
      socket_(socket),
      address_(std::move(address)),
      customer_(base::customer_of(address_)) {
  const std::lock_guard lock(core_.mutex);
  ++core_.connections;
  ++core_.of_customer[customer_];
}

Connection::~Connection() {
  const std::lock_guard lock(core_.mutex);
  --core_.connections;
  const auto of_customer = core_.of_customer.find(customer_);
  if (--of_customer->second == 0) core_.of_customer.erase(of_customer);
  core_.changed.notify_all();
}

void Connection::begin() {
  if (loop_.add(shared_from_this(), socket_, EPOLLIN)) await_request();
}

void Connection::stop(bool at_once) {
  if (at_once || is_idle()) close();
}

// Of the socket: room for what leaves, and what the client says while there is room for that.
void Connection::want() {
  const bool reads = !input_ended_ && buffer_.size() < kReadAheadBytes;
  const uint32_t in = reads ? EPOLLIN : 0u;
  const uint32_t out = out_.empty() ? 0u : EPOLLOUT;
  loop_.want(*this, in | out);
}

void Connection::close() {
  if (std::exchange(state_, State::closed) == State::closed) return;
  // Before the socket's number can be another one's: other threads send through the outbox.
  if (outbox_) outbox_->close();
  outbox_.reset();
  loop_.remove(*this);
}

void Connection::on_ready(uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    writable_ = true;
    loop_.wake(*this);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read();
}

void Connection::on_deadline() {
  const bool waits = state_ == State::body || state_ == State::chunks;
  if (state_ == State::head && !is_idle()) {
    refuse({408, "the request's head took too long"});
  } else if (waits) {
    refuse({408, "the request's body took too long"});
  } else {
    close();
  }
}

void Connection::read() {
  auto& scratch = loop_.scratch();
  const ssize_t got = ::recv(socket_, scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return meet_end();
  if (state_ == State::refusing) {
    dropped_bytes_ += got;
    return drop();
  }
  if (is_idle()) loop_.set_deadline(*this, core_.options.head_timeout_ms);
  buffer_.append(scratch.data(), static_cast<size_t>(got));
  advance();
}

// The client has left. One that only ends its own side counts as gone too, since the two look
// alike, but an answer that is ready still leaves.
void Connection::meet_end() {
  if (state_ != State::answering || !outbox_->close_unless_over()) return close();
  input_ended_ = true;
  want();
}

// Closing with unread bytes would reset the connection, and the client would never see why.
void Connection::drop() {
  if (dropped_bytes_ > kDroppedBytesMax) close();
}

// As far as what has come reaches.
void Connection::advance() {
  bool more = true;
  while (more) {
    switch (state_) {
      case State::head:
        more = !buffer_.empty() && read_head();
        break;
      case State::body:
        more = read_body();
        break;
      case State::chunks:
        more = read_chunks();
        break;
      case State::answering:
        return want();
      case State::refusing:
      case State::closed:
        return;
    }
  }
}

void Connection::await_request() {
  state_ = State::head;
  if (buffer_.empty() && (core_.stopping || input_ended_)) return close();
  if (buffer_.empty() && buffer_.capacity() > kKeptBytes) buffer_ = {};
  loop_.want(*this, EPOLLIN);
  loop_.set_deadline(
      *this, buffer_.empty() ? core_.options.idle_timeout_ms : core_.options.head_timeout_ms);
}

// Each of these: whether there is more to be done with what has come.
bool Connection::read_head() {
  Refusal refusal;
  const size_t end = find_head_end(buffer_, refusal);
  if (refusal.status != 0) return refuse(std::move(refusal));
  if (end == 0) return false;
  head_ = {};
  refusal = parse_head(std::string_view(buffer_).substr(0, end), head_);
  buffer_.erase(0, end);
  if (refusal.status == 0) refusal = judge_origin();
  if (refusal.status != 0) return refuse(std::move(refusal));
  return begin_body();
}

// A page in somebody's browser must not ask a server that trusts its own machine.
Refusal Connection::judge_origin() const {
  const auto& allowed = core_.options.allowed_hosts;
  if (core_.loopback && !head_.host.empty() && !is_allowed_host(head_.host, allowed)) {
    return {403, "this server does not answer to that Host"};
  }
  const std::string* origin = find_header(head_.headers, "Origin");
  if (origin == nullptr) return {};
  const std::string host = origin_host(*origin);
  const bool known =
      core_.loopback ? is_allowed_host(host, allowed) : !host.empty() && host == head_.host;
  return known ? Refusal{} : Refusal{403, "pages of that Origin may not ask this server"};
}

bool Connection::begin_body() {
  body_.clear();
  if (!head_.chunked && head_.content_length == 0) {
    answer();
    return true;
  }
  if (head_.content_length > core_.options.max_body_bytes) {
    return refuse({413, "the body is too large"});
  }
  loop_.set_deadline(*this, core_.options.body_timeout_ms);
  if (head_.expects_continue && buffer_.empty()) {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (send_some(socket_, kContinue) != std::ssize(kContinue)) {
      close();
      return false;
    }
  }
  if (head_.chunked) chunks_ = std::make_unique<ChunkedDecoder>(core_.options.max_body_bytes);
  state_ = head_.chunked ? State::chunks : State::body;
  return true;
}

bool Connection::read_body() {
  const auto length = static_cast<size_t>(head_.content_length);
  if (buffer_.size() < length) return false;
  if (buffer_.size() == length) {
    body_ = std::exchange(buffer_, {});
  } else {
    body_.assign(buffer_, 0, length);
    buffer_.erase(0, length);
  }
  answer();
  return true;
}

bool Connection::read_chunks() {
  Refusal refusal = chunks_->feed(buffer_);
  if (refusal.status != 0) return refuse(std::move(refusal));
  if (!chunks_->done()) return false;
  body_ = chunks_->take();
  chunks_.reset();
  answer();
  return true;
}

// Says why, then reads on for a moment. False, as nothing more is to be done.
bool Connection::refuse(Refusal refusal) {
  state_ = State::refusing;
  Outbox outbox({.keep_alive = false}, {[] {}});
  outbox.reply(core_.error_reply(refusal.status, refusal.reason));
  out_ = outbox.take().bytes;
  out_sent_ = 0;
  over_ = true;
  dropped_bytes_ = std::ssize(buffer_);
  buffer_.clear();
  loop_.set_deadline(*this, kRefusalMs);
  drain();
  if (state_ == State::refusing) drop();
  return false;
}

// Under the outbox's lock, from any thread.
void Connection::wake() {
  if (Loop::current() == &loop_) return loop_.wake(*this);
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->state_ != State::closed) self->loop_.wake(*self);
  });
}

void Connection::call_handler(ServerRequest request) {
  const auto outbox = outbox_;
  // The handler's reference: when the last one goes, an unanswered request is answered.
  const auto abandon = [&core = core_, outbox](Responder*) {
    outbox->abandon(
        [&core] { return core.error_reply(500, "the server failed to answer this request"); });
  };
  const std::shared_ptr<Responder> responder(outbox.get(), abandon);
  try {
    core_.handler(std::move(request), responder);
  } catch (const std::exception& error) {
    base::log_error("a request failed: {}", error.what());
    abandon(nullptr);
  }
}

void Connection::answer() {
  loop_.clear_deadline(*this);
  state_ = State::answering;
  AnswerForm form;
  form.head_only = head_.method == "HEAD";
  form.http10 = head_.http10;
  form.keep_alive = head_.keep_alive && !core_.stopping;
  form.max_pending_bytes = core_.options.max_pending_bytes;
  outbox_ = std::make_shared<Outbox>(
      form,
      Outbox::Way{[this] { wake(); },
                  [socket = socket_](std::string_view bytes) {
                    // A failure is drain()'s to meet.
                    return static_cast<size_t>(std::max<ssize_t>(send_some(socket, bytes), 0));
                  }});
  over_ = false;
  asked_ = true;
  loop_.wait_for_reads(*this);
}

void Connection::on_all_read() {
  if (!std::exchange(asked_, false)) return;
  auto address = asking_address(core_.proxies, address_, head_.headers);
  call_handler({std::move(head_.method), std::move(head_.path), std::move(head_.query),
                std::move(head_.headers), std::move(body_), std::move(address), loop_.turn()});
  loop_.wake(*this);
}

void Connection::on_wake() {
  if (std::exchange(writable_, false) || out_.empty()) drain();
}

// Sends what there is, as much as the kernel takes.
void Connection::drain() {
  while (state_ == State::answering || state_ == State::refusing) {
    if (!out_.empty()) {
      if (!send()) return;
      continue;
    }
    if (over_) return finish_answer();
    Outbox::Batch batch = outbox_->take();
    over_ = batch.over;
    reusable_ = !batch.close;
    if (batch.bytes.empty() && !over_) return;
    out_ = std::move(batch.bytes);
    if (!out_.empty()) loop_.set_deadline(*this, core_.options.send_timeout_ms);
  }
}

// True: all of it has left.
bool Connection::send() {
  while (out_sent_ < out_.size()) {
    const ssize_t sent = send_some(socket_, std::string_view(out_).substr(out_sent_));
    if (sent < 0 && errno == EAGAIN) {
      want();
      return false;
    }
    if (sent < 0 && errno != EINTR) {
      close();
      return false;
    }
    out_sent_ += static_cast<size_t>(std::max<ssize_t>(sent, 0));
  }
  out_.clear();
  out_sent_ = 0;
  if (state_ == State::answering) {
    loop_.clear_deadline(*this);
    want();
  }
  return true;
}

void Connection::finish_answer() {
  over_ = false;
  if (state_ == State::refusing) {
    ::shutdown(socket_, SHUT_WR);
    return loop_.want(*this, EPOLLIN);
  }
  if (!reusable_) return close();
  outbox_->close();
  outbox_.reset();
  await_request();
  advance();
}

}  // namespace retort::http
