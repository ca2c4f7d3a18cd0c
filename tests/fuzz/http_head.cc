// The head of an HTTP request and a chunked body behind it: both end at the same byte however they
// arrive, or two readers of one connection would disagree about where a request ends.
#include <algorithm>
#include <string>

#include "http/head_internal.h"
#include "target.h"

namespace {

using retort::http::Refusal;

constexpr int64_t kBodyBytesMax = 1 << 16;

struct Body {
  int refused = 0;  // a status
  bool whole = false;
  std::string text{}, rest{};
  bool operator==(const Body&) const = default;
};

Body read_chunks(std::string_view bytes, size_t piece) {
  Body out;
  retort::http::ChunkedDecoder decoder(kBodyBytesMax);
  std::string buffer;
  for (size_t at = 0; at < bytes.size() && out.refused == 0; at += piece) {
    buffer += bytes.substr(at, piece);
    if (!decoder.done()) out.refused = decoder.feed(buffer).status;
  }
  out.whole = decoder.done();
  if (out.refused != 0) return {.refused = out.refused};
  if (out.whole) out.rest = buffer;
  out.text = decoder.take();
  if (std::ssize(out.text) > kBodyBytesMax) __builtin_trap();
  return out;
}

// As the bytes come; nothing: the head has not ended, or was refused.
size_t find_end_in_pieces(std::string_view bytes, int& refused) {
  constexpr size_t kPiece = 5;
  for (size_t seen = 0; seen < bytes.size();) {
    seen = std::min(bytes.size(), seen + kPiece);
    Refusal refusal;
    const size_t end = retort::http::find_head_end(bytes.substr(0, seen), refusal);
    refused = refusal.status;
    if (end != 0 || refused != 0) return end;
  }
  return 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = retort::fuzz::text_of(data, size);
  Refusal refusal;
  const size_t end = retort::http::find_head_end(bytes, refusal);
  if (end > size) __builtin_trap();
  int refused = 0;
  if (size < 2048 && (find_end_in_pieces(bytes, refused) != end || refused != refusal.status)) {
    __builtin_trap();
  }
  if (refusal.status != 0 || end == 0) return 0;
  retort::http::Head head;
  if (retort::http::parse_head(bytes.substr(0, end), head).status != 0) return 0;
  // One way to find the end of a body, or another program reads a second request in it.
  if (head.content_length < 0 || (head.chunked && head.content_length != 0)) __builtin_trap();
  if (!head.chunked) return 0;
  const Body body = read_chunks(bytes.substr(end), size);
  for (const size_t piece : {size_t{1}, size_t{7}}) {
    if (!(read_chunks(bytes.substr(end), piece) == body)) __builtin_trap();
  }
  return 0;
}
