// Asking a door over a real socket, for the room's tests.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "http/raw_testing.h"
#include "json/value.h"
#include "openai/sse.h"

namespace retort::serve {

using http::RawSocket;

inline std::string request_text(const std::string& line, const std::string& body,
                                const std::string& headers = "") {
  return line + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers +
         "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Got {
  int status = 0;
  std::string head;
  std::string body;
  json::Value json() const { return json::parse(body).value_or(json::Value()); }
  std::string error(const char* key) const {
    const json::Value root = json();
    const json::Value* error = root.find("error");
    const json::Value* value = error == nullptr ? nullptr : error->find(key);
    return value != nullptr && value->is_string() ? value->as_string() : "";
  }
};

// Takes the chunks of a stream apart.
inline std::string unchunked(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = std::stoul(text.substr(at), nullptr, 16);
    at = text.find("\r\n", at) + 2;
    out += text.substr(at, size);
    at += size + 2;
  }
  return out;
}

inline Got ask(int port, const std::string& bytes) {
  RawSocket socket = RawSocket::connect(port);
  socket.write(bytes);
  const std::string all = socket.read_all(5000);
  Got got;
  const size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos) return got;
  got.status = std::stoi(all.substr(9, 3));
  got.head = all.substr(0, end);
  got.body = all.substr(end + 4);
  if (got.head.find("chunked") != std::string::npos) got.body = unchunked(got.body);
  return got;
}

inline Got post(int port, const std::string& path, const std::string& body,
                const std::string& headers = "") {
  return ask(port, request_text("POST " + path, body, headers));
}

inline std::string chat_body(const std::string& more = "") {
  return R"({"model":"model","messages":[{"role":"user","content":"hi"}])" +
         (more.empty() ? "" : "," + more) + "}";
}

inline std::vector<openai::SseEvent> events_of(const std::string& body) {
  openai::SseDecoder decoder;
  auto events = decoder.feed(body);
  EXPECT_TRUE(events.ok());
  return *events;
}

inline bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 300; ++i) {
    if (holds()) return true;
    http::pause_ms(10);
  }
  return false;
}

}  // namespace retort::serve
