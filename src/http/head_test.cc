#include "http/head_internal.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>

#include "http/file_limit_internal.h"
#include "http/server_testing_internal.h"

namespace retort::http {
namespace {

struct Refused {
  std::string bytes;
  int status = 400;
};

// Each is refused with its status, the connection closes, and the handler never runs.
TEST(HttpServerTest, DoubtfulRequestsAreRefusedBeforeTheHandler) {
  std::atomic<int> handled{0};
  const auto server = started([&](ServerRequest request, std::shared_ptr<Responder> responder) {
    ++handled;
    echo(std::move(request), std::move(responder));
  });
  const std::string host = "Host: localhost\r\n";
  const std::string get = "GET / HTTP/1.1\r\n" + host;
  const std::string post = "POST / HTTP/1.1\r\n" + host;
  std::string many = get;
  for (int i = 0; i < 64; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  const std::vector<Refused> cases = {
      {get + "X-A: 1\r\n folded\r\n\r\n"},
      {get + "\tX-A: 1\r\n\r\n"},
      {get + host + "\r\n"},
      {"GET / HTTP/1.1\r\n\r\n"},
      {"GET / HTTP/1.1\r\nHost: \r\n\r\n"},
      {"GET / HTTP/1.1\r\nHost: localhost#a\r\n\r\n"},
      {"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n"},
      {"GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n"},
      {post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"},
      {post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na"},
      {post + "Content-Length: 1, 1\r\n\r\na"},
      {post + "Content-Length: +1\r\n\r\na"},
      {post + "Content-Length: -1\r\n\r\na"},
      {post + "Content-Length: 0x1\r\n\r\na"},
      {post + "Content-Length: \r\n\r\na"},
      {post + "Content-Length: 99999999999999999999\r\n\r\na"},
      {post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n0\r\n\r\n"},
      {"POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n"},
      {post + "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: 1\r\n\r\n"},
      {post + "Transfer-Encoding: chunked\r\n\r\n0000000000000003\r\nabc\r\n"},
      {post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"},
      {post + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", 413},
      {post + "Content-Length: 4194305\r\n\r\n", 413},
      {post + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", 415},
      {post + "Expect: magic\r\nContent-Length: 1\r\n\r\na", 417},
      {"GET / HTTP/1.1\nHost: localhost\n\n"},
      {"GET / HTTP/1.1\r\nHost: localhost\n\r\n"},
      {"GET / HTTP/1.1\r\nHost: local\rhost\r\n\r\n"},
      {get + "X-A: a\rb\r\n\r\n"},
      {get + std::string("X-A: a\0b\r\n\r\n", 12)},
      {get + "X-A : 1\r\n\r\n"},
      {get + "X A: 1\r\n\r\n"},
      {get + ": 1\r\n\r\n"},
      {get + "X-A\r\n\r\n"},
      {get + "X-A: \x01\r\n\r\n"},
      {get + "X-\xc3\xa9: 1\r\n\r\n"},
      {many + "\r\n", 431},
      {get + "X-A: " + std::string(17 << 10, 'a') + "\r\n\r\n", 431},
      {"GET /" + std::string(17 << 10, 'a') + " HTTP/1.1\r\n", 431},
      {"\r\nGET / HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /\r\n\r\n"},
      {"GET  / HTTP/1.1\r\n" + host + "\r\n"},
      {"GET / HTTP/1.1 \r\n" + host + "\r\n"},
      {"GET / http/1.1\r\n" + host + "\r\n"},
      {"G(T / HTTP/1.1\r\n" + host + "\r\n"},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET http://localhost/v1/models HTTP/1.1\r\n" + host + "\r\n"},
      {"CONNECT localhost:80 HTTP/1.1\r\n" + host + "\r\n"},
      {"GET * HTTP/1.1\r\n" + host + "\r\n"},
      {"GET //v1/models HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1//models HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1/../health HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1/. HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /%2e%2e/health HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1%00 HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1%0d%0a HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1%5cmodels HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1\\models HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1;a=b/models HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1%2 HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1%zz HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1#a HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /v1?a#b HTTP/1.1\r\n" + host + "\r\n"},
      {"GET /\xc3\xa9 HTTP/1.1\r\n" + host + "\r\n"},
      {"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
      {"GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 403},
      {"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403},
      {get + "Origin: https://evil.example\r\n\r\n", 403},
      {get + "Origin: null\r\n\r\n", 403}};
  for (const Refused& refused : cases) {
    const std::string answer = ask(*server, refused.bytes);
    const std::string shown = refused.bytes.substr(0, 120);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + std::to_string(refused.status) + " "))
        << shown << "\n"
        << answer.substr(0, 60);
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << shown;
    EXPECT_EQ(answer.find("HTTP/1.1 ", 1), std::string::npos) << shown;
  }
  EXPECT_EQ(handled, 0);
}

TEST(HttpServerTest, PlainRequestsOfUsualClientsPass) {
  const auto server = started();
  for (const auto& [bytes, body] : std::vector<std::pair<std::string, std::string>>{
           {"GET /v1/models/org%2Fname HTTP/1.1\r\n" + kEnd, "GET|v1|models|org/name?#"},
           {"GET /v1/models/ HTTP/1.1\r\n" + kEnd, "GET|v1|models|?#"},
           {"GET /%76%31 HTTP/1.1\r\n" + kEnd, "GET|v1?#"},
           {"GET /%252e%252e HTTP/1.1\r\n" + kEnd, "GET|%2e%2e?#"},
           {"OPTIONS * HTTP/1.1\r\n" + kEnd, "OPTIONS|*?#"},
           {"GET /a?b=/../%20 HTTP/1.1\r\n" + kEnd, "GET|a?b=/../%20#"},
           {"GET / HTTP/1.1\r\nOrigin: http://localhost:3000\r\n" + kEnd, "GET|?#"},
           {"GET / HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n", "GET|?#"},
           {"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n", "GET|?#"},
           {"GET / HTTP/1.1\r\nUser-Agent: caf\xc3\xa9\r\nX-Empty:\r\n" + kEnd, "GET|?#"}}) {
    EXPECT_TRUE(ask(*server, bytes).ends_with("\r\n\r\n" + body)) << bytes;
  }
}

TEST(HeadTest, LoopbackHosts) {
  for (const char* host : {"localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const char* host : {"", "0.0.0.0", "128.0.0.1", "127.0.0.1.nip.io", "localhost.", "[::]"}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

TEST(HeadTest, ChunksDecodeInAnyPieces) {
  const std::string stream = "4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\nnext";
  for (size_t i = 0; i <= stream.size(); ++i) {
    ChunkedDecoder decoder(100);
    std::string bytes = stream.substr(0, i);
    EXPECT_EQ(decoder.feed(bytes).status, 0);
    bytes += stream.substr(i);
    EXPECT_EQ(decoder.feed(bytes).status, 0);
    EXPECT_TRUE(decoder.done());
    EXPECT_EQ(decoder.take(), "Wikipedia");
    EXPECT_EQ(bytes, "next");
  }
  ChunkedDecoder small(8);
  std::string bytes = stream;
  EXPECT_EQ(small.feed(bytes).status, 413);
}

TEST(FileLimitTest, RisesAsFarAsTheSystemAllows) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 256;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(connections_with_files(200), 200);
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  EXPECT_EQ(now.rlim_cur, 328u);
  EXPECT_LE(connections_with_files(int64_t{1} << 40), static_cast<int64_t>(before.rlim_max));
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace retort::http
