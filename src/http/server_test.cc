#include "http/server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "http/server_testing_internal.h"

namespace retort::http {
namespace {

TEST(HttpServerTest, AnswersAndKeepsTheConnection) {
  const auto server = started();
  RawSocket socket = RawSocket::connect(server->port());
  socket.write("POST /v1/a?x=1 HTTP/1.1\r\nHost: localhost:80\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(socket.read_until("#abc"),
            "HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: 17\r\n\r\nPOST|v1|a?x=1#abc");
  socket.write("GET /b HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(socket.read_until("GET|b?#").starts_with("HTTP/1.1 200"));
}

TEST(HttpServerTest, ReadsBodiesOfBothKindsInAnyPieces) {
  const auto server = started();
  const std::string chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + kEnd +
                              "3\r\nabc\r\nA\r\n0123456789\r\n"
                              "0\r\n\r\n";
  const std::string sized = "POST / HTTP/1.1\r\nContent-Length: 13\r\n" + kEnd + "abc0123456789";
  for (const std::string& request : {chunked, sized}) {
    RawSocket socket = RawSocket::connect(server->port());
    for (const char c : request) socket.write({&c, 1});
    EXPECT_TRUE(socket.read_all().ends_with("POST|?#abc0123456789")) << request;
  }
}

TEST(HttpServerTest, AnswersRequestsThatCameTogetherInOrder) {
  const auto server = started();
  EXPECT_EQ(
      ask(*server, "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\n" + kEnd),
      "HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: 7\r\n\r\nGET|1?#"
      "HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: 7\r\nConnection: close\r\n\r\nGET|2?#");
}

TEST(HttpServerTest, HeadHasNoBodyAndOldClientsNoKeepAlive) {
  const auto server = started();
  const std::string head = ask(*server, "HEAD /a HTTP/1.1\r\n" + kEnd);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_NE(head.find("Content-Length: 8\r\n"), std::string::npos) << head;
  EXPECT_TRUE(ask(*server, "GET /a HTTP/1.0\r\n\r\n").ends_with("GET|a?#"));
}

TEST(HttpServerTest, WaitsForTheBodyOfAnExpectingClient) {
  const auto server = started();
  RawSocket socket = RawSocket::connect(server->port());
  socket.write("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + kEnd);
  EXPECT_EQ(socket.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.write("ok");
  EXPECT_TRUE(socket.read_all().ends_with("#ok"));
}

TEST(HttpServerTest, AllowedHostsAreAddedToLoopback) {
  const auto server = started(echo, {.allowed_hosts = {"box.lan"}});
  EXPECT_TRUE(ask(*server, "GET / HTTP/1.1\r\nHost: BOX.lan:80\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 200"));
}

TEST(HttpServerTest, SlowHeadsAndBodiesRunOutOfTime) {
  const auto server =
      started(echo, {.head_timeout_ms = 150, .body_timeout_ms = 150, .idle_timeout_ms = 150});
  EXPECT_TRUE(ask(*server, "GET / HT").starts_with("HTTP/1.1 408"));
  EXPECT_TRUE(ask(*server, "POST / HTTP/1.1\r\nContent-Length: 8\r\n" + kEnd + "abc")
                  .starts_with("HTTP/1.1 408"));
  EXPECT_TRUE(ask(*server, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + kEnd + "3\r\n")
                  .starts_with("HTTP/1.1 408"));
  RawSocket idle = RawSocket::connect(server->port());
  EXPECT_TRUE(idle.closed_within(2000));
  // A byte now and then does not win time.
  RawSocket drip = RawSocket::connect(server->port());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 40 && drip.write("G") && !drip.closed_within(20); ++i) {
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(600));
}

TEST(HttpServerTest, TooManyConnectionsAreTurnedAway) {
  const auto server = started(echo, {.max_connections = 2});
  RawSocket first = RawSocket::connect(server->port());
  first.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  first.read_until("GET|?#");
  RawSocket second = RawSocket::connect(server->port());
  second.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  second.read_until("GET|?#");
  EXPECT_TRUE(RawSocket::connect(server->port()).read_all().starts_with("HTTP/1.1 503"));
  first.close();
  std::string answer;
  for (int i = 0; i < 100 && !answer.starts_with("HTTP/1.1 200"); ++i) {
    answer = ask(*server, "GET / HTTP/1.1\r\n" + kEnd);
  }
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
}

TEST(HttpServerTest, OneAddressCannotTakeAllConnections) {
  const auto answers = [](RawSocket& socket) {
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return socket.read_until("GET|?#");
  };
  const auto limited = started(echo, {.max_connections = 10, .max_connections_of_one = 1});
  RawSocket first = RawSocket::connect(limited->port());
  answers(first);
  EXPECT_TRUE(RawSocket::connect(limited->port()).read_all().starts_with("HTTP/1.1 503"));
  first.close();
  std::string answer;
  for (int i = 0; i < 100 && !answer.starts_with("HTTP/1.1 200"); ++i) {
    answer = ask(*limited, "GET / HTTP/1.1\r\n" + kEnd);
  }
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << "its place is free again";
  const auto behind =
      started(echo, {.max_connections = 10, .max_connections_of_one = 1, .proxies = {"127.0.0.1"}});
  RawSocket one = RawSocket::connect(behind->port());
  RawSocket other = RawSocket::connect(behind->port());
  answers(one);
  answers(other);
}

TEST(HttpServerTest, OverASocketOfBothIPv4AddressesAreCountedOneByOne) {
  const auto server =
      Server::start({.host = "::", .max_connections = 10, .max_connections_of_one = 1},
                    [](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
                      responder->reply({200, {}, "<" + request.address + ">"});
                    });
  if (!server) GTEST_SKIP() << "there is no IPv6 here: " << server.error().text();
  const auto answer = [](RawSocket& socket) {
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return socket.read_until(">");
  };
  RawSocket first = RawSocket::connect((*server)->port(), 0x7f000002);
  RawSocket other = RawSocket::connect((*server)->port(), 0x7f000003);
  EXPECT_NE(answer(first).find("<127.0.0.2>"), std::string::npos);
  EXPECT_NE(answer(other).find("<127.0.0.3>"), std::string::npos);
  RawSocket again = RawSocket::connect((*server)->port(), 0x7f000002);
  EXPECT_TRUE(again.read_all().starts_with("HTTP/1.1 503"));
}

// Hands the responder to a test.
struct Held {
  std::promise<std::shared_ptr<Responder>> promise;
  Handler handler() {
    return [this](ServerRequest, std::shared_ptr<Responder> responder) {
      promise.set_value(std::move(responder));
    };
  }
  std::shared_ptr<Responder> wait() { return promise.get_future().get(); }
};

TEST(HttpServerTest, StreamsPiecesAsTheyAreWritten) {
  Held held;
  const auto server = started(held.handler());
  RawSocket socket = RawSocket::connect(server->port());
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto responder = held.wait();
  responder->begin({200, {{"Content-Type", "text/event-stream"}}});
  EXPECT_TRUE(responder->write("abc"));
  EXPECT_EQ(socket.read_until("abc\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            "\r\n3\r\nabc\r\n");
  EXPECT_TRUE(responder->write(""));
  EXPECT_TRUE(responder->write("defghijklmnopqrs"));
  responder->finish();
  EXPECT_EQ(socket.read_until("0\r\n\r\n"), "10\r\ndefghijklmnopqrs\r\n0\r\n\r\n");
  EXPECT_FALSE(responder->write("late"));
  responder->reply({});
  EXPECT_FALSE(socket.closed_within(50));
}

// Pieces that the kernel takes at once and pieces that wait keep their order.
TEST(HttpServerTest, ALongStreamArrivesWholeAndInOrder) {
  Held held;
  const auto server = started(held.handler(), {.max_pending_bytes = 64 << 20});
  RawSocket socket = RawSocket::connect(server->port());
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const auto responder = held.wait();
  std::string expected, got;
  std::thread producer([&] {
    responder->begin({});
    for (int i = 0; i < 20'000; ++i) {
      responder->write(std::to_string(i) + std::string(900, '.'));
      if (i > 8000 && i % 50 == 0) pause_ms(1);  // the connection empties in between
    }
    responder->finish();
  });
  for (int i = 0; i < 20'000; ++i) {
    const std::string piece = std::to_string(i) + std::string(900, '.');
    expected += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
  }
  expected += "0\r\n\r\n";
  pause_ms(30);
  got = socket.read_all();
  producer.join();
  got.erase(0, got.find("\r\n\r\n") + 4);
  EXPECT_TRUE(got == expected) << got.size() << " bytes, " << expected.size() << " expected";
}

TEST(HttpServerTest, TheProducerLearnsThatTheClientLeft) {
  for (const bool streaming : {false, true}) {
    Held held;
    const auto server = started(held.handler());
    RawSocket socket = RawSocket::connect(server->port());
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const auto responder = held.wait();
    std::promise<void> gone;
    responder->on_gone([&] { gone.set_value(); });
    if (streaming) {
      responder->begin({});
      responder->write("abc");
      socket.read_until("abc");
    }
    socket.close();
    EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(2)), std::future_status::ready);
    EXPECT_FALSE(responder->write("more"));
    bool told = false;
    responder->on_gone([&] { told = true; });
    EXPECT_TRUE(told);
  }
}

TEST(HttpServerTest, AClientThatEndsItsSideGetsWhatIsReady) {
  const std::string large(8 << 20, 'x');
  const auto server = started([&](ServerRequest, std::shared_ptr<Responder> responder) {
    responder->reply({200, {}, large});
  });
  RawSocket ready = RawSocket::connect(server->port());
  ready.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ::shutdown(ready.fd(), SHUT_WR);
  pause_ms(50);
  EXPECT_GT(ready.read_all().size(), large.size());
  Held held;
  const auto waiting = started(held.handler());
  RawSocket early = RawSocket::connect(waiting->port());
  early.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto responder = held.wait();
  std::promise<void> gone;
  responder->on_gone([&] { gone.set_value(); });
  ::shutdown(early.fd(), SHUT_WR);
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(2)), std::future_status::ready);
  RawSocket half = RawSocket::connect(waiting->port());
  half.write("GET / HT");
  ::shutdown(half.fd(), SHUT_WR);
  EXPECT_TRUE(half.closed_within(2000));
}

TEST(HttpServerTest, ASlowReaderIsCutOff) {
  Held held;
  const auto server = started(held.handler(), {.max_pending_bytes = 100'000});
  RawSocket socket = RawSocket::connect(server->port());
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto responder = held.wait();
  std::atomic<int> gone{0};
  responder->on_gone([&] { ++gone; });
  responder->begin({});
  const std::string piece(10'000, 'x');
  int written = 0;
  // The kernel takes some megabytes; what it does not take is bounded.
  while (written < 100'000 && responder->write(piece)) ++written;
  EXPECT_LT(written, 100'000);
  EXPECT_EQ(gone, 1);
  const std::string got = socket.read_all(3000);
  EXPECT_FALSE(got.ends_with("0\r\n\r\n"));
}

TEST(HttpServerTest, AReaderThatTakesNothingLosesItsConnectionInTime) {
  Held held;
  const auto server =
      started(held.handler(), {.max_pending_bytes = 64 << 20, .send_timeout_ms = 200});
  RawSocket socket = RawSocket::connect(server->port());
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto responder = held.wait();
  std::promise<void> gone;
  responder->on_gone([&] { gone.set_value(); });
  responder->begin({});
  responder->write(std::string(32 << 20, 'x'));
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
}

TEST(HttpServerTest, ADroppedRequestIsAnswered) {
  const auto fresh = started([](ServerRequest, std::shared_ptr<Responder>) {});
  EXPECT_TRUE(ask(*fresh, "GET / HTTP/1.1\r\n" + kEnd).starts_with("HTTP/1.1 500"));
  const auto throws = started(
      [](ServerRequest, std::shared_ptr<Responder>) { throw std::runtime_error("broken"); });
  EXPECT_TRUE(ask(*throws, "GET / HTTP/1.1\r\n" + kEnd).starts_with("HTTP/1.1 500"));
  const auto half = started([](ServerRequest, std::shared_ptr<Responder> responder) {
    responder->begin({});
    responder->write("abc");
  });
  const std::string cut = ask(*half, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(cut.ends_with("3\r\nabc\r\n")) << cut;
}

TEST(HttpServerTest, HeaderValuesCannotBeginNewLines) {
  const auto server = started([](ServerRequest, std::shared_ptr<Responder> responder) {
    responder->reply({200, {{"X-A", "b\r\nX-Evil: 1"}}, ""});
  });
  const std::string answer = ask(*server, "GET / HTTP/1.1\r\n" + kEnd);
  EXPECT_NE(answer.find("X-A: b  X-Evil: 1\r\n"), std::string::npos);
}

TEST(HttpServerTest, RefusalsTakeTheGivenShape) {
  const auto server =
      started(echo, {.error_reply = [](int status, const std::string& reason) {
                return Reply{
                    status, {{"Content-Type", "application/json"}}, "{\"why\":\"" + reason + "\"}"};
              }});
  EXPECT_TRUE(ask(*server, "GET / HTTP/1.1\r\n\r\n").ends_with("{\"why\":\"Host is missing\"}"));
}

TEST(HttpServerTest, ManyClientsAtOnce) {
  const auto server = started([](ServerRequest request, std::shared_ptr<Responder> responder) {
    std::thread([request = std::move(request), responder = std::move(responder)] {
      responder->begin({});
      for (int i = 0; i < 20; ++i) responder->write(request.body);
      responder->finish();
    }).detach();
  });
  Client client(ClientOptions{.max_connections = 32});
  std::atomic<int> right{0};
  std::vector<std::future<void>> waits;
  for (int i = 0; i < 200; ++i) {
    auto done = std::make_shared<std::promise<void>>();
    waits.push_back(done->get_future());
    const std::string body = "<" + std::to_string(i) + ">";
    client.send({.method = "POST",
                 .url = "http://127.0.0.1:" + std::to_string(server->port()) + "/a",
                 .body = body},
                [&, body, done](Outcome outcome) {
                  std::string expected;
                  for (int k = 0; k < 20; ++k) expected += body;
                  if (outcome.ok() && outcome.response.body == expected) ++right;
                  done->set_value();
                });
  }
  for (auto& wait : waits) wait.wait();
  EXPECT_EQ(right, 200);
}

TEST(HttpServerTest, StopLetsAnswersEndAndClosesIdleConnections) {
  Held held;
  const auto server = started(held.handler());
  RawSocket idle = RawSocket::connect(server->port());
  RawSocket busy = RawSocket::connect(server->port());
  busy.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto responder = held.wait();
  std::thread stopper([&] { server->stop(); });
  EXPECT_TRUE(idle.closed_within(2000));
  responder->reply({200, {}, "whole"});
  EXPECT_TRUE(busy.read_all().ends_with("whole"));
  stopper.join();
  EXPECT_FALSE(RawSocket::connect(server->port()).open());
  EXPECT_FALSE(responder->write("after the end"));
}

TEST(HttpServerTest, StopCutsWhatDoesNotEnd) {
  Held held;
  const auto server = started(held.handler(), {.drain_timeout_ms = 100});
  RawSocket busy = RawSocket::connect(server->port());
  busy.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto responder = held.wait();
  std::atomic<bool> gone{false};
  responder->on_gone([&] { gone = true; });
  server->stop();
  EXPECT_TRUE(gone);
  EXPECT_TRUE(busy.closed_within(1000));
}

TEST(HttpServerTest, AddressesThatCannotBeTakenAreErrors) {
  const auto server = started();
  const auto taken = Server::start({.port = server->port()}, echo);
  ASSERT_FALSE(taken.ok());
  EXPECT_NE(taken.error().where.find(std::to_string(server->port())), std::string::npos);
  EXPECT_FALSE(Server::start({.host = "203.0.113.7"}, echo).ok());
  EXPECT_FALSE(Server::start({.host = "no such host"}, echo).ok());
}

}  // namespace
}  // namespace retort::http
