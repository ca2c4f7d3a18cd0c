// Server-sent events (WHATWG HTML, "Server-sent events"): the frame of streamed answers.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace retort::openai {

// "data: ...\n\n"; a line break in the data becomes a second data line.
std::string sse_event(std::string_view data);
// What ends a stream of OpenAI's.
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";

struct SseEvent {
  std::string event = {};  // "" for the usual kind
  std::string data = {};
  bool done() const { return data == "[DONE]"; }
};

// Takes bytes as they come, cut anywhere; gives whole events. Comments, ids and retry times are
// dropped, a byte order mark is skipped, lines end in LF, CRLF or CR.
class SseDecoder {
 public:
  explicit SseDecoder(int64_t max_event_bytes = 1 << 20) : max_event_bytes_(max_event_bytes) {}

  // An event larger than the limit is an error, and so is everything after it.
  Result<std::vector<SseEvent>> feed(std::string_view bytes);
  // Nothing is half read: at the end of a stream false means that it was cut.
  bool at_border() const { return line_.empty() && !pending_; }

 private:
  void take_line(std::vector<SseEvent>& out);

  int64_t max_event_bytes_;
  std::string line_;
  SseEvent event_;
  bool pending_ = false;  // the event has a field
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
  bool failed_ = false;
};

}  // namespace retort::openai
