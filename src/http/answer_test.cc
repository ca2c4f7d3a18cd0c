#include <gtest/gtest.h>

#include "http/answer_internal.h"

namespace retort::http {
namespace {

struct Read {
  bool done = false, broken = false, reusable = false;
  int status = 0;
  int heads = 0;
  std::string body = {}, why = {};
};

// In pieces of so many bytes; `ends`: the connection does, behind them.
Read read(const std::string& bytes, size_t piece, bool ends = false, bool head_only = false) {
  Read out;
  AnswerReader reader(head_only, {[&](const Response& head) {
                                    out.status = head.status;
                                    ++out.heads;
                                  },
                                  [&](std::string_view part) { out.body += part; }});
  for (size_t at = 0; at < bytes.size(); at += piece) {
    reader.feed(std::string_view(bytes).substr(at, piece));
  }
  if (ends) reader.end();
  out.done = reader.done();
  out.broken = reader.broken();
  out.reusable = reader.reusable();
  out.why = reader.why();
  return out;
}

struct Good {
  const char* what;
  std::string bytes;
  std::string body;
  bool reusable = true;
  bool ends = false;
};

TEST(AnswerTest, WhatIsTakenIsTakenInAnyPieces) {
  const std::vector<Good> all = {
      {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
      {"no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok"},
      {"none", "HTTP/1.1 204 No Content\r\n\r\n", ""},
      {"empty", "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", ""},
      {"chunks",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n"
       "0\r\n\r\n",
       "abc0123456789"},
      {"extensions and trailers",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;name=value\r\nabc\r\n2 "
       ";x=\"y\"\r\nde\r\n"
       "0;last\r\nX-Sum: 12\r\nServer-Timing: a;dur=1\r\n\r\n",
       "abcde"},
      {"interim",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 "
       "OK\r\nContent-Length: 2\r\n\r\nok",
       "ok"},
      {"close", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", "ok",
       /*reusable=*/false},
      {"old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false},
      {"until the end", "HTTP/1.1 200 OK\r\n\r\nsome text", "some text", false, /*ends=*/true},
      {"more behind it", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", "ok",
       false}};
  for (const auto& one : all) {
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}, one.bytes.size()}) {
      const Read got = read(one.bytes, piece, one.ends);
      EXPECT_TRUE(got.done) << one.what << ": " << got.why;
      EXPECT_EQ(got.body, one.body) << one.what;
      EXPECT_EQ(got.heads, 1) << one.what;
      EXPECT_EQ(got.reusable, one.reusable) << one.what << ", pieces of " << piece;
    }
  }
}

TEST(AnswerTest, TheAnswerToHeadHasNoBodyWhateverItSays) {
  const Read got =
      read("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 5, false, /*head_only=*/true);
  EXPECT_TRUE(got.done && got.reusable);
  EXPECT_EQ(got.status, 200);
}

TEST(AnswerTest, WhatTwoReadersCouldReadInTwoWaysIsBroken) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  for (const std::string& bytes : std::vector<std::string>{
           "220 ftp ready\r\n\r\n",
           "HTTP/2 200 OK\r\n\r\n",
           "HTTP/1.1 2x0 OK\r\n\r\n",
           "HTTP/1.1 2000 OK\r\n\r\n",
           "HTTP/1.1  200 OK\r\n\r\n",
           "HTTP/1.1 099 Low\r\n\r\n",
           "HTTP/1.1 101 Switching\r\n\r\n",
           "\r\n" + ok + "\r\n",
           "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
           ok + "Content-Length: 2\n\r\nok",
           ok + "Content-Length : 2\r\n\r\nok",
           ok + "Content-Length: 2\r\n folded\r\n\r\nok",
           ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
           ok + "Content-Length: 2, 2\r\n\r\nok",
           ok + "Content-Length: -2\r\n\r\nok",
           ok + "Content-Length: +2\r\n\r\nok",
           ok + "Content-Length: 0x2\r\n\r\nok",
           ok + "Content-Length: 1234567890123456\r\n\r\nok",
           ok + "Content-Length:\r\n\r\nok",
           ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           ok + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           ok + "X-A: b\rc\r\n\r\n",
           ok + std::string("X-A: b\0c\r\n\r\n", 12),
           ok + "no colon\r\n\r\n"}) {
    for (const size_t piece : {size_t{1}, bytes.size()}) {
      const Read got = read(bytes, piece);
      EXPECT_TRUE(got.broken) << bytes;
      EXPECT_FALSE(got.reusable || got.done) << bytes;
      EXPECT_FALSE(got.why.empty()) << bytes;
    }
  }
}

TEST(AnswerTest, ChunksAreReadStrictly) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& rest : std::vector<std::string>{
           "3;" + std::string(300, 'x') + "\r\nabc\r\n0\r\n\r\n", ";x\r\nabc\r\n",
           "3;a\rb\r\nabc\r\n", "zz\r\nabc\r\n", "-3\r\nabc\r\n", "\r\nabc\r\n", "0x3\r\nabc\r\n",
           " 3\r\nabc\r\n", "3\nabc\n0\n\n", "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n",
           "ffffffffffffffff\r\nabc\r\n", "00000000000000003\r\nabc\r\n", "0\r\nno colon\r\n\r\n",
           "0\r\nX Y: a\r\n\r\n", "0\r\nX: " + std::string(300 << 10, 'x') + "\r\n\r\n"}) {
    EXPECT_TRUE(read(head + rest, 1).broken) << rest;
    EXPECT_TRUE(read(head + rest, head.size() + rest.size()).broken) << rest;
  }
}

TEST(AnswerTest, AnEndBeforeTheEndIsBroken) {
  for (const char* bytes :
       {"", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n"}) {
    const Read got = read(bytes, 4, /*ends=*/true);
    EXPECT_TRUE(got.broken) << bytes;
    EXPECT_FALSE(got.done) << bytes;
  }
}

TEST(AnswerTest, HeadsHaveABound) {
  const std::string line = "X-A: " + std::string(1000, 'a') + "\r\n";
  std::string many = "HTTP/1.1 200 OK\r\n", interim;
  while (many.size() < (300 << 10)) many += line;
  while (interim.size() < (300 << 10)) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_TRUE(read(many, 4096).broken);
  EXPECT_TRUE(read(interim, 4096).broken) << "interim answers count too";
  EXPECT_TRUE(read("HTTP/1.1 200 " + std::string(300 << 10, 'a'), 4096).broken) << "without end";
}

}  // namespace
}  // namespace retort::http
