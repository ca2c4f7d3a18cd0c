// tokenizer.json as a stranger's model folder has it, and text through what it made.
#include "target.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = retort::fuzz::text_of(data, size);
  const auto path = retort::fuzz::file_with("tokenizer.json", bytes);
  const auto tokenizer = retort::tokenizer::load_tokenizer_json(path);
  if (!tokenizer) return 0;
  (void)(*tokenizer)->decode((*tokenizer)->encode(bytes));
  (void)retort::tokenizer::ChatFormat::detect(**tokenizer);
  return 0;
}
