#include "http/direct_link_internal.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "http/guarded_internal.h"

namespace retort::http {
namespace {

constexpr int64_t kIdleMs = 90'000;      // until a connection that nobody needs is closed
constexpr size_t kIdleBytes = 16 << 10;  // of memory, by one that is idle

void put_request(const Direct::Work& work, std::string& out) {
  const Request& request = work.request;
  out.reserve(512 + request.body.size());
  out.append(request.method).append(" ").append(work.target->path).append(" HTTP/1.1\r\n");
  const auto put = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  const auto has = [&request](std::string_view name) {
    return find_header(request.headers, name) != nullptr;
  };
  if (!has("Host")) put("Host", work.target->host);
  for (const auto& [name, value] : request.headers) put(name, value);
  if (!has("Accept")) put("Accept", "*/*");
  const bool has_body =
      !request.body.empty() || (request.method != "GET" && request.method != "HEAD");
  if (has_body && !has("Content-Length"))
    put("Content-Length", std::to_string(request.body.size()));
  out.append("\r\n").append(request.body);
}

}  // namespace

std::string DirectLink::place() const {
  const std::string& path = work_->target->path;
  return "http://" + host_ + path.substr(0, path.find('?'));
}

void DirectLink::begin(std::unique_ptr<Direct::Work> work, bool connected) {
  work_ = std::move(work);
  work_->began_ms = loop_.now_ms();
  connected_ = connected;
  if (connected_) return ask();
  connect();
}

// To the next of the addresses, until one is there or none is left.
void DirectLink::connect() {
  while (next_address_ < work_->target->addresses.size()) {
    if (open(work_->target->addresses[next_address_++])) return;
  }
  const std::string why = std::strerror(errno);
  auto work = std::move(work_);
  const auto self = shared_from_this();
  loop_.remove(*this);
  if (owner_ == nullptr) return;
  Error error = base::upstream_error("no connection: " + why, "http://" + host_,
                                     "check the address and that it is running");
  owner_->forget(*this);
  owner_->fail_later(std::move(work), Failure::connect, std::move(error));
}

bool DirectLink::open(const sockaddr_storage& address) {
  const int made = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0) return false;
  const int one = 1;
  ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(made, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  const socklen_t size = address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (::connect(made, reinterpret_cast<const sockaddr*>(&address), size) != 0 &&
      errno != EINPROGRESS) {
    const int why = errno;
    ::close(made);
    errno = why;
    return false;
  }
  const auto self = shared_from_this();
  loop_.remove(*this);  // the one before
  socket_ = made;
  if (!loop_.add(self, made, EPOLLOUT)) return false;
  const int64_t most_ms = work_->request.connect_timeout_ms;
  loop_.set_deadline_at(*this, most_ms > 0 ? work_->began_ms + most_ms : INT64_MAX);
  return true;
}

void DirectLink::meet_connection() {
  int why = 0;
  socklen_t size = sizeof why;
  ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &why, &size);
  if (why != 0) {
    errno = why;
    return connect();
  }
  connected_ = true;
  ask();
}

void DirectLink::ask() {
  work_->sent = true;
  too_large_ = false;
  put_request(*work_, out_);
  out_sent_ = 0;
  reader_ = std::make_unique<AnswerReader>(
      work_->request.method == "HEAD",
      AnswerReader::Sink{[this](Response& head) { take_head(head); },
                         [this](std::string_view piece) { take_body(piece); }});
  touch();
  write();
}

void DirectLink::touch() {
  const Request& request = work_->request;
  int64_t at_ms = INT64_MAX;
  if (request.idle_timeout_ms > 0) at_ms = loop_.now_ms() + request.idle_timeout_ms;
  if (request.total_timeout_ms > 0) {
    at_ms = std::min(at_ms, work_->began_ms + request.total_timeout_ms);
  }
  loop_.set_deadline_at(*this, at_ms);
}

// A failure is read()'s to meet: an answer may have come before it.
void DirectLink::write() {
  while (out_sent_ < out_.size()) {
    const ssize_t sent = ::send(socket_, out_.data() + out_sent_, out_.size() - out_sent_,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return loop_.want(*this, EPOLLIN | EPOLLOUT);
    if (sent < 0) break;
    out_sent_ += static_cast<size_t>(sent);
  }
  loop_.want(*this, EPOLLIN);
}

void DirectLink::on_ready(uint32_t events) {
  if (!work_) return close();  // the other end closed it, or says what nobody asked for
  if (!connected_) return meet_connection();
  if ((events & EPOLLOUT) != 0) {
    touch();
    write();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read();
}

void DirectLink::read() {
  auto& scratch = loop_.scratch();
  const ssize_t got = ::recv(socket_, scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) {
    touch();
    reader_->feed({scratch.data(), static_cast<size_t>(got)});
  } else if (got == 0) {
    reader_->end();
  } else {
    return finish(Failure::broken, base::upstream_error(std::strerror(errno), place()));
  }
  look();
}

// What the bytes have come to.
void DirectLink::look() {
  if (too_large_ || reader_->too_large()) {
    return finish(Failure::too_large,
                  base::upstream_error(fmt::format("the answer is larger than {} bytes",
                                                   work_->request.max_response_bytes),
                                       place()));
  }
  if (reader_->broken()) {
    return finish(Failure::broken, base::upstream_error("the answer " + reader_->why(), place()));
  }
  if (reader_->done()) finish(Failure::none, {});
}

void DirectLink::take_head(Response& head) {
  Response& response = work_->response;
  response.status = head.status;
  response.headers = std::move(head.headers);
  if (reader_->length() > work_->request.max_response_bytes) {
    too_large_ = true;
    reader_->stop();
    return;
  }
  if (work_->handlers.on_head) guarded([&] { work_->handlers.on_head(response); });
}

void DirectLink::take_body(std::string_view piece) {
  Response& response = work_->response;
  response.received_bytes += std::ssize(piece);
  if (response.received_bytes > work_->request.max_response_bytes) {
    too_large_ = true;
    reader_->stop();
  } else if (work_->handlers.on_chunk) {
    guarded([&] { work_->handlers.on_chunk(piece); });
  } else {
    response.body += piece;
  }
}

// The connection first, so that who is told and asks again finds it.
void DirectLink::finish(Failure failure, Error error) {
  const auto self = shared_from_this();
  const bool reusable = failure == Failure::none && reader_->reusable() && out_sent_ == out_.size();
  auto work = std::move(work_);
  reader_.reset();
  if (out_.capacity() > kIdleBytes) out_ = {};
  out_.clear();
  if (!reusable) loop_.remove(*this);
  if (reusable) loop_.set_deadline(*this, kIdleMs);
  Outcome outcome;
  outcome.failure = failure;
  outcome.sent = work->sent;
  outcome.error = std::move(error);
  outcome.response = std::move(work->response);
  if (owner_ != nullptr) owner_->leave(*this, work->id, reusable);
  if (work->handlers.on_done) guarded([&] { work->handlers.on_done(std::move(outcome)); });
}

void DirectLink::fail(Failure failure, Error error) {
  finish(failure, std::move(error));
}

void DirectLink::close() {
  const auto self = shared_from_this();
  loop_.remove(*this);
  if (owner_ != nullptr) owner_->forget(*this);
}

void DirectLink::on_deadline() {
  if (!work_) return close();
  finish(Failure::timed_out, base::upstream_error("no whole answer came in time", place()));
}

void DirectLink::on_broken() {
  if (!work_) return close();
  finish(Failure::broken, base::upstream_error("it was given up in the midst", place()));
}

}  // namespace retort::http
