// Stands between a client and PostgreSQL and cuts the connection where its COMMIT passes.
#pragma once
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/files.h"

namespace retort::store {

enum class Cut {
  none,
  before,  // COMMIT never arrives
  after,   // it is carried out, the answer is lost
  late,    // the client has lost its connection already when COMMIT arrives
};

class CuttingProxy {
 public:
  // `choose` is asked at every COMMIT, from the threads of this proxy.
  CuttingProxy(const std::string& server_folder, std::function<Cut()> choose)
      : target_(server_folder + kName), choose_(std::move(choose)) {
    std::string folder = "/tmp/retort_cut_XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) std::abort();
    folder_ = folder;
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const auto address = address_of(folder_ + kName);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 64) != 0) {
      std::abort();
    }
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~CuttingProxy() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (auto& one : pairs_) one.join();
    ::close(listener_);
    (void)base::remove_all(folder_);
  }

  const std::string& folder() const { return folder_; }
  int cuts() const { return cuts_; }

 private:
  static constexpr const char* kName = "/.s.PGSQL.5432";

  static sockaddr_un address_of(const std::string& path) {
    sockaddr_un out{};
    out.sun_family = AF_UNIX;
    std::strncpy(out.sun_path, path.c_str(), sizeof out.sun_path - 1);
    return out;
  }

  void accept_all() {
    while (!ending_) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      pairs_.emplace_back([this, client] { carry(client); });
    }
  }

  // Until one side ends, or a COMMIT is cut.
  void carry(int client) {
    const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const auto address = address_of(target_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      pollfd ends[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      while (!ending_ && ::poll(ends, 2, 50) >= 0) {
        if (ends[0].revents != 0 && !from_client(client, server)) break;
        if (ends[1].revents != 0 && !pass(server, client)) break;
      }
    }
    ::close(client);
    ::close(server);
  }

  static bool write_all(int to, std::string_view bytes) {
    return ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL) == std::ssize(bytes);
  }
  static bool pass(int from, int to) {
    char bytes[65536];
    const ssize_t got = ::recv(from, bytes, sizeof bytes, 0);
    return got > 0 && write_all(to, {bytes, static_cast<size_t>(got)});
  }

  // libpq sends a COMMIT by itself and waits for the answer, so it is a piece of its own.
  bool from_client(int client, int server) {
    char bytes[65536];
    const ssize_t got = ::recv(client, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    const std::string_view piece(bytes, static_cast<size_t>(got));
    const bool commits = piece.size() >= 12 && piece[0] == 'Q' && piece.substr(5, 6) == "COMMIT";
    const Cut cut = commits ? choose_() : Cut::none;
    if (cut == Cut::none) return write_all(server, piece);
    ++cuts_;
    if (cut == Cut::late) {
      ::shutdown(client, SHUT_RDWR);
      base::system_clock().sleep_ms(300);
    }
    if (cut != Cut::before && write_all(server, piece)) {
      (void)::recv(server, bytes, sizeof bytes, 0);  // it is done
    }
    return false;
  }

  std::string target_, folder_;
  std::function<Cut()> choose_;
  int listener_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<int> cuts_{0};
  std::thread acceptor_;
  std::vector<std::thread> pairs_;
};

}  // namespace retort::store
