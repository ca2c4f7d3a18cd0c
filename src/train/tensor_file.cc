#include "train/tensor_file.h"

#include <fmt/core.h>

#include <bit>
#include <cstring>
#include <fstream>

#include "base/check.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "json/value.h"

namespace retort::train {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

std::string_view bytes_of(const model::TensorInfo& tensor, std::span<const float> block) {
  const auto part =
      block.subspan(static_cast<size_t>(tensor.offset), static_cast<size_t>(tensor.size()));
  return {reinterpret_cast<const char*>(part.data()), part.size_bytes()};
}

// The length in 8 bytes, then JSON padded with blanks to a multiple of 8.
std::string header_of(const std::vector<model::TensorInfo>& tensors) {
  json::Value entries = json::Value::object();
  for (const model::TensorInfo& tensor : tensors) {
    json::Value shape = json::Value::array();
    if (!tensor.is_vector) shape.push(tensor.rows);
    shape.push(tensor.cols);
    const auto scale = static_cast<int64_t>(sizeof(float));
    json::Value range = json::Value::array();
    range.push(tensor.offset * scale);
    range.push((tensor.offset + tensor.size()) * scale);
    entries.set(tensor.name, json::Value::object({{"dtype", "F32"},
                                                  {"shape", std::move(shape)},
                                                  {"data_offsets", std::move(range)}}));
  }
  std::string text = json::dump(entries);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  std::string header(sizeof size, '\0');
  std::memcpy(header.data(), &size, sizeof size);
  return header + text;
}

}  // namespace

Digests tensor_digests(const std::vector<model::TensorInfo>& tensors,
                       std::span<const float> block) {
  Digests out;
  for (const model::TensorInfo& tensor : tensors) {
    out.push_back(crypto::sha256_hex(bytes_of(tensor, block)));
  }
  return out;
}

Result<void> write_tensor_file(const std::string& path,
                               const std::vector<model::TensorInfo>& tensors,
                               std::span<const float> block) {
  RETORT_TRY(auto writer, base::FileWriter::create(path));
  RETORT_TRY_VOID(writer.write(header_of(tensors)));
  RETORT_TRY_VOID(writer.write(block.data(), static_cast<int64_t>(block.size_bytes())));
  return writer.finish();
}

Result<std::vector<float>> read_tensor_file(const std::string& path,
                                            const std::vector<model::TensorInfo>& tensors,
                                            const Digests& digests) {
  RETORT_CHECK_EQ(tensors.size(), digests.size());
  int64_t elements = 0;
  for (const model::TensorInfo& tensor : tensors) elements += tensor.size();
  const std::string expected = header_of(tensors);
  const auto data_bytes = elements * static_cast<int64_t>(sizeof(float));
  RETORT_TRY(const int64_t size, base::file_size(path));
  if (size != static_cast<int64_t>(expected.size()) + data_bytes) {
    return base::bad_input("the file has the wrong length", path);
  }
  std::ifstream file(path, std::ios::binary);
  std::string header(expected.size(), '\0');
  std::vector<float> block(static_cast<size_t>(elements));
  file.read(header.data(), static_cast<std::streamsize>(header.size()));
  file.read(reinterpret_cast<char*>(block.data()), data_bytes);
  if (!file) return base::storage_error("the file cannot be read", path);
  if (header != expected) return base::bad_input("the file has another header", path);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (crypto::sha256_hex(bytes_of(tensors[i], block)) != digests[i]) {
      return base::bad_input(
          fmt::format("tensor {} is damaged: its SHA-256 is another", tensors[i].name), path);
    }
  }
  return block;
}

}  // namespace retort::train
