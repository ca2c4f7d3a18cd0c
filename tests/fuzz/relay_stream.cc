// What an upstream answers, on its way through the door: cut anywhere it passes as the same bytes
// and counts, which stay within what was reserved; what has passed would pass again.
#include <string>

#include "openai/error.h"
#include "relay/fault.h"
#include "relay/meter.h"
#include "target.h"

namespace {

using retort::relay::Asked;
using retort::relay::Meter;
using retort::relay::Usage;

struct Passed {
  bool refused = false, whole = false;
  std::string bytes, answer;
  Usage usage;
};

Asked asked() {
  Asked out;
  out.input_tokens_most = 1000;
  out.input_tokens_likely = 20;
  out.output_tokens_most = 100;
  return out;
}

void check_usage(const Usage& usage, const Usage& before) {
  const auto within = [](int64_t low, int64_t value, int64_t high) {
    return low <= value && value <= high;
  };
  if (!within(0, usage.input_tokens, 1000) ||
      !within(before.output_tokens, usage.output_tokens, 100)) {
    __builtin_trap();
  }
}

Passed pass(std::string_view bytes, size_t piece) {
  Passed out;
  Meter meter(asked());
  for (size_t at = 0; at < bytes.size() && !out.refused; at += piece) {
    const auto passed = meter.stream(bytes.substr(at, piece));
    out.refused = !passed;
    if (passed) out.bytes += *passed;
    // What was estimated of pieces ends where the upstream counts, and at the end.
    const bool counts = meter.whole() || meter.usage().told != out.usage.told;
    check_usage(meter.usage(), counts ? Usage{} : out.usage);
    out.usage = meter.usage();
  }
  out.whole = meter.whole();
  out.answer = meter.answer();
  return out;
}

bool same(const Usage& a, const Usage& b) {
  return a.input_tokens == b.input_tokens && a.output_tokens == b.output_tokens && a.told == b.told;
}

void check_stream(std::string_view bytes) {
  const Passed whole = pass(bytes, bytes.size() + 1);
  for (const size_t piece : {size_t{1}, size_t{7}}) {
    const Passed cut = pass(bytes, piece);
    if (cut.refused != whole.refused) __builtin_trap();
    if (whole.refused) continue;
    if (cut.bytes != whole.bytes || cut.answer != whole.answer || cut.whole != whole.whole ||
        !same(cut.usage, whole.usage)) {
      __builtin_trap();
    }
  }
  if (whole.refused) return;
  const Passed again = pass(whole.bytes, whole.bytes.size() + 1);
  if (again.refused || again.bytes != whole.bytes || again.answer != whole.answer) {
    __builtin_trap();
  }
}

void check_fault(std::string_view bytes) {
  for (const int status : {301, 400, 401, 429, 500, 503, 599}) {
    retort::http::Response response;
    response.status = status;
    response.headers.emplace_back("Retry-After", bytes.substr(0, 80));
    const auto fault = retort::relay::fault_of(response, bytes);
    if (fault.error.status < 400 || fault.error.message.empty()) __builtin_trap();
    const auto printed = print_error(fault.error);
    const auto read = retort::openai::parse_error(fault.error.status, printed);
    if (read.message != fault.error.message) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  const auto bytes = retort::fuzz::text_of(data, size);
  check_stream(bytes);
  Meter meter(asked());
  (void)meter.body(bytes);
  check_usage(meter.usage(), {});
  check_fault(bytes);
  return 0;
}
