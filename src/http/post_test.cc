#include "http/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

#include "http/post.h"
#include "http/raw_testing.h"

namespace retort::http {
namespace {

bool reaches_the_internet(const std::string& text) {
  sockaddr_storage room{};
  if (text.find(':') == std::string::npos) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(room);
    v4.sin_family = AF_INET;
    EXPECT_EQ(::inet_pton(AF_INET, text.c_str(), &v4.sin_addr), 1) << text;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(room);
    v6.sin6_family = AF_INET6;
    EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr), 1) << text;
  }
  return is_public(reinterpret_cast<const sockaddr&>(room));
}

TEST(AddressTest, WhatLiesBehindTheWallIsNotPublic) {
  for (const char* text : {"0.0.0.0",
                           "10.1.2.3",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.8.8.8",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.168.1.1",
                           "192.0.2.1",
                           "198.19.255.255",
                           "203.0.113.9",
                           "224.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "fe80::1",
                           "fc00::1",
                           "fd12::1",
                           "ff02::1",
                           "::ffff:127.0.0.1",
                           "::ffff:10.0.0.1",
                           "64:ff9b::a00:1",
                           "2002:7f00:1::",
                           "2001:db8::1"}) {
    EXPECT_FALSE(reaches_the_internet(text)) << text;
  }
  for (const char* text : {"1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.255.255",
                           "172.32.0.1", "192.167.255.255", "198.17.255.255", "198.20.0.1",
                           "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"}) {
    EXPECT_TRUE(reaches_the_internet(text)) << text;
  }
}

// Answers with a status after it read a request whole.
struct Receiver {
  explicit Receiver(std::string answer)
      : server([this, answer](RawSocket& socket, int) {
          ++asked;
          said = socket.read_until("{}");
          socket.write(answer);
        }) {}
  int asked = 0;
  std::string said;
  RawServer server;
};

TEST(PostTest, GoesToPrivateAddressesOnlyWhereThatIsSaid) {
  Receiver receiver("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  const std::string url = receiver.server.url("/hook");
  Post asked{.url = url, .headers = {{"X-Test", "a"}}, .body = "{}"};
  EXPECT_EQ(post(asked).error().code, ErrorCode::usage) << "plain http";
  asked.url = "https" + url.substr(4);
  EXPECT_EQ(post(asked).error().code, ErrorCode::upstream);
  asked.url = "https://localhost:" + std::to_string(receiver.server.port());
  EXPECT_EQ(post(asked).error().code, ErrorCode::upstream) << "what a name leads to counts";
  EXPECT_EQ(receiver.server.connections(), 0);
  asked = {.url = url, .headers = {{"X-Test", "a"}}, .body = "{}", .private_addresses = true};
  EXPECT_EQ(*post(asked), 204);
  EXPECT_NE(receiver.said.find("POST /hook HTTP/1.1\r\n"), std::string::npos);
  EXPECT_NE(receiver.said.find("X-Test: a\r\n"), std::string::npos);
}

TEST(PostTest, FollowsNoRedirectAndTakesNoOddHeader) {
  Receiver receiver(
      "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\n"
      "Content-Length: 0\r\nConnection: close\r\n\r\n");
  Post asked{.url = receiver.server.url(), .body = "{}", .private_addresses = true};
  EXPECT_EQ(*post(asked), 307);
  asked.headers = {{"X-Test", "a\r\nX-Other: b"}};
  EXPECT_EQ(post(asked).error().code, ErrorCode::usage);
  for (const char* url : {"ftp://example.com/", "https://user:word@example.com/", "nonsense", ""}) {
    asked = {.url = url, .private_addresses = true};
    EXPECT_FALSE(check_post(asked).ok()) << url;
  }
}

}  // namespace
}  // namespace retort::http
