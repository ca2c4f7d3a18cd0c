#include "artifact/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "artifact/tensor_type.h"
#include "base/check.h"
#include "json/value.h"

namespace retort::artifact {
namespace {

constexpr uint64_t kHeaderBytesMax = 100'000'000;
constexpr int64_t kPrefixBytes = 8;
constexpr size_t kDimensions = 16;

struct Dtype {
  const char* name;
  int64_t bytes;
};
constexpr Dtype kDtypes[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8},     {"I8", 1},
                             {"U8", 1},  {"I16", 2}, {"U16", 2},  {"I32", 4},     {"U32", 4},
                             {"I64", 8}, {"U64", 8}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

std::optional<TensorType> float_type(std::string_view dtype) {
  if (dtype == "F32") return TensorType::f32;
  if (dtype == "F16") return TensorType::f16;
  if (dtype == "BF16") return TensorType::bf16;
  return std::nullopt;
}

Result<int64_t> count_elements(const SafeTensor& tensor) {
  int64_t elements = 1;
  for (const int64_t dim : tensor.shape) {
    if (dim < 0 || __builtin_mul_overflow(elements, dim, &elements)) {
      return base::bad_input("the shape of the tensor cannot be");
    }
  }
  return elements;
}

// Fills elements and size_bytes from dtype and shape.
Result<void> measure(SafeTensor& tensor) {
  const auto width = safetensors_element_bytes(tensor.dtype);
  if (!width) return base::bad_input(fmt::format("the dtype {} is unknown", tensor.dtype));
  if (tensor.shape.size() > kDimensions) return base::bad_input("the tensor has too many axes");
  RETORT_TRY(tensor.elements, count_elements(tensor));
  if (__builtin_mul_overflow(tensor.elements, *width, &tensor.size_bytes)) {
    return base::bad_input("the tensor is too large");
  }
  return {};
}

// One integer of an array member; negative ones are refused.
Result<std::vector<int64_t>> counts(const json::Value& entry, const char* key) {
  const json::Value* list = entry.find(key);
  if (list == nullptr || !list->is_array()) {
    return base::bad_input(fmt::format("{} is no list", key));
  }
  std::vector<int64_t> out;
  for (const json::Value& item : list->as_array()) {
    if (!item.is_int() || item.as_int() < 0) {
      return base::bad_input(fmt::format("{} holds something that is no count", key));
    }
    out.push_back(item.as_int());
  }
  return out;
}

// Offsets here still count from the end of the header.
Result<SafeTensor> parse_entry(const json::Member& member) {
  SafeTensor tensor;
  tensor.name = member.first;
  const json::Value& entry = member.second;
  if (!entry.is_object()) return base::bad_input("the entry is no object");
  for (const auto& [key, unused] : entry.as_object()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      return base::bad_input(fmt::format("the entry has the unknown key {}", key));
    }
  }
  RETORT_TRY(tensor.dtype, entry.string_at("dtype"));
  RETORT_TRY(tensor.shape, counts(entry, "shape"));
  RETORT_TRY_VOID(measure(tensor));
  RETORT_TRY(const auto offsets, counts(entry, "data_offsets"));
  if (offsets.size() != 2 || offsets[1] < offsets[0] ||
      offsets[1] - offsets[0] != tensor.size_bytes) {
    return base::bad_input(
        fmt::format("data_offsets do not span the {} bytes of its shape", tensor.size_bytes));
  }
  tensor.offset = offsets[0];
  return tensor;
}

Result<std::map<std::string, std::string>> parse_metadata(const json::Value& value) {
  std::map<std::string, std::string> out;
  if (!value.is_object()) return base::bad_input("__metadata__ is no object");
  for (const auto& [key, item] : value.as_object()) {
    if (!item.is_string()) return base::bad_input("__metadata__ holds something that is no text");
    out.emplace(key, item.as_string());
  }
  return out;
}

Result<json::Value> parse_header(std::span<const uint8_t> bytes) {
  uint64_t size = 0;
  if (bytes.size() < sizeof size) return base::bad_input("the file ends inside its first 8 bytes");
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > kHeaderBytesMax || size > bytes.size() - sizeof size) {
    return base::bad_input(fmt::format("the header's length {} cannot be", size), "",
                           "the file is damaged or no safetensors file; get it again");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof size, size);
  if (text.empty() || text.front() != '{') return base::bad_input("the header is no JSON object");
  return json::parse(text, "header", {.depth = 8, .size_bytes = kHeaderBytesMax});
}

}  // namespace

std::optional<int64_t> safetensors_element_bytes(std::string_view dtype) {
  for (const Dtype& known : kDtypes) {
    if (dtype == known.name) return known.bytes;
  }
  return std::nullopt;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  RETORT_TRY(auto mapped, base::MappedFile::open(path));
  const std::span<const uint8_t> bytes(mapped.data(), static_cast<size_t>(mapped.size()));
  RETORT_TRY(auto file, parse(bytes, path));
  file.file_ = std::move(mapped);
  return file;
}

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const uint8_t> bytes, std::string where) {
  SafetensorsFile file;
  file.all_ = bytes;
  file.where_ = std::move(where);
  const auto header = parse_header(bytes);
  if (!header) return header.error().at(file.where_);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  const int64_t start = kPrefixBytes + static_cast<int64_t>(header_bytes);

  for (const json::Member& member : header->as_object()) {
    const std::string place = fmt::format("{}: {}", file.where_, member.first);
    if (member.first == "__metadata__") {
      auto metadata = parse_metadata(member.second);
      if (!metadata) return metadata.error().at(place);
      file.metadata_ = std::move(*metadata);
      continue;
    }
    auto tensor = parse_entry(member);
    if (!tensor) return tensor.error().at(place);
    file.tensors_.push_back(std::move(*tensor));
  }
  std::stable_sort(file.tensors_.begin(), file.tensors_.end(),
                   [](const SafeTensor& a, const SafeTensor& b) {
                     return std::pair(a.offset, a.size_bytes) < std::pair(b.offset, b.size_bytes);
                   });
  int64_t expected = 0;
  for (size_t i = 0; i < file.tensors_.size(); ++i) {
    SafeTensor& tensor = file.tensors_[i];
    if (tensor.offset != expected) {
      return base::bad_input("tensors overlap or leave a hole",
                             fmt::format("{}: {}", file.where_, tensor.name));
    }
    if (__builtin_add_overflow(expected, tensor.size_bytes, &expected)) {
      return base::bad_input("the tensors are too large", file.where_);
    }
    tensor.offset += start;
    file.index_.emplace(tensor.name, i);
  }
  if (expected != static_cast<int64_t>(bytes.size()) - start) {
    return base::bad_input(fmt::format("the tensors take {} bytes, the file has {} for them",
                                       expected, static_cast<int64_t>(bytes.size()) - start),
                           file.where_, "the file is damaged; get it again");
  }
  return file;
}

const SafeTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::span<const uint8_t> SafetensorsFile::bytes(const SafeTensor& tensor) const {
  return all_.subspan(static_cast<size_t>(tensor.offset), static_cast<size_t>(tensor.size_bytes));
}

Result<void> SafetensorsFile::read(const SafeTensor& tensor, std::span<float> to) const {
  RETORT_CHECK_EQ(static_cast<int64_t>(to.size()), tensor.elements);
  const auto type = float_type(tensor.dtype);
  if (!type) {
    return base::bad_input(fmt::format("tensors of dtype {} cannot be read", tensor.dtype),
                           fmt::format("{}: {}", where_, tensor.name),
                           "use a file of F32, F16 or BF16");
  }
  return dequantise(*type, bytes(tensor), to);
}

Result<SafetensorsWriter> SafetensorsWriter::create(
    const std::string& path, const std::map<std::string, std::string>& metadata,
    std::vector<SafeTensorSpec> specs) {
  json::Value header = json::Value::object();
  if (!metadata.empty()) {
    json::Value entries = json::Value::object();
    for (const auto& [key, value] : metadata) entries.set(key, value);
    header.set("__metadata__", std::move(entries));
  }
  std::vector<SafeTensor> tensors;
  int64_t offset = 0;
  for (SafeTensorSpec& spec : specs) {
    SafeTensor tensor{
        std::move(spec.name), std::move(spec.dtype), std::move(spec.shape), 0, 0, offset};
    if (const auto measured = measure(tensor); !measured) return measured.error().at(tensor.name);
    json::Value shape = json::Value::array();
    for (const int64_t dim : tensor.shape) shape.push(dim);
    json::Value span = json::Value::array();
    span.push(offset);
    span.push(offset + tensor.size_bytes);
    json::Value entry = json::Value::object();
    entry.set("dtype", tensor.dtype).set("shape", std::move(shape));
    entry.set("data_offsets", std::move(span));
    header.set(tensor.name, std::move(entry));
    offset += tensor.size_bytes;
    tensors.push_back(std::move(tensor));
  }
  std::string text = json::dump(header);
  text.append((8 - text.size() % 8) % 8, ' ');  // the tensors begin aligned
  RETORT_TRY(auto file, base::FileWriter::create(path));
  const auto size = static_cast<uint64_t>(text.size());
  RETORT_TRY_VOID(file.write(&size, sizeof size));
  RETORT_TRY_VOID(file.write(text));
  return SafetensorsWriter(std::move(file), std::move(tensors), path);
}

Result<void> SafetensorsWriter::add(std::span<const float> values) {
  if (next_ >= tensors_.size()) return base::internal_error("one tensor too many", path_);
  const SafeTensor& tensor = tensors_[next_];
  const auto type = float_type(tensor.dtype);
  if (!type || static_cast<int64_t>(values.size()) != tensor.elements) {
    return base::internal_error(fmt::format("{} is {} with {} elements, not {} floats", tensor.name,
                                            tensor.dtype, tensor.elements, values.size()),
                                path_);
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(tensor.size_bytes));
  RETORT_TRY_VOID(quantise(*type, values, bytes));
  return add_bytes(bytes);
}

Result<void> SafetensorsWriter::add_bytes(std::span<const uint8_t> bytes) {
  if (next_ >= tensors_.size()) return base::internal_error("one tensor too many", path_);
  const SafeTensor& tensor = tensors_[next_];
  if (static_cast<int64_t>(bytes.size()) != tensor.size_bytes) {
    return base::internal_error(
        fmt::format("{} has {} bytes, not {}", tensor.name, tensor.size_bytes, bytes.size()),
        path_);
  }
  RETORT_TRY_VOID(file_.write(bytes.data(), tensor.size_bytes));
  ++next_;
  return {};
}

Result<void> SafetensorsWriter::finish() {
  if (next_ != tensors_.size()) {
    return base::internal_error(
        fmt::format("{} of {} tensors were written", next_, tensors_.size()), path_);
  }
  return file_.finish();
}

}  // namespace retort::artifact
