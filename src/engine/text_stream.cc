#include "engine/text_stream_internal.h"

#include <algorithm>
#include <cstdint>

namespace retort::engine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Bytes of the character that the text begins with; 0: it may still become one; -1: it is none.
int character(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return 1;
  const int size = lead >= 0xF0 && lead < 0xF5   ? 4
                   : lead >= 0xE0 && lead < 0xF0 ? 3
                   : lead >= 0xC2 && lead < 0xE0 ? 2
                                                 : -1;
  if (size < 0) return -1;
  for (int i = 1; i < size; ++i) {
    if (static_cast<size_t>(i) >= text.size()) return 0;
    const auto next = static_cast<uint8_t>(text[static_cast<size_t>(i)]);
    uint8_t low = 0x80, high = 0xBF;
    if (i == 1 && lead == 0xE0) low = 0xA0;
    if (i == 1 && lead == 0xED) high = 0x9F;
    if (i == 1 && lead == 0xF0) low = 0x90;
    if (i == 1 && lead == 0xF4) high = 0x8F;
    if (next < low || next > high) return -1;
  }
  return size;
}

// Whole characters of `bytes`; `used` says how many bytes they were.
std::string whole_characters(std::string_view bytes, size_t& used) {
  std::string out;
  used = 0;
  while (used < bytes.size()) {
    const int size = character(bytes.substr(used));
    if (size == 0) break;
    if (size < 0) {
      out += kReplacement;
      ++used;
    } else {
      out += bytes.substr(used, static_cast<size_t>(size));
      used += static_cast<size_t>(size);
    }
  }
  return out;
}

// How many last bytes of the text begin a stop string.
size_t begun(std::string_view text, const std::string& stop) {
  for (size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size) {
    if (text.substr(text.size() - size) == std::string_view(stop).substr(0, size)) return size;
  }
  return 0;
}

}  // namespace

std::string TextStream::feed(std::string_view bytes) {
  if (stopped()) return "";
  held_ += bytes;
  size_t end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t found = stop.empty() ? std::string::npos : held_.find(stop);
    if (found >= end) continue;
    end = found;
    stopped_by_ = stop;
  }
  if (stopped()) {
    held_.resize(end);
    return finish();
  }
  size_t back = 0;
  for (const std::string& stop : stops_) {
    if (!stop.empty()) back = std::max(back, begun(held_, stop));
  }
  size_t used = 0;
  std::string out = whole_characters(std::string_view(held_).substr(0, held_.size() - back), used);
  held_.erase(0, used);
  return out;
}

std::string TextStream::finish() {
  size_t used = 0;
  std::string out = whole_characters(held_, used);
  if (used < held_.size()) out += kReplacement;
  held_.clear();
  return out;
}

}  // namespace retort::engine
