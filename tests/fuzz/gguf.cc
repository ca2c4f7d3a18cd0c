// A model file of GGUF: its directory, what it says of the model, its tokenizer, its tensors.
#include "artifact/gguf.h"

#include <vector>

#include "model/gguf_names.h"
#include "target.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = retort::artifact::GgufFile::parse({data, size}, "input");
  if (!file) return 0;
  (void)retort::model::config_from_gguf(*file);
  std::vector<float> values;
  for (const auto& tensor : file->tensors()) {
    // The engine asks for no tensor of another shape than the config's.
    if (tensor.elements > int64_t{1} << 20) continue;
    values.resize(static_cast<size_t>(tensor.elements));
    (void)file->read(tensor, values);
  }
  const auto tokenizer = retort::tokenizer::load_tokenizer_gguf(*file);
  if (!tokenizer) return 0;
  (void)(*tokenizer)->decode((*tokenizer)->encode("Once upon a time 12,5 \xc3\xa9\xff"));
  (void)retort::tokenizer::ChatFormat::detect(**tokenizer);
  return 0;
}
