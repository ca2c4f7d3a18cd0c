// Plain blocking sockets for tests: a server that answers with scripted bytes, and a client that
// says exactly the bytes it is given.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "http/client.h"

namespace retort::http {

class RawSocket {
 public:
  explicit RawSocket(int fd) : fd_(fd) {}
  RawSocket(RawSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket() { close(); }

  // `from`: one of 127.0.0.0/8.
  static RawSocket connect(int port, uint32_t from = INADDR_LOOPBACK) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in own = loopback(0, from), address = loopback(port);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof(own)) != 0) {
      ::close(fd);
      return RawSocket(-1);
    }
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      ::close(fd);
      return RawSocket(-1);
    }
    return RawSocket(fd);
  }
  static sockaddr_in loopback(int port, uint32_t of = INADDR_LOOPBACK) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(of);
    return address;
  }

  bool open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Appends what is there within the time; false at the end, on an error or when nothing came.
  bool read_some(std::string& out, int timeout_ms) {
    pollfd entry{fd_, POLLIN, 0};
    if (::poll(&entry, 1, timeout_ms) <= 0) return false;
    char buffer[16384];
    const ssize_t got = ::recv(fd_, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    out.append(buffer, static_cast<size_t>(got));
    return true;
  }
  // Everything until the peer closes, or nothing came for the time.
  std::string read_all(int timeout_ms = 5000) {
    std::string out;
    while (read_some(out, timeout_ms)) {
    }
    return out;
  }
  // Until the text was seen, or nothing came for the time.
  std::string read_until(std::string_view text, int timeout_ms = 5000) {
    std::string out;
    while (out.find(text) == std::string::npos && read_some(out, timeout_ms)) {
    }
    return out;
  }
  // True when the peer closed (or reset) within the time; what it said before is dropped.
  bool closed_within(int timeout_ms) {
    pollfd entry{fd_, POLLIN, 0};
    char buffer[16384];
    while (::poll(&entry, 1, timeout_ms) > 0) {
      if (::recv(fd_, buffer, sizeof(buffer), 0) <= 0) return true;
    }
    return false;
  }
  void reset() {  // RST instead of FIN
    const linger option{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &option, sizeof(option));
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// Calls the script for each connection, one after the other, on a thread of its own.
class RawServer {
 public:
  using Script = std::function<void(RawSocket&, int number)>;
  explicit RawServer(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = RawSocket::loopback(0);
    socklen_t size = sizeof(address);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_, 64);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~RawServer() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  int port() const { return port_; }
  std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  bool stopping() const { return stopping_; }
  int connections() const { return connections_; }

 private:
  void run() {
    while (!stopping_) {
      pollfd entry{listener_, POLLIN, 0};
      if (::poll(&entry, 1, 10) <= 0) continue;
      RawSocket socket(::accept(listener_, nullptr, nullptr));
      if (socket.open()) script_(socket, connections_++);
    }
  }

  Script script_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// A request of the server that does not wait for long.
inline Request get(const RawServer& server) {
  return {.url = server.url("/v1"),
          .connect_timeout_ms = 2000,
          .idle_timeout_ms = 3000,
          .total_timeout_ms = 5000};
}

// Reads a request's head, then says the bytes.
inline RawServer::Script says(std::string bytes) {
  return [bytes](RawSocket& socket, int) {
    socket.read_until("\r\n\r\n");
    socket.write(bytes);
  };
}

inline void pause_ms(int duration_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms));
}

}  // namespace retort::http
