#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "artifact/gguf.h"
#include "artifact/gguf_cursor_internal.h"
#include "base/check.h"

namespace retort::artifact {
namespace {

constexpr uint64_t kKeyBytes = 65535;
constexpr uint64_t kNameBytes = 255;
constexpr int64_t kDefaultAlignment = 32;
constexpr int64_t kAlignmentMax = 65536;
// The smallest bytes of a metadata entry (key length, type, value) and of a tensor's entry.
constexpr uint64_t kEntryBytes = 13;
constexpr uint64_t kTensorBytes = 8 + 4 + 8 + 4 + 8;

const char* const kKinds[] = {"uint8", "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
                              "bool",  "string", "array",  "uint64", "int64",  "float64"};

Result<void> take_header(GgufCursor& cursor, uint32_t& version) {
  RETORT_TRY(const auto magic, cursor.take<uint32_t>("the first four bytes"));
  if (magic != 0x46554747) return cursor.fault("the file does not begin with GGUF");
  RETORT_TRY(version, cursor.take<uint32_t>("the version"));
  if (version == 0x02000000 || version == 0x03000000) {
    return cursor.fault("the file is for big-endian machines, which is not supported");
  }
  if (version != 2 && version != 3) {
    return cursor.fault(fmt::format("GGUF version {} is not supported, only 2 and 3", version));
  }
  return {};
}

Result<GgufTensor> take_tensor(GgufCursor& cursor) {
  GgufTensor tensor;
  RETORT_TRY(tensor.name, cursor.take_string("a tensor's name", kNameBytes));
  if (tensor.name.empty()) return cursor.fault("a tensor has no name");
  RETORT_TRY(const auto n_dims, cursor.take<uint32_t>("a tensor's shape"));
  if (n_dims < 1 || n_dims > 4) {
    return cursor.fault(fmt::format("the tensor {} has {} dimensions", tensor.name, n_dims));
  }
  tensor.elements = 1;
  for (uint32_t i = 0; i < n_dims; ++i) {
    RETORT_TRY(const auto dim, cursor.take<int64_t>("a tensor's shape"));
    if (dim < 1 || __builtin_mul_overflow(tensor.elements, dim, &tensor.elements)) {
      return cursor.fault(fmt::format("the shape of the tensor {} cannot be", tensor.name));
    }
    tensor.dims.push_back(dim);
  }
  RETORT_TRY(const auto type, cursor.take<uint32_t>("a tensor's type"));
  tensor.type = static_cast<TensorType>(type);
  const auto info = type_info(tensor.type);
  if (!info) {
    return cursor.fault(fmt::format("the tensor {} has the unknown type {}", tensor.name, type));
  }
  const auto bytes = type_bytes(tensor.type, tensor.elements);
  if (!bytes || tensor.dims[0] % info->block != 0) {
    return cursor.fault(
        fmt::format("the rows of the tensor {} are no whole {} blocks", tensor.name, info->name));
  }
  tensor.size_bytes = *bytes;
  RETORT_TRY(tensor.offset, cursor.take<int64_t>("a tensor's offset"));
  return tensor;
}

// Offsets become those of the file; each tensor lies inside it, aligned, and none on another.
Result<void> place_tensors(const GgufCursor& cursor, int64_t alignment, int64_t file_bytes,
                           std::vector<GgufTensor>& tensors) {
  const int64_t start = (cursor.position() + alignment - 1) / alignment * alignment;
  for (GgufTensor& tensor : tensors) {
    if (tensor.offset < 0 || tensor.offset % alignment != 0) {
      return cursor.fault(fmt::format("the tensor {} is not aligned", tensor.name));
    }
    int64_t end = 0;
    if (__builtin_add_overflow(tensor.offset, start, &tensor.offset) ||
        __builtin_add_overflow(tensor.offset, tensor.size_bytes, &end) || end > file_bytes) {
      return cursor.fault(fmt::format("the tensor {} lies past the end of the file", tensor.name));
    }
  }
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return tensors[a].offset < tensors[b].offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const GgufTensor& before = tensors[order[i - 1]];
    const GgufTensor& tensor = tensors[order[i]];
    if (before.offset + before.size_bytes > tensor.offset) {
      return cursor.fault(fmt::format("the tensors {} and {} overlap", before.name, tensor.name));
    }
  }
  return {};
}

}  // namespace

Result<GgufFile> GgufFile::open(const std::string& path) {
  RETORT_TRY(auto mapped, base::MappedFile::open(path));
  const std::span<const uint8_t> bytes(mapped.data(), static_cast<size_t>(mapped.size()));
  RETORT_TRY(auto file, parse(bytes, path));
  file.file_ = std::move(mapped);
  return file;
}

Result<GgufFile> GgufFile::parse(std::span<const uint8_t> bytes, std::string where) {
  GgufFile file;
  file.all_ = bytes;
  file.where_ = std::move(where);
  GgufCursor cursor(bytes, file.where_);
  RETORT_TRY_VOID(take_header(cursor, file.version_));
  RETORT_TRY(const auto tensors, cursor.take_count("the number of tensors", kTensorBytes));
  RETORT_TRY(const auto entries, cursor.take_count("the number of metadata keys", kEntryBytes));
  for (uint64_t i = 0; i < entries; ++i) {
    RETORT_TRY(auto key, cursor.take_string("a metadata key", kKeyBytes));
    RETORT_TRY(const auto type, cursor.take<uint32_t>("a metadata type"));
    RETORT_TRY(auto value, cursor.take_value(type));
    if (!file.metadata_index_.emplace(key, i).second) {
      return cursor.fault(fmt::format("the metadata key {} is there twice", key));
    }
    file.metadata_.emplace_back(std::move(key), std::move(value));
  }
  for (uint64_t i = 0; i < tensors; ++i) {
    RETORT_TRY(auto tensor, take_tensor(cursor));
    if (!file.tensor_index_.emplace(tensor.name, i).second) {
      return cursor.fault(fmt::format("the tensor {} is there twice", tensor.name));
    }
    file.tensors_.push_back(std::move(tensor));
  }
  RETORT_TRY(const auto alignment, file.int_at("general.alignment", kDefaultAlignment));
  if (alignment < 1 || alignment > kAlignmentMax ||
      !std::has_single_bit(static_cast<uint64_t>(alignment))) {
    return cursor.fault(
        fmt::format("the alignment {} is no power of two up to {}", alignment, kAlignmentMax));
  }
  RETORT_TRY_VOID(
      place_tensors(cursor, alignment, static_cast<int64_t>(bytes.size()), file.tensors_));
  return file;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

std::span<const uint8_t> GgufFile::bytes(const GgufTensor& tensor) const {
  return all_.subspan(static_cast<size_t>(tensor.offset), static_cast<size_t>(tensor.size_bytes));
}

Result<void> GgufFile::read(const GgufTensor& tensor, std::span<float> to) const {
  RETORT_CHECK_EQ(static_cast<int64_t>(to.size()), tensor.elements);
  const auto done = dequantise(tensor.type, bytes(tensor), to);
  if (!done) return done.error().at(where_ + ": " + tensor.name);
  return {};
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = metadata_index_.find(key);
  return found == metadata_index_.end() ? nullptr : &metadata_[found->second].second;
}

Error GgufFile::missing(std::string_view key) const {
  return base::bad_input(fmt::format("the metadata key {} is missing", key), where_);
}

Error GgufFile::wrong_kind(std::string_view key, const GgufValue& value, const char* wanted) const {
  return base::bad_input(
      fmt::format("the metadata key {} is of type {}, not {}", key, kKinds[value.index()], wanted),
      where_);
}

Result<int64_t> GgufFile::int_at(std::string_view key, std::optional<int64_t> otherwise) const {
  const GgufValue* value = find(key);
  if (value == nullptr && otherwise) return *otherwise;
  if (value == nullptr) return missing(key);
  return std::visit(
      [&](const auto& item) -> Result<int64_t> {
        using T = std::decay_t<decltype(item)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          if (std::in_range<int64_t>(item)) return static_cast<int64_t>(item);
        }
        return wrong_kind(key, *value, "an integer within 63 bits");
      },
      *value);
}

Result<double> GgufFile::number_at(std::string_view key, std::optional<double> otherwise) const {
  const GgufValue* value = find(key);
  if (value == nullptr && otherwise) return *otherwise;
  if (value == nullptr) return missing(key);
  if (const auto* single = std::get_if<float>(value)) return static_cast<double>(*single);
  if (const auto* number = std::get_if<double>(value)) return *number;
  return wrong_kind(key, *value, "a floating point number");
}

Result<bool> GgufFile::bool_at(std::string_view key, std::optional<bool> otherwise) const {
  const GgufValue* value = find(key);
  if (value == nullptr && otherwise) return *otherwise;
  if (value == nullptr) return missing(key);
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  return wrong_kind(key, *value, "a boolean");
}

Result<std::string> GgufFile::string_at(std::string_view key,
                                        std::optional<std::string> otherwise) const {
  const GgufValue* value = find(key);
  if (value == nullptr && otherwise) return std::move(*otherwise);
  if (value == nullptr) return missing(key);
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  return wrong_kind(key, *value, "a string");
}

Result<const std::vector<std::string>*> GgufFile::strings_at(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return missing(key);
  if (const auto* array = std::get_if<GgufArray>(value)) {
    if (const auto* items = std::get_if<std::vector<std::string>>(&array->items)) return items;
  }
  return wrong_kind(key, *value, "an array of strings");
}

Result<std::vector<int64_t>> GgufFile::ints_at(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return missing(key);
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr) return wrong_kind(key, *value, "an array of integers");
  return std::visit(
      [&](const auto& items) -> Result<std::vector<int64_t>> {
        using T = typename std::decay_t<decltype(items)>::value_type;
        std::vector<int64_t> out;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          for (const T item : items) {
            if (!std::in_range<int64_t>(item)) return wrong_kind(key, *value, "within 63 bits");
            out.push_back(static_cast<int64_t>(item));
          }
          return out;
        }
        return wrong_kind(key, *value, "an array of integers");
      },
      array->items);
}

Result<std::vector<float>> GgufFile::floats_at(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return missing(key);
  const auto* array = std::get_if<GgufArray>(value);
  const auto* items = array == nullptr ? nullptr : std::get_if<std::vector<float>>(&array->items);
  if (items == nullptr) return wrong_kind(key, *value, "an array of 32-bit floating-point numbers");
  return *items;
}

}  // namespace retort::artifact
