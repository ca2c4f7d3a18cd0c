// GGUF files, versions 2 and 3: typed metadata and a directory of tensors. The reader maps the file
// and trusts nothing in it: every count, length and product is checked against the bytes that are
// left before anything is allocated. Readers are immutable and safe from any thread; a writer has
// one. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "artifact/tensor_type.h"
#include "base/files.h"
#include "base/result.h"

namespace retort::artifact {

struct GgufArray {
  // In the order of the format's value type numbers; a vector of arrays is a nested array.
  std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>,
               std::vector<int16_t>, std::vector<uint32_t>, std::vector<int32_t>,
               std::vector<float>, std::vector<bool>, std::vector<std::string>,
               std::vector<GgufArray>, std::vector<uint64_t>, std::vector<int64_t>,
               std::vector<double>>
      items;
  bool operator==(const GgufArray&) const = default;
};

// index() is the format's value type number.
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               std::string, GgufArray, uint64_t, int64_t, double>;

// Keys in the order of the file; a writer writes them in this order.
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

struct GgufTensor {
  std::string name;
  std::vector<int64_t> dims;  // 1 to 4, the contiguous one first: a matrix is {columns, rows}
  TensorType type = TensorType::f32;
  int64_t elements = 0;
  int64_t size_bytes = 0;
  int64_t offset = 0;  // from the start of the file
};

class GgufFile {
 public:
  static Result<GgufFile> open(const std::string& path);
  // Reads the same from memory, which must outlive the result. `where` names it in errors.
  static Result<GgufFile> parse(std::span<const uint8_t> bytes, std::string where);

  const std::string& where() const { return where_; }
  uint32_t version() const { return version_; }
  const GgufMetadata& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find_tensor(std::string_view name) const;
  std::span<const uint8_t> bytes(const GgufTensor& tensor) const;
  // Dequantised; `to` has tensor.elements elements.
  Result<void> read(const GgufTensor& tensor, std::span<float> to) const;

  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Typed access: a missing key and a value of another kind are errors that name the key. With a
  // second argument a missing key is that value; another kind is still an error. Integers of any
  // width are int_at, both float widths number_at; integers, numbers and booleans never mix.
  Result<int64_t> int_at(std::string_view key, std::optional<int64_t> otherwise = {}) const;
  Result<double> number_at(std::string_view key, std::optional<double> otherwise = {}) const;
  Result<bool> bool_at(std::string_view key, std::optional<bool> otherwise = {}) const;
  Result<std::string> string_at(std::string_view key,
                                std::optional<std::string> otherwise = {}) const;
  Result<const std::vector<std::string>*> strings_at(std::string_view key) const;
  Result<std::vector<int64_t>> ints_at(std::string_view key) const;
  Result<std::vector<float>> floats_at(std::string_view key) const;

 private:
  GgufFile() = default;
  const GgufValue* find(std::string_view key) const;
  Error missing(std::string_view key) const;
  Error wrong_kind(std::string_view key, const GgufValue& value, const char* wanted) const;

  std::optional<base::MappedFile> file_;
  std::span<const uint8_t> all_;
  std::string where_;
  uint32_t version_ = 0;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> metadata_index_;
  std::map<std::string, size_t, std::less<>> tensor_index_;
};

struct GgufTensorSpec {
  std::string name;
  std::vector<int64_t> dims;  // the contiguous one first
  TensorType type = TensorType::f32;
};

// Writes version 3. The directory is written at creation, then the tensors are added in its order,
// so that a model larger than memory can pass through. Nothing is promised before finish().
class GgufWriter {
 public:
  static Result<GgufWriter> create(const std::string& path, const GgufMetadata& metadata,
                                   std::vector<GgufTensorSpec> tensors);
  // The next tensor, converted to its type (F32, F16, BF16, Q8_0).
  Result<void> add(std::span<const float> values);
  // The next tensor, in its file form.
  Result<void> add_bytes(std::span<const uint8_t> bytes);
  Result<void> finish();

 private:
  GgufWriter(base::FileWriter file, std::vector<GgufTensorSpec> tensors, std::string path)
      : file_(std::move(file)), tensors_(std::move(tensors)), path_(std::move(path)) {}
  Result<int64_t> expect_next(int64_t elements) const;

  base::FileWriter file_;
  std::vector<GgufTensorSpec> tensors_;
  std::string path_;
  size_t next_ = 0;
};

}  // namespace retort::artifact
