// A stream of events: cut anywhere, it is read as the same events.
#include "openai/sse.h"

#include <string>

#include "target.h"

namespace {

std::string read_in_pieces(std::string_view bytes, size_t piece) {
  retort::openai::SseDecoder decoder(256);
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const auto events = decoder.feed(bytes.substr(at, piece));
    if (!events) return "refused";
    for (const auto& event : *events) out += event.event + "\x01" + event.data + "\x02";
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  const auto bytes = retort::fuzz::text_of(data, size);
  if (read_in_pieces(bytes, size + 1) != read_in_pieces(bytes, 1)) __builtin_trap();
  return 0;
}
