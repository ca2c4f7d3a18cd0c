// A client asked from a server's own loop, as the door asks its upstream.
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "http/direct_internal.h"
#include "http/raw_testing.h"
#include "http/server_testing_internal.h"

namespace retort::http {
namespace {

TEST(DirectTest, OnlyPlainAddressesAreAskedDirectly) {
  for (const char* url : {"http://127.0.0.1:8000/v1/a?b=c", "http://localhost/v1",
                          "http://[::1]:1/", "http://127.0.0.1"}) {
    EXPECT_TRUE(direct_target(url)) << url;
  }
  EXPECT_EQ(direct_target("http://127.0.0.1:8000/v1/a?b=c")->host, "127.0.0.1:8000");
  EXPECT_EQ(direct_target("http://127.0.0.1:8000/v1/a?b=c")->path, "/v1/a?b=c");
  EXPECT_EQ(direct_target("http://LOCALHOST:8000")->path, "/");
  for (const char* url :
       {"https://127.0.0.1/", "http://example.com/", "http://127.0.0.1.example.com/",
        "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://127.0.0.1:80x/",
        "http://u:p@127.0.0.1/", "http://127.0.0.1/a b", "http://127.0.0.1/a#b", "http://[::1/",
        "http://127.0.0.1/a\r\nX: y", "http://", "", "http://127.1/", "http://0x7f000001/"}) {
    EXPECT_FALSE(direct_target(url)) << url;
  }
}

// Sends from a loop of its own, and waits.
class OnLoop {
 public:
  OnLoop() : loop_(*Loop::make(1)), thread_([this] { loop_->run(); }) {}
  ~OnLoop() { stop(); }
  void stop() {
    loop_->stop();
    if (thread_.joinable()) thread_.join();
  }
  std::future<Outcome> send(Client& client, Request request, Handlers handlers = {},
                            std::promise<ExchangeId>* id = nullptr) {
    auto done = std::make_shared<std::promise<Outcome>>();
    handlers.on_done = [done](Outcome outcome) { done->set_value(std::move(outcome)); };
    loop_->post([&client, request, handlers, id] {
      const ExchangeId made = client.send(request, handlers);
      if (id != nullptr) id->set_value(made);
    });
    return done->get_future();
  }
  Outcome fetch(Client& client, const Request& request) { return send(client, request).get(); }

 private:
  std::shared_ptr<Loop> loop_;
  std::thread thread_;
};

TEST(DirectTest, SendsExactlyWhatItWasGivenAndReadsTheAnswer) {
  std::string seen;
  RawServer server([&](RawSocket& socket, int) {
    seen = socket.read_until("{\"a\":1}");
    socket.write(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nX-Request-Id: abc\r\n"
        "Content-Length: 5\r\n\r\nhello");
  });
  Client client(ClientOptions{.user_agent = "me"});
  OnLoop loop;
  Request request = get(server);
  request.method = "POST";
  request.headers = {{"Authorization", "Bearer k"}};
  request.body = "{\"a\":1}";
  const Outcome outcome = loop.fetch(client, request);
  ASSERT_TRUE(outcome.ok()) << outcome.error.text();
  EXPECT_TRUE(outcome.sent);
  EXPECT_EQ(outcome.response.status, 201);
  EXPECT_EQ(outcome.response.body, "hello");
  EXPECT_EQ(outcome.response.received_bytes, 5);
  EXPECT_EQ(*outcome.response.find("x-request-ID"), "abc");
  EXPECT_EQ(seen, "POST /v1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                      "\r\nAuthorization: Bearer k\r\nUser-Agent: me\r\nAccept: */*\r\n"
                      "Content-Length: 7\r\n\r\n{\"a\":1}");
}

TEST(DirectTest, RefusedPortsAndWrongRequestsWereNotSent) {
  int port = 0;
  {
    RawServer gone([](RawSocket&, int) {});
    port = gone.port();
  }
  Client client;
  OnLoop loop;
  for (const char* host : {"127.0.0.1:", "localhost:"}) {
    const Outcome outcome = loop.fetch(client, {.url = "http://" + (host + std::to_string(port))});
    EXPECT_EQ(outcome.failure, Failure::connect) << host;
    EXPECT_FALSE(outcome.sent);
    EXPECT_EQ(outcome.error.code, ErrorCode::upstream);
  }
  RawServer server(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  Request request = get(server);
  request.headers = {{"X-A", "b\r\nX-Evil: 1"}};
  EXPECT_EQ(loop.fetch(client, request).failure, Failure::invalid);
  request.headers = {{"X A", "b"}};
  EXPECT_EQ(loop.fetch(client, request).failure, Failure::invalid);
  request.headers = {};
  request.method = "GET /other HTTP/1.1\r\n";
  EXPECT_EQ(loop.fetch(client, request).failure, Failure::invalid);
  EXPECT_EQ(server.connections(), 0);
}

TEST(DirectTest, AHostileAnswerIsBrokenAndSaysWhere) {
  for (const char* answer :
       {"", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", "220 ftp ready\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"}) {
    RawServer server(says(answer));
    Client client;
    OnLoop loop;
    const Outcome outcome = loop.fetch(client, get(server));
    EXPECT_EQ(outcome.failure, Failure::broken) << answer;
    EXPECT_TRUE(outcome.sent);
    EXPECT_FALSE(outcome.error.message.empty());
    EXPECT_NE(outcome.error.where.find("/v1"), std::string::npos) << outcome.error.where;
  }
}

// What stands behind an answer must not become the answer to the next request.
TEST(DirectTest, BytesBehindAnAnswerAreNobodys) {
  RawServer server([](RawSocket& socket, int number) {
    socket.read_until("\r\n\r\n");
    socket.write(number == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"
                               "Content-Length: 4\r\n\r\nevil"
                             : "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    socket.closed_within(500);
  });
  Client client;
  OnLoop loop;
  EXPECT_EQ(loop.fetch(client, get(server)).response.body, "ok");
  EXPECT_EQ(loop.fetch(client, get(server)).response.body, "good");
}

TEST(DirectTest, AnIdleConnectionThatSpeaksOrClosesIsNotUsedAgain) {
  for (const bool speaks : {false, true}) {
    std::promise<void> done;
    RawServer server([&](RawSocket& socket, int number) {
      socket.read_until("\r\n\r\n");
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      if (number > 0) return;
      pause_ms(30);
      if (speaks) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
      if (speaks) socket.closed_within(1000);
      socket.close();
      done.set_value();
    });
    Client client;
    OnLoop loop;
    EXPECT_EQ(loop.fetch(client, get(server)).response.body, "ok");
    done.get_future().wait();
    pause_ms(30);
    EXPECT_EQ(loop.fetch(client, get(server)).response.body, "ok");
    EXPECT_EQ(server.connections(), 2);
  }
}

// A paid call must not be sent again.
TEST(DirectTest, ABrokenReusedConnectionIsNotAskedTwice) {
  std::atomic<int> requests{0};
  RawServer server([&](RawSocket& socket, int) {
    if (socket.read_until("\r\n\r\n").empty()) return;
    ++requests;
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (socket.read_until("\r\n\r\n").empty()) return;
    ++requests;
    socket.reset();
  });
  Client client;
  OnLoop loop;
  EXPECT_TRUE(loop.fetch(client, get(server)).ok());
  const Outcome second = loop.fetch(client, get(server));
  EXPECT_EQ(second.failure, Failure::broken);
  EXPECT_TRUE(second.sent);
  EXPECT_EQ(requests, 2);
}

TEST(DirectTest, SilenceRunsOutOfTimeAndLargeAnswersStop) {
  RawServer server([](RawSocket& socket, int number) {
    socket.read_until("\r\n\r\n");
    if (number == 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nab");
    if (number == 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    if (number == 2) socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const std::string piece(1000, 'b');
    for (int i = 0; number == 2 && i < 5000 && socket.write(piece); ++i) {
    }
    socket.closed_within(2000);
  });
  Client client;
  OnLoop loop;
  Request request = get(server);
  request.idle_timeout_ms = 150;
  const Outcome silent = loop.fetch(client, request);
  EXPECT_EQ(silent.failure, Failure::timed_out);
  EXPECT_TRUE(silent.sent);
  EXPECT_EQ(silent.response.body, "ab");
  request.max_response_bytes = 4000;
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = loop.fetch(client, request);
    EXPECT_EQ(outcome.failure, Failure::too_large) << i;
    EXPECT_LE(outcome.response.body.size(), 4000u);
  }
}

TEST(DirectTest, CancelEndsRunningAndWaitingExchanges) {
  std::promise<void> asked;
  RawServer server([&](RawSocket& socket, int number) {
    socket.read_until("\r\n\r\n");
    if (number == 0) asked.set_value();
    socket.closed_within(3000);
  });
  Client client(ClientOptions{.max_connections = 1});
  OnLoop loop;
  std::promise<ExchangeId> first_id, second_id;
  auto first = loop.send(client, get(server), {}, &first_id);
  auto second = loop.send(client, get(server), {}, &second_id);
  asked.get_future().wait();
  client.cancel(second_id.get_future().get());
  const Outcome never_sent = second.get();
  EXPECT_EQ(never_sent.failure, Failure::cancelled);
  EXPECT_FALSE(never_sent.sent);
  const ExchangeId id = first_id.get_future().get();
  client.cancel(id);
  const Outcome sent = first.get();
  EXPECT_EQ(sent.failure, Failure::cancelled);
  EXPECT_TRUE(sent.sent);
  client.cancel(id);  // long over: nothing happens
}

// Who waits for its turn gets it when one before it ends, however that ends.
TEST(DirectTest, WaitingExchangesFollowOneAnother) {
  RawServer server([](RawSocket& socket, int) {
    for (int i = 0; !socket.read_until("\r\n\r\n").empty(); ++i) {
      socket.write(i == 3 ? "broken" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      if (i == 3) return;
    }
  });
  Client client(ClientOptions{.max_connections = 1});
  OnLoop loop;
  std::vector<std::future<Outcome>> all;
  for (int i = 0; i < 10; ++i) all.push_back(loop.send(client, get(server)));
  int right = 0;
  for (auto& one : all) right += one.get().ok() ? 1 : 0;
  EXPECT_EQ(right, 8);
  EXPECT_EQ(server.connections(), 3);
}

TEST(DirectTest, TheEndOfTheClientOrOfTheLoopTellsEveryExchange) {
  for (const bool of_loop : {false, true}) {
    RawServer server([](RawSocket& socket, int) { socket.closed_within(3000); });
    OnLoop loop;
    auto client = std::make_unique<Client>(ClientOptions{.max_connections = 2});
    std::vector<std::future<Outcome>> all;
    std::promise<ExchangeId> last;
    for (int i = 0; i < 5; ++i) {
      all.push_back(loop.send(*client, get(server), {}, i == 4 ? &last : nullptr));
    }
    last.get_future().wait();
    of_loop ? loop.stop() : client.reset();
    for (auto& one : all) EXPECT_EQ(one.get().failure, Failure::cancelled);
  }
}

// A door before another server, over and over: everything on the door's own threads.
TEST(DirectTest, AServerThatAsksAnotherPassesEveryAnswerToWhoAsked) {
  const auto inner = started();
  Client client(ClientOptions{.max_connections = 8});
  std::atomic<int> direct{0};
  const auto outer = started([&](ServerRequest request, std::shared_ptr<Responder> responder) {
    const auto id =
        client.send({.method = "POST",
                     .url = "http://127.0.0.1:" + std::to_string(inner->port()) + "/a",
                     .body = request.body},
                    [responder](const Outcome& outcome) {
                      responder->reply({outcome.ok() ? 200 : 502, {}, outcome.response.body});
                    });
    if ((id >> 63) != 0) ++direct;
  });
  Client asking(ClientOptions{.max_connections = 32});
  std::atomic<int> right{0};
  std::vector<std::future<void>> waits;
  for (int i = 0; i < 300; ++i) {
    auto done = std::make_shared<std::promise<void>>();
    waits.push_back(done->get_future());
    const std::string body = "<" + std::to_string(i) + ">";
    asking.send({.method = "POST",
                 .url = "http://127.0.0.1:" + std::to_string(outer->port()) + "/",
                 .body = body},
                [&, body, done](const Outcome& outcome) {
                  if (outcome.response.body == "POST|a?#" + body) ++right;
                  done->set_value();
                });
  }
  for (auto& wait : waits) wait.wait();
  EXPECT_EQ(right, 300);
  EXPECT_EQ(direct, 300) << "nothing of it was handed to another thread";
}

}  // namespace
}  // namespace retort::http
