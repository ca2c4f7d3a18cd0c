// The door before a scripted model, asked over real sockets.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "http/raw_testing.h"
#include "json/value.h"
#include "openai/sse.h"
#include "serve/server.h"
#include "serve/testing_internal.h"

namespace retort::serve {

struct Started {
  ScriptedBackend* backend = nullptr;
  std::unique_ptr<Server> server;
};

inline Started started(Script script = {}, Options options = {}, const std::string& id = "model") {
  auto backend = std::make_unique<ScriptedBackend>(std::move(script));
  Started out;
  out.backend = backend.get();
  options.port = 0;
  std::vector<Model> models;
  models.push_back({id, std::move(backend)});
  auto server = Server::start(options, std::move(models));
  EXPECT_TRUE(server.ok()) << server.error().text();
  out.server = std::move(*server);
  return out;
}

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

inline Got ask(const Started& door, const std::string& bytes) {
  http::RawSocket socket = http::RawSocket::connect(door.server->port());
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

inline Got post(const Started& door, const std::string& path, const std::string& body,
                const std::string& headers = "") {
  return ask(door, request_text("POST " + path, body, headers));
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

}  // namespace retort::serve
