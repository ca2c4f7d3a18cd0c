#include "http/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "http/raw_testing.h"

namespace retort::http {
namespace {

TEST(HttpClientTest, SendsExactlyWhatItWasGivenAndReadsTheAnswer) {
  std::string seen;
  RawServer server([&](RawSocket& socket, int) {
    seen = socket.read_until("{\"a\":1}");
    socket.write(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nX-Request-Id: abc\r\n"
        "Content-Length: 5\r\n\r\nhello");
  });
  Client client;
  Request request = get(server);
  request.method = "POST";
  request.headers = {{"Authorization", "Bearer k"}, {"Content-Type", "application/json"}};
  request.body = "{\"a\":1}";
  const Outcome outcome = client.fetch(request);
  ASSERT_TRUE(outcome.ok()) << outcome.error.text();
  EXPECT_TRUE(outcome.sent);
  EXPECT_EQ(outcome.response.status, 201);
  EXPECT_EQ(outcome.response.body, "hello");
  EXPECT_EQ(outcome.response.received_bytes, 5);
  ASSERT_NE(outcome.response.find("x-request-ID"), nullptr);
  EXPECT_EQ(*outcome.response.find("x-request-ID"), "abc");
  EXPECT_EQ(outcome.response.find("x-none"), nullptr);
  EXPECT_TRUE(seen.starts_with("POST /v1 HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("Authorization: Bearer k\r\n"), std::string::npos);
  EXPECT_NE(seen.find("Content-Length: 7\r\n"), std::string::npos);
  EXPECT_EQ(seen.find("Accept-Encoding"), std::string::npos);
  EXPECT_EQ(seen.find("Expect"), std::string::npos);
}

TEST(HttpClientTest, RefusedPortWasNotSent) {
  int port = 0;
  {
    RawServer gone([](RawSocket&, int) {});
    port = gone.port();
  }
  Client client;
  const Outcome outcome = client.fetch({.url = "http://127.0.0.1:" + std::to_string(port)});
  EXPECT_EQ(outcome.failure, Failure::connect);
  EXPECT_FALSE(outcome.sent);
  EXPECT_EQ(outcome.error.code, ErrorCode::upstream);
}

TEST(HttpClientTest, InvalidRequestsAreRefusedBeforeSending) {
  Client client;
  RawServer server(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  for (const char* url : {"", "file:///etc/passwd", "http://", "http://u:p@127.0.0.1/", "ftp://a/",
                          "http://127.0.0.1:99999/", "http://127.0.0.1/a\nb"}) {
    EXPECT_EQ(client.fetch({.url = url}).failure, Failure::invalid) << url;
  }
  Request request = get(server);
  request.headers = {{"X-A", "b\r\nX-Evil: 1"}};
  EXPECT_EQ(client.fetch(request).failure, Failure::invalid);
  request.headers = {{"X A", "b"}};
  EXPECT_EQ(client.fetch(request).failure, Failure::invalid);
  request.headers = {};
  request.method = "GET /other HTTP/1.1\r\n";
  EXPECT_EQ(client.fetch(request).failure, Failure::invalid);
  EXPECT_EQ(server.connections(), 0);
}

struct Broken {
  const char* name;
  std::string answer;
};

class HttpClientBrokenTest : public ::testing::TestWithParam<Broken> {};

TEST_P(HttpClientBrokenTest, HalfAnAnswerIsAnUnknownOutcome) {
  RawServer server(says(GetParam().answer));
  Client client;
  const Outcome outcome = client.fetch(get(server));
  EXPECT_EQ(outcome.failure, Failure::broken) << name(outcome.failure);
  EXPECT_TRUE(outcome.sent);
  EXPECT_FALSE(outcome.error.message.empty());
  EXPECT_NE(outcome.error.where.find("/v1"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, HttpClientBrokenTest,
    ::testing::Values(Broken{"nothing", ""}, Broken{"half_head", "HTTP/1.1 200 OK\r\nContent-"},
                      Broken{"short_length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
                      Broken{"no_last_chunk",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
                      Broken{"bad_chunk",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"},
                      Broken{"no_http", "220 ftp ready\r\n"}),
    [](const auto& broken) { return std::string(broken.param.name); });

TEST(HttpClientTest, ResetInTheBodyIsBrokenAndKeepsWhatCame) {
  RawServer server([](RawSocket& socket, int) {
    socket.read_until("\r\n\r\n");
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    pause_ms(50);
    socket.reset();
  });
  Client client;
  const Outcome outcome = client.fetch(get(server));
  EXPECT_EQ(outcome.failure, Failure::broken);
  EXPECT_EQ(outcome.response.status, 200);
  EXPECT_EQ(outcome.response.body, "abc");
}

// libcurl would send a request again when a reused connection breaks; a paid call must not be.
TEST(HttpClientTest, BrokenReusedConnectionIsNotAskedTwice) {
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
  EXPECT_TRUE(client.fetch(get(server)).ok());
  const Outcome second = client.fetch(get(server));
  EXPECT_EQ(second.failure, Failure::broken);
  EXPECT_TRUE(second.sent);
  EXPECT_EQ(requests, 2);
}

TEST(HttpClientTest, SilenceAndDripRunOutOfTime) {
  RawServer server([](RawSocket& socket, int number) {
    socket.read_until("\r\n\r\n");
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; number == 1 && i < 100 && socket.write("x"); ++i) pause_ms(20);
    socket.closed_within(2000);
  });
  Client client;
  Request request = get(server);
  request.idle_timeout_ms = 150;
  const Outcome silent = client.fetch(request);
  EXPECT_EQ(silent.failure, Failure::timed_out);
  EXPECT_TRUE(silent.sent);
  request.idle_timeout_ms = 1500;
  request.total_timeout_ms = 300;
  const Outcome drip = client.fetch(request);
  EXPECT_EQ(drip.failure, Failure::timed_out);
  EXPECT_GT(drip.response.received_bytes, 2);
}

TEST(HttpClientTest, LargeAnswersStopAtTheLimit) {
  RawServer server([](RawSocket& socket, int number) {
    socket.read_until("\r\n\r\n");
    if (number == 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    if (number == 1) socket.write("HTTP/1.1 200 OK\r\n\r\n");
    if (number == 2) socket.write("HTTP/1.1 200 OK\r\n");
    const std::string piece =
        number == 2 ? "X-A: " + std::string(1000, 'a') + "\r\n" : std::string(1000, 'b');
    for (int i = 0; i < 5000 && socket.write(piece); ++i) {
    }
  });
  Client client;
  Request request = get(server);
  request.max_response_bytes = 4000;
  for (int i = 0; i < 3; ++i) {
    const Outcome outcome = client.fetch(request);
    EXPECT_EQ(outcome.failure, Failure::too_large) << i;
    EXPECT_LE(outcome.response.body.size(), 4000u);
  }
}

TEST(HttpClientTest, RedirectsAreAnswersAndCompressionStaysPacked) {
  RawServer server([](RawSocket& socket, int number) {
    socket.read_until("\r\n\r\n");
    // It says that it closes, as this server does: a client might ask again before it notices.
    socket.write(number == 0 ? "HTTP/1.1 302 Found\r\nLocation: /other\r\nConnection: close\r\n"
                               "Content-Length: 0\r\n\r\n"
                             : "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n"
                               "\r\n\x1f\x8b");
  });
  Client client;
  EXPECT_EQ(client.fetch(get(server)).response.status, 302);
  EXPECT_EQ(client.fetch(get(server)).response.body, "\x1f\x8b");
  EXPECT_EQ(server.connections(), 2);
}

TEST(HttpClientTest, PlainPeerBehindHttpsIsATlsFailureNotSent) {
  RawServer server([](RawSocket& socket, int) { socket.write("HTTP/1.1 200 OK\r\n\r\n"); });
  Client client;
  const Outcome outcome =
      client.fetch({.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/"});
  EXPECT_EQ(outcome.failure, Failure::tls);
  EXPECT_FALSE(outcome.sent);
}

TEST(HttpClientTest, PiecesArriveAsTheyCome) {
  std::promise<void> first_seen;
  RawServer server([&](RawSocket& socket, int) {
    socket.read_until("\r\n\r\n");
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    first_seen.get_future().wait();  // the second piece waits for the first to be handed over
    socket.write("3\r\ndef\r\n0\r\n\r\n");
  });
  Client client;
  std::string heads;
  std::string body;
  std::promise<Outcome> done;
  Handlers handlers;
  handlers.on_head = [&](const Response& head) { heads += std::to_string(head.status); };
  handlers.on_chunk = [&](std::string_view piece) {
    if (body.empty()) first_seen.set_value();
    body += piece;
  };
  handlers.on_done = [&](Outcome outcome) { done.set_value(std::move(outcome)); };
  client.send(get(server), std::move(handlers));
  const Outcome outcome = done.get_future().get();
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(heads, "200");
  EXPECT_EQ(body, "abcdef");
  EXPECT_TRUE(outcome.response.body.empty());
  EXPECT_EQ(outcome.response.received_bytes, 6);
}

TEST(HttpClientTest, CancelEndsRunningAndWaitingExchanges) {
  std::promise<void> asked;
  RawServer server([&](RawSocket& socket, int number) {
    socket.read_until("\r\n\r\n");
    if (number == 0) asked.set_value();
    socket.closed_within(3000);
  });
  Client client(ClientOptions{.max_connections = 1});
  std::promise<Outcome> running;
  std::promise<Outcome> waiting;
  const ExchangeId first =
      client.send(get(server), [&](Outcome outcome) { running.set_value(std::move(outcome)); });
  const ExchangeId second =
      client.send(get(server), [&](Outcome outcome) { waiting.set_value(std::move(outcome)); });
  asked.get_future().wait();
  client.cancel(second);
  const Outcome never_sent = waiting.get_future().get();
  EXPECT_EQ(never_sent.failure, Failure::cancelled);
  EXPECT_FALSE(never_sent.sent);
  client.cancel(first);
  const Outcome sent = running.get_future().get();
  EXPECT_EQ(sent.failure, Failure::cancelled);
  EXPECT_TRUE(sent.sent);
  client.cancel(first);  // long over: nothing happens
}

TEST(HttpClientTest, DestructionTellsEveryExchange) {
  RawServer server([](RawSocket& socket, int) { socket.closed_within(3000); });
  std::atomic<int> told{0};
  {
    Client client(ClientOptions{.max_connections = 2});
    for (int i = 0; i < 5; ++i) {
      client.send(get(server), [&](Outcome outcome) {
        if (outcome.failure == Failure::cancelled) ++told;
      });
    }
  }
  EXPECT_EQ(told, 5);
}

TEST(HttpClientTest, ConnectionsAreReusedAndCallbacksMaySend) {
  RawServer server([](RawSocket& socket, int) {
    while (!socket.read_until("\r\n\r\n").empty()) {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  Client client(ClientOptions{.max_connections = 1});
  std::promise<int> done;
  std::function<void(int)> next = [&](int count) {
    client.send(get(server), [&, count](Outcome outcome) {
      if (!outcome.ok() || count == 50) {
        done.set_value(count);
      } else {
        next(count + 1);
      }
    });
  };
  next(1);
  EXPECT_EQ(done.get_future().get(), 50);
  EXPECT_EQ(server.connections(), 1);
}

}  // namespace
}  // namespace retort::http
