// The answer of an HTTP server: read at once and in pieces it is the same, or two readers of one
// connection would disagree about where an answer ends.
#include <string>

#include "http/answer_internal.h"
#include "target.h"

namespace {

struct Read {
  bool done = false, broken = false, reusable = false;
  int status = 0;
  std::string body;
  bool operator==(const Read&) const = default;
};

Read read(std::string_view bytes, size_t piece) {
  Read out;
  retort::http::AnswerReader reader(
      /*head_only=*/false, {[&](const retort::http::Response& head) { out.status = head.status; },
                            [&](std::string_view part) { out.body += part; }});
  for (size_t at = 0; at < bytes.size(); at += piece) reader.feed(bytes.substr(at, piece));
  reader.end();
  out.done = reader.done();
  out.broken = reader.broken();
  out.reusable = reader.reusable();
  if (out.done == out.broken) __builtin_trap();  // one of the two, once the connection has ended
  if (out.broken && reader.why().empty()) __builtin_trap();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = retort::fuzz::text_of(data, size);
  const Read whole = read(bytes, size + 1);
  if (whole.body.size() > size) __builtin_trap();
  if (whole.done && (whole.status < 200 || whole.status > 999)) __builtin_trap();
  for (const size_t piece : {size_t{1}, size_t{7}}) {
    if (!(read(bytes, piece) == whole)) __builtin_trap();
  }
  return 0;
}
