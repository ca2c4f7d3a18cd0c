// What a server of the API answers: whole, in pieces of a stream, its list of models, its errors.
#include "json/value.h"
#include "openai/answer.h"
#include "openai/error.h"
#include "target.h"

namespace openai = retort::openai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto body = retort::fuzz::text_of(data, size);
  if (const auto answer = openai::parse_chat_answer(body); answer && !answer->error) {
    if (!openai::parse_chat_answer(print_chat_answer(*answer))) __builtin_trap();
  }
  if (const auto piece = openai::parse_chat_piece(body); piece && !piece->error) {
    if (!openai::parse_chat_piece(print_chat_piece(*piece, /*usage_follows=*/true))) {
      __builtin_trap();
    }
  }
  // Of log-probabilities a peer may leave out lists that are not left out here.
  if (const auto answer = openai::parse_completion(body); answer && !answer->error) {
    if (!retort::json::parse(print_completion(*answer))) __builtin_trap();
  }
  (void)openai::parse_models(body);
  const auto error = openai::parse_error(418, body);
  if (error.message.empty() || error.message.size() > 500) __builtin_trap();
  if (!retort::json::parse(print_error(error))) __builtin_trap();
  return 0;
}
