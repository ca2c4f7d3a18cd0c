// Reads the answer of an HTTP/1.x server as its bytes come. Taken are:
//
//   - a status line of HTTP/1.1 or HTTP/1.0, lines that end in CR LF, names that are tokens, values
//     without control characters; 256 KiB of head, interim answers (1xx but 101) included, which
//     are passed over
//   - no body, where the request was HEAD or the status is 204 or 304
//   - "Transfer-Encoding: chunked" alone, of HTTP/1.1; extensions of chunks and trailers,
//     within the head's limit altogether, are passed over
//   - one Content-Length of at most 15 digits, not beside a Transfer-Encoding
//   - neither: the end of the connection is the end of the body
//
// Everything else is broken, and so is an end before the end. What stands behind an answer belongs
// to no request: it is not read, and the connection is not to be used again. Pure; one thread.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "http/client.h"

namespace retort::http {

class AnswerReader {
 public:
  struct Sink {
    std::function<void(Response&)> on_head;  // once, of the answer itself; may take its headers
    std::function<void(std::string_view)> on_body = {};  // any number of times
  };
  enum class State { head, body, chunk_size, chunk, chunk_end, trailers, until_end, done, broken };

  AnswerReader(bool head_only, Sink sink) : head_only_(head_only), sink_(std::move(sink)) {}

  // Stops early when stop() was called from the sink.
  void feed(std::string_view bytes);
  // The connection has ended.
  void end();
  void stop() { stopped_ = true; }

  bool done() const { return state_ == State::done; }
  bool broken() const { return state_ == State::broken; }
  // Broken, as its head is larger than that.
  bool too_large() const { return too_large_; }
  // Of a broken one, for people: a sentence's end, as "the answer ...".
  const std::string& why() const { return why_; }
  // Whether another request may follow on the connection, once it is done.
  bool reusable() const { return done() && keep_alive_ && !excess_; }
  // As the head says; -1 where it does not.
  int64_t length() const { return length_; }

 private:
  bool step(std::string_view& bytes);
  bool take_line(std::string_view& bytes, size_t most, std::string_view& line);
  bool read_head(std::string_view& bytes);
  bool take_head_line(std::string_view line);
  bool read_status(std::string_view line);
  bool read_header(std::string_view line);
  bool finish_head();
  bool begin_body();
  bool read_size(std::string_view& bytes);
  bool read_chunk_end(std::string_view& bytes);
  bool read_trailer(std::string_view& bytes);
  bool pass(std::string_view& bytes, State next);
  bool break_off(std::string why);

  const bool head_only_;
  Sink sink_;
  State state_ = State::head;
  Response response_;
  std::string line_;       // what came of one that has not ended
  std::string held_;       // behind `line_`, what a view of it stands in
  size_t head_bytes_ = 0;  // with trailers
  int64_t left_ = 0;
  int64_t length_ = -1;
  bool http10_ = false, keep_alive_ = false, excess_ = false, stopped_ = false;
  bool status_seen_ = false, too_large_ = false;
  std::string why_;
};

}  // namespace retort::http
