// For the room's tests: a server that says what it was asked, and a client of one request.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "http/raw_testing.h"
#include "http/server.h"

namespace retort::http {

// Answers with what it was asked.
inline void echo(ServerRequest request, std::shared_ptr<Responder> responder) {
  std::string text = request.method;
  for (const std::string& part : request.path) text += "|" + part;
  text += "?" + request.query + "#" + request.body;
  responder->reply({200, {{"X-Kind", "echo"}}, text});
}

inline std::unique_ptr<Server> started(Handler handler = echo, ServerOptions options = {}) {
  auto server = Server::start(options, std::move(handler));
  EXPECT_TRUE(server.ok()) << server.error().text();
  return std::move(*server);
}

// One request on a connection of its own, everything that came back.
inline std::string ask(const Server& server, std::string_view bytes) {
  RawSocket socket = RawSocket::connect(server.port());
  socket.write(bytes);
  return socket.read_all(2000);
}

inline const std::string kEnd = "Host: localhost\r\nConnection: close\r\n\r\n";

}  // namespace retort::http
