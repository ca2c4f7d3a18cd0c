#include "pipeline/student_files.h"

#include "base/files.h"
#include "json/value.h"
#include "train/tensor_file.h"

namespace retort::pipeline {
namespace {

constexpr const char* kSchema = "retort.student/1";

std::string weights_path(const std::string& folder) {
  return base::join(folder, "model.safetensors");
}
std::string state_path(const std::string& folder) {
  return base::join(folder, "student.json");
}
std::string adapter_path(const std::string& folder) {
  return base::join(folder, "adapter");
}

}  // namespace

Result<void> save_student(const model::Weights& weights, const std::string& folder,
                          const TrainedAdapter* adapter) {
  const std::string writing = folder + ".writing";
  RETORT_TRY_VOID(base::remove_all(writing));
  RETORT_TRY_VOID(base::make_directories(writing));
  RETORT_TRY_VOID(
      train::write_tensor_file(weights_path(writing), weights.tensors(), weights.block()));
  json::Value digests = json::Value::array();
  for (const auto& digest : train::tensor_digests(weights.tensors(), weights.block())) {
    digests.push(digest);
  }
  const json::Value state =
      json::Value::object({{"schema", kSchema},
                           {"config", model::config_to_hf(weights.config(), -1, -1, -1)},
                           {"tensors", std::move(digests)}});
  RETORT_TRY_VOID(base::write_file_atomic(state_path(writing), json::dump(state, 2) + "\n"));
  if (adapter != nullptr) {
    RETORT_TRY_VOID(
        model::save_adapter(adapter->adapter, adapter_path(writing), adapter->base_name));
  }
  return base::publish_directory(writing, folder);
}

Result<model::Weights> load_student(const std::string& folder) {
  const std::string path = state_path(folder);
  RETORT_TRY(const auto text, base::read_file(path, int64_t{16} << 20));
  RETORT_TRY(const auto state, json::parse(text, path));
  RETORT_TRY(const auto schema, state.string_at("schema"));
  const json::Value* config_json = state.find("config");
  const json::Value* tensors = state.find("tensors");
  if (schema != kSchema || config_json == nullptr || tensors == nullptr || !tensors->is_array()) {
    return base::bad_input("this is no student that this program can read", path);
  }
  auto config = model::config_from_hf(*config_json);
  if (!config) return config.error().at(path);
  train::Digests digests;
  for (const auto& digest : tensors->as_array()) {
    if (!digest.is_string()) return base::bad_input("a digest must be a string", path);
    digests.push_back(digest.as_string());
  }
  model::Weights weights(*config);
  RETORT_TRY(const auto block,
             train::read_tensor_file(weights_path(folder), weights.tensors(), digests));
  std::copy(block.begin(), block.end(), weights.block().begin());
  return weights;
}

Result<std::optional<model::Adapter>> load_student_adapter(const std::string& folder,
                                                           const model::Config& config) {
  if (!base::exists(adapter_path(folder))) return std::optional<model::Adapter>{};
  RETORT_TRY(auto adapter, model::load_adapter(adapter_path(folder), config));
  return std::optional(std::move(adapter));
}

}  // namespace retort::pipeline
