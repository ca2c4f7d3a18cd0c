#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "http/server_testing_internal.h"

namespace retort::http {
namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// Writes what its answers rest on as late as it may, and slowly.
struct Keeper {
  std::mutex mutex;
  std::atomic<int> handled{0}, kept{0}, writes{0};

  void handle(const ServerRequest&, const std::shared_ptr<Responder>& responder) {
    const int number = ++handled;
    EXPECT_TRUE(before_answers_leave(this, [this] {
      const std::lock_guard lock(mutex);
      const int now = handled;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++writes;
      kept = now;
    }));
    responder->reply({200, {}, "<" + std::to_string(number) + ">"});
  }
};

// Numbers of so many answers, as they came; each is checked against what was kept by then.
void read_answers(RawSocket& socket, int count, const std::function<void(int)>& check) {
  std::string got;
  size_t looked_at = 0;
  while (count > 0 && socket.read_some(got, 5000)) {
    for (size_t end = 0; (end = got.find('>', looked_at)) != std::string::npos; --count) {
      check(std::atoi(got.c_str() + got.rfind('<', end) + 1));
      looked_at = end + 1;
    }
  }
  EXPECT_EQ(count, 0) << got;
}

TEST(TurnTest, NoAnswerLeavesBeforeWhatItRestsOnIsKept) {
  Keeper keeper;
  const auto server =
      started([&](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
        keeper.handle(request, responder);
      });
  constexpr int kClients = 4, kRounds = 20, kTogether = 3;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      RawSocket socket = RawSocket::connect(server->port());
      for (int round = 0; round < kRounds; ++round) {
        socket.write(repeated(kGet, kTogether));
        read_answers(socket, kTogether, [&](int number) { EXPECT_LE(number, keeper.kept.load()); });
      }
    });
  }
  for (auto& one : clients) one.join();
  EXPECT_EQ(keeper.handled.load(), kClients * kRounds * kTogether);
}

TEST(TurnTest, OneWriteForAllThatCameTogether) {
  Keeper keeper;
  std::atomic<bool> held{true}, inside{false};
  const auto server = started(
      [&](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
        if (request.query == "hold") {
          inside = true;
          while (held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        keeper.handle(request, responder);
      },
      {.threads = 1});
  const auto none = [](int) {};
  std::vector<RawSocket> others;
  for (int i = 0; i < 5; ++i) {
    others.push_back(RawSocket::connect(server->port()));
    others.back().write(kGet);
    read_answers(others.back(), 1, none);
  }
  RawSocket first = RawSocket::connect(server->port());
  const int before = keeper.writes;
  first.write("GET /?hold HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (!inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (auto& one : others) one.write(kGet);  // while the only thread is held up
  held = false;
  read_answers(first, 1, none);
  for (auto& one : others) read_answers(one, 1, none);
  EXPECT_EQ(keeper.writes - before, 2) << "one for the first, one for all the others";
}

TEST(TurnTest, NobodyElseHasATurn) {
  EXPECT_FALSE(before_answers_leave(this, [] { ADD_FAILURE(); }));
}

TEST(TurnTest, RequestsReadTogetherHaveOneTurnAndLaterOnesAnother) {
  const auto server =
      started([](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
        responder->reply({200, {}, "<" + std::to_string(request.turn) + ">"});
      });
  RawSocket socket = RawSocket::connect(server->port()), other = RawSocket::connect(server->port());
  std::vector<int> turns;
  const auto ask = [&](RawSocket& on, int together) {
    on.write(repeated(kGet, together));
    read_answers(on, together, [&](int turn) { turns.push_back(turn); });
  };
  ask(socket, 2);
  ask(socket, 1);
  ask(other, 1);
  ASSERT_EQ(turns.size(), 4u);
  EXPECT_GT(turns[0], 0);
  EXPECT_EQ(turns[1], turns[0]);
  EXPECT_GT(turns[2], turns[1]);
  EXPECT_GT(turns[3], turns[2]);
}

}  // namespace
}  // namespace retort::http
