#include "openai/sse.h"

#include <fmt/core.h>

namespace retort::openai {

std::string sse_event(std::string_view data) {
  std::string out = "data: ";
  for (size_t i = 0; i < data.size(); ++i) {
    const char c = data[i];
    if (c != '\n' && c != '\r') {
      out += c;
      continue;
    }
    if (c == '\r' && i + 1 < data.size() && data[i + 1] == '\n') ++i;
    out += "\ndata: ";
  }
  out += "\n\n";
  return out;
}

Result<std::vector<SseEvent>> SseDecoder::feed(std::string_view bytes) {
  std::vector<SseEvent> out;
  for (const char c : bytes) {
    if (failed_) break;
    const bool second_half = after_cr_ && c == '\n';
    after_cr_ = c == '\r';
    if (second_half) continue;
    if (c == '\n' || c == '\r') {
      take_line(out);
      line_.clear();
      continue;
    }
    line_ += c;
    const auto held = static_cast<int64_t>(line_.size() + event_.data.size());
    if (held > max_event_bytes_) failed_ = true;
  }
  if (failed_) {
    return base::bad_input(
        fmt::format("an event of the stream is larger than {} bytes", max_event_bytes_));
  }
  return out;
}

void SseDecoder::take_line(std::vector<SseEvent>& out) {
  std::string_view line = line_;
  if (at_start_ && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  at_start_ = false;
  if (line.empty()) {
    if (has_data_) out.push_back(std::move(event_));
    event_ = {};
    pending_ = has_data_ = false;
    return;
  }
  const size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = pending_ = true;
  } else if (field == "event") {
    event_.event = value;
    pending_ = true;
  }
}

}  // namespace retort::openai
