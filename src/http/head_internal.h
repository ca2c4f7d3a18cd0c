// The head of an HTTP/1.x request, read strictly: whatever another program could read differently
// is refused. Pure functions over bytes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/client.h"

namespace retort::http {

constexpr size_t kHeadBytesLimit = 16 << 10;
constexpr size_t kHeaderCountLimit = 64;
constexpr size_t kAnswerHeadBytesMax = 256 << 10;

// What may stand around a value.
constexpr std::string_view kBlanks = " \t";

// A token of RFC 9110: what methods and header names are made of.
bool is_token(std::string_view text);

struct Head {
  std::string method;
  std::vector<std::string> path;
  std::string query;
  Headers headers;
  bool http10 = false;
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  int64_t content_length = 0;  // when not chunked
  std::string host;            // without the port; "" when HTTP/1.0 sent none
};

// status 0: the head is good.
struct Refusal {
  int status = 0;
  std::string reason = {};
};

// Where the head ends (just behind the empty line), 0 when more bytes are needed. Sets the refusal
// as soon as the bytes cannot become a head: a bare CR or LF, NUL, too many bytes.
size_t find_head_end(std::string_view bytes, Refusal& refusal);

// `head` ends with the empty line.
Refusal parse_head(std::string_view bytes, Head& head);

// Decodes a chunked body as it comes. No extensions, no trailers: nobody who sends an API request
// needs them.
class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(int64_t max_bytes) : max_bytes_(max_bytes) {}
  // Takes what it can from the front of `bytes`.
  Refusal feed(std::string& bytes);
  bool done() const { return state_ == State::done; }
  std::string take() { return std::move(body_); }

 private:
  enum class State { size, data, data_end, last_end, done };
  bool step(std::string_view& bytes, Refusal& refusal);
  bool read_size(std::string_view& bytes, Refusal& refusal);

  int64_t max_bytes_;
  State state_ = State::size;
  int64_t left_ = 0;
  std::string body_;
};

// Whether this Host (or Origin's host) may ask a server that is bound to loopback.
bool is_allowed_host(std::string_view host, const std::vector<std::string>& allowed);
// The host of "http://host:port" or "https://host:port"; "" for anything else.
std::string origin_host(std::string_view origin);

}  // namespace retort::http
