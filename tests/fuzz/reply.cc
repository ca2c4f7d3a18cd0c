// What a teacher answers a request with: a line of headers, one a line, an empty line, the body. It
// is judged, and no wait that it asks for is longer than the longest.
#include "collect/reply.h"

#include <array>

#include "collect/rate_headers.h"
#include "target.h"

namespace {

using retort::collect::Exchange;
using retort::collect::kLongestWait_ms;

constexpr int64_t kNow_ms = 1'790'000'000'000;

Exchange exchange_of(std::string_view bytes) {
  Exchange out;
  out.end = Exchange::End::answered;
  while (!bytes.empty() && bytes.front() != '\n') {
    const size_t end = bytes.find('\n');
    const auto line = bytes.substr(0, end);
    const size_t colon = line.find(':');
    out.headers.emplace_back(line.substr(0, colon),
                             colon == std::string_view::npos ? "" : line.substr(colon + 1));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
  out.body = bytes;
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Exchange exchange = exchange_of(retort::fuzz::text_of(data, size));
  for (const int status : {200, 302, 400, 401, 404, 429, 500, 503}) {
    exchange.status = status;
    const auto reply = retort::collect::judge(exchange, kNow_ms);
    if (reply.kind == retort::collect::ReplyKind::answer && status != 200) __builtin_trap();
    if (reply.kind != retort::collect::ReplyKind::answer && reply.why.empty()) __builtin_trap();
    const auto& wait = reply.retry_after_ms;
    if (wait && (*wait < 0 || *wait > kLongestWait_ms)) __builtin_trap();
    (void)retort::collect::judge_refused(exchange, kNow_ms);
  }
  return 0;
}
