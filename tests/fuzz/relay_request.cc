// Bodies of requests that another server answers: whatever a client writes, what is sent on asks
// for the upstream's own model, within the bounds, and would be taken here again.
#include <algorithm>

#include "json/value.h"
#include "relay/request.h"
#include "target.h"

namespace {

using retort::relay::Asked;
using retort::relay::Bounds;
using retort::relay::Kind;

constexpr const char* kModel = "upstream-model";

void check(const Asked& asked, Kind kind, const Bounds& bounds) {
  const auto limit = std::min(bounds.max_tokens * asked.answers, bounds.max_request_tokens);
  if (asked.answers < 1 || asked.answers > bounds.max_answers) __builtin_trap();
  if (asked.output_tokens_most < 1 || asked.output_tokens_most > limit) __builtin_trap();
  if (asked.input_tokens_likely < 0 || asked.input_tokens_likely > asked.input_tokens_most) {
    __builtin_trap();
  }
  auto sent = retort::relay::parse_request(asked.body);
  if (!sent) __builtin_trap();
  const auto* model = retort::relay::model_of(*sent);
  if (model == nullptr || *model != kModel) __builtin_trap();
  const auto again = retort::relay::read_request(kind, std::move(*sent), kModel, bounds);
  // Members that are added here stand last, and the second time in another order.
  if (!again || again->body.size() != asked.body.size() || again->turns != asked.turns ||
      again->output_tokens_most != asked.output_tokens_most) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bounds bounds = {.max_tokens = 512, .max_answers = 16, .max_request_tokens = 4096};
  for (const Kind kind : {Kind::chat, Kind::completion}) {
    auto request = retort::relay::parse_request(retort::fuzz::text_of(data, size));
    if (!request) return 0;
    const auto asked = retort::relay::read_request(kind, std::move(*request), kModel, bounds);
    if (asked) check(*asked, kind, bounds);
    if (!asked && (asked.error().status != 400 || asked.error().message.empty())) __builtin_trap();
  }
  return 0;
}
