#include <algorithm>
#include <charconv>

#include "base/ascii.h"
#include "http/answer_internal.h"
#include "http/head_internal.h"

namespace retort::http {
namespace {

constexpr size_t kSizeBytesMax = 256;  // of a chunk's size with its extensions and line end
constexpr size_t kSizeDigitsMax = 12;

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Whether one of the words between commas is this one.
bool names(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (is_same_word(base::trimmed(list.substr(0, comma), kBlanks), word)) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

}  // namespace

bool AnswerReader::break_off(std::string why) {
  state_ = State::broken;
  why_ = std::move(why);
  return false;
}

void AnswerReader::feed(std::string_view bytes) {
  while (!bytes.empty() && !stopped_ && state_ != State::done && state_ != State::broken) {
    if (!step(bytes)) return;
  }
  if (state_ == State::done && !bytes.empty()) excess_ = true;
}

void AnswerReader::end() {
  if (state_ == State::until_end) {
    state_ = State::done;
  } else if (state_ != State::done && state_ != State::broken) {
    break_off(state_ == State::head && !status_seen_ && line_.empty()
                  ? "did not come: the connection was closed"
                  : "ended before its end");
  }
}

// False when more bytes are needed, or none.
bool AnswerReader::step(std::string_view& bytes) {
  switch (state_) {
    case State::head:
      return read_head(bytes);
    case State::body:
      return pass(bytes, State::done);
    case State::chunk_size:
      return read_size(bytes);
    case State::chunk:
      return pass(bytes, State::chunk_end);
    case State::chunk_end:
      return read_chunk_end(bytes);
    case State::trailers:
      return read_trailer(bytes);
    case State::until_end:
      left_ = std::ssize(bytes);
      return pass(bytes, State::until_end);
    case State::done:
    case State::broken:
      break;
  }
  return false;
}

// A line without its end; false when it has not ended, or is longer than that.
bool AnswerReader::take_line(std::string_view& bytes, size_t most, std::string_view& line) {
  const size_t feed = bytes.find('\n');
  const std::string_view part = bytes.substr(0, feed);
  if (line_.size() + part.size() + 1 > most) {
    too_large_ = state_ == State::head;
    return break_off("has a line that is too long");
  }
  const bool ended = feed != std::string_view::npos;
  bytes.remove_prefix(ended ? feed + 1 : bytes.size());
  if (!ended || !line_.empty()) line_ += part;
  if (!ended) return false;
  line = part;
  if (!line_.empty()) {
    held_ = std::exchange(line_, {});
    line = held_;
  }
  if (!line.ends_with('\r')) return break_off("has a line that does not end in CR LF");
  line.remove_suffix(1);
  return true;
}

bool AnswerReader::read_head(std::string_view& bytes) {
  std::string_view line;
  if (!take_line(bytes, kAnswerHeadBytesMax - head_bytes_, line)) return false;
  head_bytes_ += line.size() + 2;
  return take_head_line(line);
}

bool AnswerReader::take_head_line(std::string_view line) {
  if (!status_seen_) return read_status(line);
  if (line.empty()) return finish_head();
  return read_header(line);
}

bool AnswerReader::read_status(std::string_view line) {
  constexpr size_t kStatusAt = 9;
  http10_ = line.starts_with("HTTP/1.0 ");
  const std::string_view digits = line.substr(std::min(line.size(), kStatusAt), 3);
  const bool whole =
      line.size() == kStatusAt + 3 || (line.size() > kStatusAt + 3 && line[kStatusAt + 3] == ' ');
  if ((!http10_ && !line.starts_with("HTTP/1.1 ")) || digits.size() != 3 || !is_digits(digits) ||
      !whole || !is_field_value(line)) {
    return break_off("is no HTTP/1.1");
  }
  std::from_chars(digits.data(), digits.data() + digits.size(), response_.status);
  if (response_.status < 100) return break_off("has a status that is none");
  status_seen_ = true;
  constexpr size_t kUsual = 8;
  response_.headers.reserve(kUsual);
  return true;
}

bool AnswerReader::read_header(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return break_off("has a header whose name is no token directly before a colon");
  }
  const auto value = base::trimmed(line.substr(colon + 1), kBlanks);
  if (!is_field_value(value)) return break_off("has a header with a control character");
  response_.headers.emplace_back(line.substr(0, colon), value);
  return true;
}

bool AnswerReader::finish_head() {
  if (response_.status == 101) return break_off("changes the protocol, which nobody asked for");
  if (response_.status < 200) {  // the real head follows
    status_seen_ = false;
    response_ = {};
    return true;
  }
  if (!begin_body()) return false;
  if (sink_.on_head) sink_.on_head(response_);
  return true;
}

bool AnswerReader::begin_body() {
  const auto length = only_header(response_.headers, "Content-Length");
  const auto coding = only_header(response_.headers, "Transfer-Encoding");
  if (!length || !coding) return break_off("tells the length of its body twice");
  keep_alive_ = !http10_;
  for (const auto& [name, value] : response_.headers) {
    if (is_same_word(name, "Connection") && names(value, "close")) keep_alive_ = false;
  }
  const bool has_length = find_header(response_.headers, "Content-Length") != nullptr;
  const bool has_coding = find_header(response_.headers, "Transfer-Encoding") != nullptr;
  if (has_length && has_coding) return break_off("tells the length of its body in two ways");
  if (has_length) {
    if (!is_digits(*length) || length->size() > 15) {
      return break_off("has a Content-Length that is no number");
    }
    std::from_chars(length->data(), length->data() + length->size(), length_);
  }
  if (has_coding && (!is_same_word(*coding, "chunked") || http10_)) {
    return break_off("has a Transfer-Encoding that is not chunked");
  }
  if (head_only_ || response_.status == 204 || response_.status == 304 || length_ == 0) {
    state_ = State::done;
  } else if (has_coding) {
    state_ = State::chunk_size;
  } else if (has_length) {
    left_ = length_;
    state_ = State::body;
  } else {
    keep_alive_ = false;
    state_ = State::until_end;
  }
  return true;
}

bool AnswerReader::read_size(std::string_view& bytes) {
  std::string_view line;
  if (!take_line(bytes, kSizeBytesMax, line)) return false;
  auto digits = line.substr(0, line.find(';'));
  while (digits.ends_with(' ') || digits.ends_with('\t')) digits.remove_suffix(1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), left_, /*base=*/16);
  // from_chars takes a sign.
  if (error != std::errc() || end != digits.data() + digits.size() || digits.front() == '-' ||
      digits.size() > kSizeDigitsMax || !is_field_value(line)) {
    return break_off("has a chunk whose size is no number");
  }
  state_ = left_ == 0 ? State::trailers : State::chunk;
  return true;
}

bool AnswerReader::read_chunk_end(std::string_view& bytes) {
  std::string_view line;
  if (!take_line(bytes, kSizeBytesMax, line)) return false;
  if (!line.empty()) return break_off("has a chunk that does not end where it should");
  state_ = State::chunk_size;
  return true;
}

// Nobody here asked for one; the last line is empty.
bool AnswerReader::read_trailer(std::string_view& bytes) {
  std::string_view line;
  if (!take_line(bytes, kAnswerHeadBytesMax - head_bytes_, line)) return false;
  head_bytes_ += line.size() + 2;
  if (line.empty()) {
    state_ = State::done;
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) ||
      !is_field_value(line)) {
    return break_off("has a trailer that is no header");
  }
  return true;
}

bool AnswerReader::pass(std::string_view& bytes, State next) {
  const size_t count = std::min(static_cast<size_t>(left_), bytes.size());
  const auto piece = bytes.substr(0, count);
  bytes.remove_prefix(count);
  left_ -= static_cast<int64_t>(count);
  if (left_ == 0) state_ = next;
  if (sink_.on_body && !piece.empty()) sink_.on_body(piece);
  return true;
}

}  // namespace retort::http
