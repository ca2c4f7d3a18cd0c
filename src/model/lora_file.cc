#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "artifact/safetensors.h"
#include "base/files.h"
#include "json/value.h"
#include "model/lora.h"

namespace retort::model {
namespace {

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorsFile = "adapter_model.safetensors";

// What PEFT writes beside the settings that are read below and that changes no result here.
constexpr std::string_view kHarmless[] = {
    "auto_mapping", "base_model_name_or_path", "inference_mode", "layers_pattern",
    "lora_dropout", "megatron_core",           "peft_version",   "qalora_group_size",
    "revision",     "exclude_modules",         "runtime_config"};
constexpr std::string_view kRead[] = {"peft_type",      "task_type",        "r",
                                      "bias",           "lora_alpha",       "use_rslora",
                                      "target_modules", "init_lora_weights"};

Error not_built(const std::string& key, const json::Value& value) {
  return base::bad_input(fmt::format("{} = {} is not supported", key, json::dump(value)), key,
                         "train the adapter as plain LoRA on whole projections of every layer");
}

// PEFT writes every setting, most of them off.
bool is_off(const json::Value& value) {
  return value.is_null() || (value.is_bool() && !value.as_bool()) ||
         (value.is_object() && value.as_object().empty()) ||
         (value.is_array() && value.as_array().empty());
}

// Where the setting is there at all.
Result<void> expect_text(const json::Value& config, const char* key, const char* text) {
  const json::Value* value = config.find(key);
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string() && value->as_string() == text) return {};
  return not_built(key, *value);
}

// Some ways to choose the first values change the base weights as well.
Result<void> check_first_values(const json::Value& config) {
  const json::Value* value = config.find("init_lora_weights");
  if (value == nullptr || value->is_null() || value->is_bool()) return {};
  if (value->is_string() &&
      (value->as_string() == "gaussian" || value->as_string() == "orthogonal"))
    return {};
  return not_built("init_lora_weights", *value);
}

Result<void> refuse_unsupported(const json::Value& config) {
  if (!config.is_object()) return base::bad_input("the adapter's configuration is no object");
  RETORT_TRY_VOID(config.string_at("peft_type"));
  RETORT_TRY_VOID(expect_text(config, "peft_type", "LORA"));
  RETORT_TRY_VOID(expect_text(config, "task_type", "CAUSAL_LM"));
  RETORT_TRY_VOID(expect_text(config, "bias", "none"));
  RETORT_TRY_VOID(check_first_values(config));
  for (const auto& [key, value] : config.as_object()) {
    const bool known = std::ranges::find(kHarmless, key) != std::end(kHarmless) ||
                       std::ranges::find(kRead, key) != std::end(kRead);
    if (!known && !is_off(value)) return not_built(key, value);
  }
  return {};
}

std::string last_part(const std::string& dotted) {
  return dotted.substr(dotted.rfind('.') + 1);
}

// Where the configuration lists modules, by name or each layer's in full, those; where it has a
// pattern, what the tensors say.
Result<std::vector<Projection>> targets_of(const json::Value& config,
                                           const artifact::SafetensorsFile& file) {
  std::set<std::string> names;
  const json::Value* list = config.find("target_modules");
  if (list != nullptr && list->is_array()) {
    for (const json::Value& one : list->as_array()) {
      if (!one.is_string()) return not_built("target_modules", *list);
      names.insert(last_part(one.as_string()));
    }
  } else {
    constexpr std::string_view kEnd = ".lora_A.weight";
    for (const artifact::SafeTensor& tensor : file.tensors()) {
      if (!tensor.name.ends_with(kEnd)) continue;
      names.insert(last_part(tensor.name.substr(0, tensor.name.size() - kEnd.size())));
    }
  }
  auto targets = parse_projections({names.begin(), names.end()});
  if (!targets) return base::bad_input(targets.error().message, "target_modules");
  return targets;
}

Result<LoraConfig> config_of(const json::Value& value, const artifact::SafetensorsFile& file) {
  RETORT_TRY_VOID(refuse_unsupported(value));
  LoraConfig lora;
  RETORT_TRY(lora.rank, value.int_at("r"));
  RETORT_TRY(lora.alpha, value.number_at("lora_alpha", 8));  // PEFT's default
  RETORT_TRY(lora.rank_stabilised, value.bool_at("use_rslora", false));
  RETORT_TRY(lora.targets, targets_of(value, file));
  if (const auto valid = validate(lora); !valid) return base::bad_input(valid.error().message);
  return lora;
}

// That the file holds the tensors of the list and no others, before memory is taken for them.
Result<void> check_tensors(const artifact::SafetensorsFile& file,
                           const std::vector<TensorInfo>& wanted) {
  std::set<std::string_view> names;
  for (const TensorInfo& info : wanted) {
    names.insert(info.name);
    const artifact::SafeTensor* found = file.find(info.name);
    if (found == nullptr) {
      return base::bad_input("the tensor " + info.name + " is missing", file.where(),
                             "the adapter must have its targets in every layer of this model");
    }
    if (found->shape != std::vector<int64_t>{info.rows, info.cols}) {
      return base::bad_input(
          fmt::format("the tensor {} is not {} x {}", info.name, info.rows, info.cols),
          file.where(), "the adapter belongs to another base model, or its rank is another");
    }
  }
  for (const artifact::SafeTensor& tensor : file.tensors()) {
    if (names.contains(tensor.name)) continue;
    return base::bad_input("the tensor " + tensor.name + " is no part of an adapter of this model",
                           file.where(), "the adapter belongs to another base model");
  }
  return {};
}

Result<void> read_tensors(const artifact::SafetensorsFile& file, Adapter& adapter) {
  for (const TensorInfo& info : adapter.tensors()) {
    const std::span<float> to =
        adapter.block().subspan(static_cast<size_t>(info.offset), static_cast<size_t>(info.size()));
    RETORT_TRY_VOID(file.read(*file.find(info.name), to));
    if (!std::ranges::all_of(to, [](float value) { return std::isfinite(value); })) {
      return base::bad_input("the tensor " + info.name + " has values that are not finite",
                             file.where());
    }
  }
  return {};
}

json::Value whole_or_number(double value) {
  const auto whole = static_cast<int64_t>(value);
  if (static_cast<double>(whole) == value) return whole;
  return value;
}

json::Value config_to_peft(const LoraConfig& lora, const std::string& base_name) {
  json::Value targets = json::Value::array();
  for (const Projection target : lora.targets) targets.push(name(target));
  return json::Value::object({{"peft_type", "LORA"},
                              {"task_type", "CAUSAL_LM"},
                              {"base_model_name_or_path", base_name},
                              {"inference_mode", true},
                              {"r", lora.rank},
                              {"lora_alpha", whole_or_number(lora.alpha)},
                              {"use_rslora", lora.rank_stabilised},
                              {"target_modules", std::move(targets)},
                              {"lora_dropout", 0.0},
                              {"bias", "none"},
                              {"fan_in_fan_out", false},
                              {"init_lora_weights", true},
                              {"use_dora", false},
                              {"modules_to_save", nullptr},
                              {"layers_to_transform", nullptr},
                              {"rank_pattern", json::Value::object()},
                              {"alpha_pattern", json::Value::object()}});
}

}  // namespace

Result<Adapter> load_adapter(const std::string& folder, const Config& base) {
  const std::string config_path = base::join(folder, kConfigFile);
  const std::string tensors_path = base::join(folder, kTensorsFile);
  RETORT_TRY(const std::string text, base::read_file(config_path, int64_t{1} << 20));
  RETORT_TRY(const json::Value value, json::parse(text, config_path));
  if (!base::exists(tensors_path)) {
    return base::not_found(fmt::format("the adapter has no {}", kTensorsFile), folder,
                           "save it as safetensors");
  }
  RETORT_TRY(const auto file, artifact::SafetensorsFile::open(tensors_path));
  const auto lora = config_of(value, file);
  if (!lora) return lora.error().at(config_path);
  RETORT_TRY_VOID(check_tensors(file, tensor_list(base, *lora)));
  Adapter adapter(base, *lora);
  RETORT_TRY_VOID(read_tensors(file, adapter));
  return adapter;
}

Result<void> save_adapter(const Adapter& adapter, const std::string& folder,
                          const std::string& base_name) {
  RETORT_TRY_VOID(base::make_directories(folder));
  std::vector<artifact::SafeTensorSpec> specs;
  for (const TensorInfo& info : adapter.tensors()) {
    specs.push_back({info.name, "F32", {info.rows, info.cols}});
  }
  RETORT_TRY(auto writer, artifact::SafetensorsWriter::create(base::join(folder, kTensorsFile),
                                                              {{"format", "pt"}}, specs));
  for (const TensorInfo& info : adapter.tensors()) {
    RETORT_TRY_VOID(writer.add(adapter.block().subspan(static_cast<size_t>(info.offset),
                                                       static_cast<size_t>(info.size()))));
  }
  RETORT_TRY_VOID(writer.finish());
  return base::write_file_atomic(base::join(folder, kConfigFile),
                                 json::dump(config_to_peft(adapter.lora(), base_name), 2) + "\n");
}

}  // namespace retort::model
