// The head of an HTTP request and a chunked body behind it.
#include <string>

#include "http/head_internal.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = retort::fuzz::text_of(data, size);
  retort::http::Refusal refusal;
  const size_t end = retort::http::find_head_end(bytes, refusal);
  if (end > size) __builtin_trap();
  if (refusal.status != 0 || end == 0) return 0;
  retort::http::Head head;
  if (retort::http::parse_head(bytes.substr(0, end), head).status != 0) return 0;
  // One way to find the end of a body, or another program reads a second request in it.
  if (head.content_length < 0 || (head.chunked && head.content_length != 0)) __builtin_trap();
  if (!head.chunked) return 0;
  retort::http::ChunkedDecoder decoder(1 << 16);
  for (size_t at = end; at < size && !decoder.done(); at += 7) {
    std::string piece(bytes.substr(at, 7));
    if (decoder.feed(piece).status != 0) return 0;
  }
  if (decoder.take().size() > 1 << 16) __builtin_trap();
  return 0;
}
