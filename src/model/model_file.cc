#include "model/model_file.h"

#include <fmt/core.h>

#include <set>

#include "base/check.h"
#include "base/files.h"
#include "model/gguf_names.h"
#include "model/weights.h"

namespace retort::model {
namespace {

using artifact::TensorType;

struct StoredShape {
  int64_t rows;
  int64_t cols;
};

Error wrong_shape(const std::string& name, StoredShape found, const TensorInfo& wanted) {
  return base::bad_input(fmt::format("the tensor {} is {} x {}, the configuration asks for {} x {}",
                                     name, found.rows, found.cols, wanted.rows, wanted.cols),
                         "", "the file is damaged or its configuration belongs to another model");
}

Result<StoredTensor> stored(const TensorInfo& wanted, const std::string& name, TensorType type,
                            StoredShape shape) {
  if (shape.rows != wanted.rows || shape.cols != wanted.cols) {
    return wrong_shape(name, shape, wanted);
  }
  if (!artifact::can_dequantise(type)) {
    return base::bad_input(fmt::format("the tensor {} is of type {}, which cannot be read", name,
                                       artifact::name(type)),
                           "", fmt::format("use a file of type {}", artifact::readable_types()));
  }
  const auto row_bytes = artifact::type_bytes(type, shape.cols);
  if (!row_bytes) {
    return base::bad_input(
        fmt::format("the tensor {} has rows of {} elements, no whole blocks of {}", name,
                    shape.cols, artifact::name(type)));
  }
  StoredTensor tensor;
  tensor.type = type;
  tensor.rows = shape.rows;
  tensor.cols = shape.cols;
  tensor.row_bytes = *row_bytes;
  return tensor;
}

Result<TensorType> type_of(const artifact::SafeTensor& tensor) {
  if (tensor.dtype == "F32") return TensorType::f32;
  if (tensor.dtype == "F16") return TensorType::f16;
  if (tensor.dtype == "BF16") return TensorType::bf16;
  return base::bad_input(
      fmt::format("the tensor {} is of type {}, which cannot be read", tensor.name, tensor.dtype),
      "", "save the model as F32, F16 or BF16");
}

// The files of the folder's safetensors: the one, or those that the index names.
Result<std::vector<std::string>> part_names(const std::string& folder) {
  const std::string single = base::join(folder, "model.safetensors");
  if (base::exists(single)) return std::vector<std::string>{single};
  const std::string index = base::join(folder, "model.safetensors.index.json");
  if (!base::exists(index)) {
    return base::not_found("no model.safetensors and no index of one", folder,
                           "name a folder that transformers' save_pretrained() wrote, or a GGUF");
  }
  RETORT_TRY(const std::string text, base::read_file(index, int64_t{64} << 20));
  RETORT_TRY(const json::Value value, json::parse(text, index));
  const json::Value* map = value.find("weight_map");
  if (map == nullptr || !map->is_object()) {
    return base::bad_input("the index has no weight_map", index);
  }
  std::map<std::string, bool> names;
  for (const auto& [tensor, file] : map->as_object()) {
    const bool plain = file.is_string() && !file.as_string().empty() &&
                       file.as_string().find('/') == std::string::npos;
    if (!plain) return base::bad_input("the index names no plain file for " + tensor, index);
    names[file.as_string()] = true;
  }
  std::vector<std::string> out;
  for (const auto& [name, unused] : names) out.push_back(base::join(folder, name));
  return out;
}

// A tensor that would take part in the arithmetic, but that models of this family do not have.
// Others are let be: old files keep tables there that are computed today.
Result<void> refuse_foreign(const std::string& name, const Config& config) {
  const bool counts =
      name.ends_with(".bias") || name.ends_with("q_norm.weight") || name.ends_with("k_norm.weight");
  if (!counts) return {};
  return base::bad_input(
      fmt::format("the tensor {} is no part of a {} model", name, config.family()), "",
      "use a model of type llama without biases, of type qwen2 or qwen3");
}

}  // namespace

std::span<const uint8_t> StoredTensor::row(int64_t index) const {
  int64_t at = index;
  if (paired_heads > 0) {
    const int64_t head_dim = rows / paired_heads;
    const int64_t inside = index % head_dim;
    const int64_t half = head_dim / 2;
    at = index - inside + (inside % half) * 2 + inside / half;
  }
  return bytes.subspan(static_cast<size_t>(at * row_bytes), static_cast<size_t>(row_bytes));
}

Result<ModelFile> ModelFile::open(const std::string& path) {
  if (!base::exists(path)) {
    return base::not_found("there is no model", path, "check the path; a GGUF file or a folder");
  }
  ModelFile file(path);
  const auto opened = base::is_directory(path) ? file.open_folder() : file.open_gguf();
  if (!opened) return opened.error().where.empty() ? opened.error().at(path) : opened.error();
  return file;
}

const StoredTensor& ModelFile::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  RETORT_CHECK(found != tensors_.end(), "no tensor {}", name);
  return found->second;
}

Result<void> ModelFile::open_gguf() {
  RETORT_TRY(auto file, artifact::GgufFile::open(path_));
  gguf_ = std::make_unique<artifact::GgufFile>(std::move(file));
  RETORT_TRY(config_, config_from_gguf(*gguf_));
  std::set<std::string> used;
  for (const TensorInfo& wanted : tensor_list(config_)) {
    const std::string name = gguf_name(wanted.name);
    const artifact::GgufTensor* found = gguf_->find_tensor(name);
    if (found == nullptr) {
      return base::bad_input("the tensor " + name + " is missing", path_,
                             "the file is cut off or of another architecture");
    }
    const bool flat = found->dims.size() == (wanted.is_vector ? 1u : 2u);
    if (!flat) return base::bad_input("the tensor " + name + " has another rank", path_);
    const StoredShape shape = {wanted.is_vector ? 1 : found->dims[1], found->dims[0]};
    RETORT_TRY(StoredTensor tensor, stored(wanted, name, found->type, shape));
    tensor.bytes = gguf_->bytes(*found);
    tensor.paired_heads = paired_heads(wanted.name, config_);
    tensors_[wanted.name] = tensor;
    used.insert(name);
  }
  for (const artifact::GgufTensor& tensor : gguf_->tensors()) {
    if (!used.contains(tensor.name)) RETORT_TRY_VOID(refuse_foreign(tensor.name, config_));
  }
  return {};
}

Result<void> ModelFile::open_folder() {
  const std::string config_path = base::join(path_, "config.json");
  if (!base::exists(config_path)) {
    const bool adapter = base::exists(base::join(path_, "adapter_config.json"));
    return base::bad_input("there is no config.json in this folder, so it is no model", path_,
                           adapter
                               ? "it is an adapter alone; name the folder that an export merged "
                                 "it into"
                               : "what a run trained is in the folder `student` of its `out`, "
                                 "once it was exported");
  }
  RETORT_TRY(const std::string text, base::read_file(config_path, int64_t{1} << 20));
  RETORT_TRY(const json::Value value, json::parse(text, config_path));
  const auto config = config_from_hf(value);
  if (!config) return config.error().at(config_path);
  config_ = *config;
  RETORT_TRY(const auto names, part_names(path_));
  for (const std::string& name : names) {
    RETORT_TRY(auto part, artifact::SafetensorsFile::open(name));
    parts_.push_back(std::make_unique<artifact::SafetensorsFile>(std::move(part)));
  }
  for (const TensorInfo& wanted : tensor_list(config_)) {
    const artifact::SafeTensor* found = nullptr;
    const artifact::SafetensorsFile* holder = nullptr;
    for (const auto& part : parts_) {
      if (found == nullptr && (found = part->find(wanted.name)) != nullptr) holder = part.get();
    }
    if (found == nullptr) {
      return base::bad_input("the tensor " + wanted.name + " is missing", path_,
                             "a part of the model was not downloaded");
    }
    const auto& dims = found->shape;
    if (dims.size() != (wanted.is_vector ? 1u : 2u)) {
      return base::bad_input("the tensor " + wanted.name + " has another rank", path_);
    }
    RETORT_TRY(const TensorType type, type_of(*found));
    const StoredShape shape = {wanted.is_vector ? 1 : dims[0], dims.back()};
    RETORT_TRY(StoredTensor tensor, stored(wanted, wanted.name, type, shape));
    tensor.bytes = holder->bytes(*found);
    tensors_[wanted.name] = tensor;
  }
  for (const auto& part : parts_) {
    for (const artifact::SafeTensor& tensor : part->tensors()) {
      if (!tensors_.contains(tensor.name)) {
        RETORT_TRY_VOID(refuse_foreign(tensor.name, config_));
      }
    }
  }
  return {};
}

Result<Weights> load_weights(const ModelFile& file) {
  Weights weights(file.config());
  for (const TensorInfo& info : weights.tensors()) {
    const StoredTensor& tensor = file.tensor(info.name);
    std::span<float> to = weights.tensor(info.name);
    for (int64_t row = 0; row < info.rows; ++row) {
      RETORT_TRY_VOID(artifact::dequantise(
          tensor.type, tensor.row(row),
          to.subspan(static_cast<size_t>(row * info.cols), static_cast<size_t>(info.cols))));
    }
  }
  return weights;
}

Result<Weights> load_weights(const std::string& path) {
  RETORT_TRY(const ModelFile file, ModelFile::open(path));
  return load_weights(file);
}

}  // namespace retort::model
