#include <fmt/core.h>

#include "artifact/gguf.h"

namespace retort::artifact {
namespace {

constexpr int64_t kAlignment = 32;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string& out, const std::string& text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}

void put_array(std::string& out, const GgufArray& array);

template <class T>
void put_item(std::string& out, const T& item) {
  if constexpr (std::is_same_v<T, std::string>) {
    put_string(out, item);
  } else if constexpr (std::is_same_v<T, GgufArray>) {
    put_array(out, item);
  } else if constexpr (std::is_same_v<T, bool>) {
    put(out, static_cast<uint8_t>(item));
  } else {
    put(out, item);
  }
}

void put_array(std::string& out, const GgufArray& array) {
  put(out, static_cast<uint32_t>(array.items.index()));
  std::visit(
      [&](const auto& items) {
        using T = typename std::decay_t<decltype(items)>::value_type;
        put(out, static_cast<uint64_t>(items.size()));
        for (const auto& item : items) put_item<T>(out, item);
      },
      array.items);
}

int64_t padding(int64_t position) {
  return (kAlignment - position % kAlignment) % kAlignment;
}

Result<int64_t> elements_of(const GgufTensorSpec& spec) {
  int64_t elements = 1;
  for (const int64_t dim : spec.dims) {
    if (dim < 1 || __builtin_mul_overflow(elements, dim, &elements)) {
      return base::bad_input("a tensor's shape cannot be", spec.name);
    }
  }
  const auto info = type_info(spec.type);
  if (spec.dims.empty() || spec.dims.size() > 4 || !info || spec.dims[0] % info->block != 0) {
    return base::bad_input(
        fmt::format("a tensor of this shape cannot be stored as {}", name(spec.type)), spec.name);
  }
  return elements;
}

}  // namespace

Result<GgufWriter> GgufWriter::create(const std::string& path, const GgufMetadata& metadata,
                                      std::vector<GgufTensorSpec> tensors) {
  std::string head = "GGUF";
  put(head, uint32_t{3});
  put(head, static_cast<uint64_t>(tensors.size()));
  put(head, static_cast<uint64_t>(metadata.size()));
  for (const auto& [key, value] : metadata) {
    if (key == "general.alignment") return base::usage_error("the alignment is not free", key);
    put_string(head, key);
    put(head, static_cast<uint32_t>(value.index()));
    std::visit([&](const auto& item) { put_item(head, item); }, value);
  }
  int64_t offset = 0;
  for (const GgufTensorSpec& spec : tensors) {
    RETORT_TRY(const auto elements, elements_of(spec));
    put_string(head, spec.name);
    put(head, static_cast<uint32_t>(spec.dims.size()));
    for (const int64_t dim : spec.dims) put(head, dim);
    put(head, static_cast<uint32_t>(spec.type));
    put(head, offset);
    const int64_t bytes = type_bytes(spec.type, elements).value_or(0);
    offset += bytes + padding(bytes);
  }
  head.append(static_cast<size_t>(padding(static_cast<int64_t>(head.size()))), '\0');
  RETORT_TRY(auto file, base::FileWriter::create(path));
  RETORT_TRY_VOID(file.write(head));
  return GgufWriter(std::move(file), std::move(tensors), path);
}

Result<int64_t> GgufWriter::expect_next(int64_t elements) const {
  if (next_ >= tensors_.size()) return base::internal_error("one tensor too many", path_);
  const GgufTensorSpec& spec = tensors_[next_];
  RETORT_TRY(const auto wanted, elements_of(spec));
  if (elements >= 0 && elements != wanted) {
    return base::internal_error(
        fmt::format("{} has {} elements, not {}", spec.name, wanted, elements), path_);
  }
  return type_bytes(spec.type, wanted).value_or(0);
}

Result<void> GgufWriter::add(std::span<const float> values) {
  RETORT_TRY(const auto size, expect_next(static_cast<int64_t>(values.size())));
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  const auto done = quantise(tensors_[next_].type, values, bytes);
  if (!done) return done.error().at(tensors_[next_].name);
  return add_bytes(bytes);
}

Result<void> GgufWriter::add_bytes(std::span<const uint8_t> bytes) {
  RETORT_TRY(const auto size, expect_next(-1));
  if (static_cast<int64_t>(bytes.size()) != size) {
    return base::internal_error(
        fmt::format("{} has {} bytes, not {}", tensors_[next_].name, size, bytes.size()), path_);
  }
  RETORT_TRY_VOID(file_.write(bytes.data(), size));
  RETORT_TRY_VOID(file_.write(std::string(static_cast<size_t>(padding(size)), '\0')));
  ++next_;
  return {};
}

Result<void> GgufWriter::finish() {
  if (next_ != tensors_.size()) {
    return base::internal_error(
        fmt::format("{} of {} tensors were written", next_, tensors_.size()), path_);
  }
  return file_.finish();
}

}  // namespace retort::artifact
