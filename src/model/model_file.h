// A model on disk, opened for reading tensor by tensor: a GGUF file or a Hugging Face folder
// (config.json, model.safetensors or its index) of a kind in config.h, behind one list of names,
// Hugging Face's, and one order of rows. The files are mapped, so that what is not read costs
// nothing. Immutable after opening, safe from any thread.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/gguf.h"
#include "artifact/safetensors.h"
#include "base/result.h"
#include "model/config.h"

namespace retort::model {

// A tensor as its file holds it, [rows, cols], rows gapless.
struct StoredTensor {
  artifact::TensorType type = artifact::TensorType::f32;
  std::span<const uint8_t> bytes;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t row_bytes = 0;
  // Heads whose rows llama.cpp keeps in pairs (i, i + D/2) beside each other; 0: none.
  int64_t paired_heads = 0;

  // The bytes of row `index` in Hugging Face's order.
  std::span<const uint8_t> row(int64_t index) const;
};

class ModelFile {
 public:
  // Checks that every tensor of the configuration is there, has its shape and a type that can be
  // read, and that there are no biases or head norms beyond; names what is not so.
  static Result<ModelFile> open(const std::string& path);

  const std::string& path() const { return path_; }
  const Config& config() const { return config_; }
  // "model.layers.0.self_attn.q_proj.weight"; a name outside tensor_list() is a programmer's
  // mistake.
  const StoredTensor& tensor(std::string_view name) const;
  // The GGUF file, for its tokenizer; nullptr for a folder.
  const artifact::GgufFile* gguf() const { return gguf_.get(); }

 private:
  explicit ModelFile(std::string path) : path_(std::move(path)) {}
  Result<void> open_gguf();
  Result<void> open_folder();

  std::string path_;
  Config config_;
  std::unique_ptr<artifact::GgufFile> gguf_;
  std::vector<std::unique_ptr<artifact::SafetensorsFile>> parts_;
  std::map<std::string, StoredTensor, std::less<>> tensors_;
};

}  // namespace retort::model
