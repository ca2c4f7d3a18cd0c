// A safetensors file: its header, and its tensors as floats.
#include "artifact/safetensors.h"

#include <vector>

#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = retort::artifact::SafetensorsFile::parse({data, size}, "input");
  if (!file) return 0;
  std::vector<float> values;
  for (const auto& tensor : file->tensors()) {
    if (tensor.elements > int64_t{1} << 20) continue;
    values.resize(static_cast<size_t>(tensor.elements));
    (void)file->read(tensor, values);
  }
  return 0;
}
