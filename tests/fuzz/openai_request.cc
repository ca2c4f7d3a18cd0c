// Bodies of requests to both doors, and what is printed of those that are taken.
#include "json/value.h"
#include "openai/request.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto body = retort::fuzz::text_of(data, size);
  if (const auto chat = retort::openai::parse_chat_request(body)) {
    const auto text = retort::json::dump(print_request(*chat));
    if (!retort::openai::parse_chat_request(text)) __builtin_trap();
  }
  if (const auto plain = retort::openai::parse_completion_request(body)) {
    const auto text = retort::json::dump(print_request(*plain));
    if (!retort::openai::parse_completion_request(text)) __builtin_trap();
  }
  return 0;
}
