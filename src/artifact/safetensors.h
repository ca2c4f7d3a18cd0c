// safetensors files: a JSON header and tensors without holes. The reader maps the file and trusts
// nothing in it. Readers are immutable and safe from any thread; a writer has one.
// Format: https://github.com/huggingface/safetensors#format
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace retort::artifact {

struct SafeTensor {
  std::string name;
  std::string dtype;           // "F32", "BF16", ...
  std::vector<int64_t> shape;  // row-major, outermost first; empty for a scalar
  int64_t elements = 0;
  int64_t size_bytes = 0;
  int64_t offset = 0;  // from the start of the file
};

// Bytes of one element; nothing for an unknown dtype.
std::optional<int64_t> safetensors_element_bytes(std::string_view dtype);

class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::string& path);
  // Reads the same from memory, which must outlive the result. `where` names it in errors.
  static Result<SafetensorsFile> parse(std::span<const uint8_t> bytes, std::string where);

  const std::string& where() const { return where_; }
  // In the order of their bytes.
  const std::vector<SafeTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const SafeTensor* find(std::string_view name) const;
  std::span<const uint8_t> bytes(const SafeTensor& tensor) const;
  // As floats; F32, F16 and BF16, others are refused by name. `to` has tensor.elements elements.
  Result<void> read(const SafeTensor& tensor, std::span<float> to) const;

 private:
  SafetensorsFile() = default;

  std::optional<base::MappedFile> file_;
  std::span<const uint8_t> all_;
  std::string where_;
  std::vector<SafeTensor> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

struct SafeTensorSpec {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
};

// The header is written at creation, then the tensors are added in the order given.
class SafetensorsWriter {
 public:
  static Result<SafetensorsWriter> create(const std::string& path,
                                          const std::map<std::string, std::string>& metadata,
                                          std::vector<SafeTensorSpec> tensors);
  // The next tensor, converted to F32, F16 or BF16.
  Result<void> add(std::span<const float> values);
  // The next tensor, in its file form.
  Result<void> add_bytes(std::span<const uint8_t> bytes);
  Result<void> finish();

 private:
  SafetensorsWriter(base::FileWriter file, std::vector<SafeTensor> tensors, std::string path)
      : file_(std::move(file)), tensors_(std::move(tensors)), path_(std::move(path)) {}

  base::FileWriter file_;
  std::vector<SafeTensor> tensors_;
  std::string path_;
  size_t next_ = 0;
};

}  // namespace retort::artifact
