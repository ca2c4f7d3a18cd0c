// A load that costs little: one thread, one epoll, connections that stay. Closed loop (every
// connection asks again as soon as it is answered) says what a door bears at most; open loop
// (requests leave at a fixed rate, and wait for nobody) says what it adds to each.
//
//   retort_bench_gateway_load PORT BODIES KEYS CONNECTIONS SECONDS [REQUESTS_PER_SECOND]
//
// BODIES holds a request's JSON a line, KEYS an API key a line; both are taken in turn. Latency in
// an open loop counts from when a request was due, so that a stall is not left out. Prints one JSON
// object. Every answer must be 200; the first that is not ends the program with its text.
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "loopback.h"

namespace {

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "load: {}\n", what);
  std::exit(1);
}

std::vector<std::string> lines_of(const char* path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  if (lines.empty()) fail(fmt::format("{} holds no line", path));
  return lines;
}

// Of an answer, how many bytes it has in all; 0 while that is not known yet.
size_t whole_size(const std::string& bytes) {
  const size_t head = bytes.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  std::string lower = bytes.substr(0, head + 2);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (const size_t at = lower.find("\r\ncontent-length:"); at != std::string::npos) {
    const size_t value = lower.find_first_not_of(' ', at + 17);
    size_t length = 0;
    std::from_chars(lower.data() + value, lower.data() + lower.size(), length);
    return head + 4 + length;
  }
  return bytes.ends_with("\r\n0\r\n\r\n") ? bytes.size() : 0;
}

struct Link {
  int fd = -1;
  std::string bytes{};
  double due = 0;
};

class Load {
 public:
  Load(int port, std::vector<std::string> requests)
      : port_(port), requests_(std::move(requests)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  void open(size_t count) {
    links_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      links_[i].fd = connected();
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, links_[i].fd, &event);
      free_.push_back(i);
    }
  }

  // `rate` 0: closed loop. Latencies of the answers within the time, in seconds.
  std::vector<double> run(double seconds, double rate) {
    const double begin = retort::base::monotonic_seconds(), end = begin + seconds;
    double sent = 0;  // a count; divided by the rate it is when the next one is due
    std::vector<double> latencies;
    for (double now = begin; now < end; now = retort::base::monotonic_seconds()) {
      while (!free_.empty() && (rate == 0 || begin + sent / rate <= now)) {
        send(rate == 0 ? now : begin + sent / rate);
        ++sent;
      }
      const double due = rate > 0 && !free_.empty() ? begin + sent / rate : now + 0.1;
      take(due - now, latencies);
    }
    while (free_.size() < links_.size()) {
      std::vector<double> late;
      take(1, late);
    }
    return latencies;
  }

 private:
  int connected() const {
    const auto fd = retort::connect_to(port_);
    if (!fd) fail(fd.error().text());
    return *fd;
  }

  void send(double due) {
    const size_t i = free_.front();
    free_.pop_front();
    const std::string& request = requests_[next_++ % requests_.size()];
    links_[i].due = due;
    if (::send(links_[i].fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      fail("a request could not be sent");
    }
  }

  // Waits at most so long for answers, asleep: the upstream is on the same core.
  void take(double seconds, std::vector<double>& latencies) {
    std::array<epoll_event, 256> events{};
    const double left = std::max(seconds, 0.0);
    timespec wait{};
    wait.tv_sec = static_cast<time_t>(left);
    wait.tv_nsec = static_cast<long>((left - static_cast<double>(wait.tv_sec)) * 1e9);
    const int ready = ::epoll_pwait2(epoll_, events.data(), events.size(), &wait, nullptr);
    const double now = retort::base::monotonic_seconds();
    for (int e = 0; e < ready; ++e) {
      const size_t i = events[static_cast<size_t>(e)].data.u64;
      Link& link = links_[i];
      const ssize_t got = ::recv(link.fd, buffer_.data(), buffer_.size(), 0);
      if (got <= 0) fail("a connection ended: " + link.bytes.substr(0, 400));
      link.bytes.append(buffer_.data(), static_cast<size_t>(got));
      const size_t whole = whole_size(link.bytes);
      if (whole == 0 || link.bytes.size() < whole) continue;
      if (!link.bytes.starts_with("HTTP/1.1 200 ")) fail(link.bytes.substr(0, 800));
      latencies.push_back(now - link.due);
      link.bytes.clear();
      free_.push_back(i);
    }
  }

  int port_;
  std::vector<std::string> requests_;
  int epoll_;
  size_t next_ = 0;
  std::vector<Link> links_;
  std::deque<size_t> free_;
  std::array<char, 65536> buffer_{};
};

// Every body with every key in turn, so that neighbours are of different accounts.
std::vector<std::string> requests_of(const char* bodies, const char* keys) {
  const auto all_keys = lines_of(keys);
  std::vector<std::string> out;
  for (const std::string& body : lines_of(bodies)) {
    out.push_back(
        fmt::format("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Type: application/json\r\nAuthorization: Bearer {}\r\n"
                    "Content-Length: {}\r\n\r\n{}",
                    all_keys[out.size() % all_keys.size()], body.size(), body));
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) fail("PORT BODIES KEYS CONNECTIONS SECONDS [REQUESTS_PER_SECOND]");
  Load load(std::atoi(argv[1]), requests_of(argv[2], argv[3]));
  load.open(static_cast<size_t>(std::atoi(argv[4])));
  const double seconds = std::atof(argv[5]), rate = argc > 6 ? std::atof(argv[6]) : 0;
  load.run(std::min(1.0, seconds / 4), rate);  // until caches and connections are warm
  std::vector<double> latencies = load.run(seconds, rate);
  if (latencies.empty()) fail("nothing was answered");
  std::ranges::sort(latencies);
  const auto at = [&](double share) {
    return latencies[static_cast<size_t>(share * static_cast<double>(latencies.size() - 1))] * 1e3;
  };
  fmt::print(
      "{{\"answers\": {}, \"per_second\": {:.0f}, \"p50_ms\": {:.3f}, \"p99_ms\": {:.3f}, "
      "\"p999_ms\": {:.3f}}}\n",
      latencies.size(), static_cast<double>(latencies.size()) / seconds, at(0.5), at(0.99),
      at(0.999));
  return 0;
}
