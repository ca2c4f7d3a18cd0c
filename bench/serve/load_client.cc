#include "load_client.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "loopback.h"
#include "openai/answer.h"
#include "openai/sse.h"

namespace retort {
namespace {

struct Link {
  int fd = -1;
  std::string bytes;
  bool begun = false;
};

class Links {
 public:
  Links() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Links() {
    for (const Link& link : links_) {
      if (link.fd >= 0) ::close(link.fd);
    }
    ::close(epoll_);
  }
  Result<void> open(int port, size_t count) {
    links_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      RETORT_TRY(links_[i].fd, connect_to(port));
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, links_[i].fd, &event);
    }
    return {};
  }
  int wait(std::array<epoll_event, 128>& events) const {
    return ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 60'000);
  }
  Link& at(size_t i) { return links_[i]; }
  std::vector<Link>& all() { return links_; }

 private:
  int epoll_;
  std::vector<Link> links_;
};

// The bytes of a body that came in chunks.
Result<std::string> unchunked(std::string_view bytes) {
  std::string out;
  while (true) {
    size_t size = 0;
    const size_t line = bytes.find("\r\n");
    const auto [end, error] =
        std::from_chars(bytes.data(), bytes.data() + std::min(line, bytes.size()), size, 16);
    if (line == std::string_view::npos || error != std::errc() || end != bytes.data() + line ||
        bytes.size() < line + 4 + size) {
      return base::bad_input("the chunks are broken");
    }
    if (size == 0) return out;
    out += bytes.substr(line + 2, size);
    bytes.remove_prefix(line + 4 + size);
  }
}

}  // namespace

LoadClient::~LoadClient() {
  for (const int fd : idle_) ::close(fd);
}

Result<void> LoadClient::hold_idle(int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    RETORT_TRY(const int fd, connect_to(port_));
    idle_.push_back(fd);
  }
  return {};
}

int64_t LoadClient::idle_alive() const {
  int64_t alive = 0;
  for (const int fd : idle_) {
    char byte = 0;
    const ssize_t got = ::recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    alive += got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 1 : 0;
  }
  return alive;
}

Result<std::vector<std::string>> LoadClient::ask(const std::vector<std::string>& bodies,
                                                 const std::function<void()>& on_all_begun,
                                                 const std::function<void()>& on_first_ended) {
  Links links;
  RETORT_TRY_VOID(links.open(port_, bodies.size()));
  for (size_t i = 0; i < bodies.size(); ++i) {
    const std::string request = fmt::format(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Connection: close\r\nContent-Length: {}\r\n\r\n{}",
        bodies[i].size(), bodies[i]);
    if (::send(links.at(i).fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      return base::upstream_error("a request could not be sent");
    }
  }
  size_t begun = 0, ended = 0;
  std::array<epoll_event, 128> events{};
  std::array<char, 65536> buffer{};
  while (ended < bodies.size()) {
    const int ready = links.wait(events);
    if (ready <= 0) return base::upstream_error("the server has said nothing for a minute");
    for (int e = 0; e < ready; ++e) {
      Link& link = links.at(events[static_cast<size_t>(e)].data.u64);
      const ssize_t got = ::recv(link.fd, buffer.data(), buffer.size(), 0);
      if (got > 0) {
        link.bytes.append(buffer.data(), static_cast<size_t>(got));
        if (!std::exchange(link.begun, true) && ++begun == bodies.size()) on_all_begun();
        continue;
      }
      ::close(std::exchange(link.fd, -1));
      if (++ended == 1) on_first_ended();
    }
  }
  std::vector<std::string> out;
  for (Link& link : links.all()) out.push_back(std::move(link.bytes));
  return out;
}

Result<Streamed> read_stream(const std::string& bytes) {
  const size_t head = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.1 200 ") || head == std::string::npos) {
    return base::bad_input("the answer is no stream: " + bytes.substr(0, 300));
  }
  RETORT_TRY(const std::string body, unchunked(std::string_view(bytes).substr(head + 4)));
  openai::SseDecoder decoder;
  RETORT_TRY(const auto events, decoder.feed(body));
  if (events.empty() || !events.back().done()) return base::bad_input("the stream has no end");
  Streamed out;
  for (const openai::SseEvent& event : events) {
    if (event.done()) break;
    RETORT_TRY(const auto piece, openai::parse_completion(event.data));
    for (const auto& choice : piece.choices) out.text += choice.text;
    if (piece.usage) out.tokens = piece.usage->completion_tokens;
  }
  return out;
}

}  // namespace retort
