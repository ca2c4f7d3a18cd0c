#include "artifact/safetensors.h"
#include "base/files.h"
#include "json/value.h"
#include "release/folder_export_internal.h"

namespace retort::release {
namespace {

struct Names {
  const char* safetensors;
  const char* torch;
};

Names names_of(Format format) {
  if (format == Format::bf16) return {"BF16", "bfloat16"};
  if (format == Format::f16) return {"F16", "float16"};
  return {"F32", "float32"};
}

json::Value generation_config(const FolderInput& input) {
  const auto& vocabulary = input.tokenizer.vocabulary();
  json::Value out = json::Value::object();
  if (vocabulary.bos >= 0) out.set("bos_token_id", int64_t{vocabulary.bos});
  json::Value ends = json::Value::array();
  if (vocabulary.eos >= 0) ends.push(int64_t{vocabulary.eos});
  if (input.stop_token >= 0 && input.stop_token != vocabulary.eos) {
    ends.push(int64_t{input.stop_token});
  }
  const bool one = ends.as_array().size() == 1;
  if (!ends.as_array().empty()) out.set("eos_token_id", one ? ends.as_array().front() : ends);
  if (vocabulary.pad >= 0) out.set("pad_token_id", int64_t{vocabulary.pad});
  return out;
}

Result<void> write_weights(const FolderInput& input, const std::string& path) {
  std::vector<artifact::SafeTensorSpec> specs;
  for (const auto& info : input.weights.tensors()) {
    std::vector<int64_t> shape = {info.cols};
    if (!info.is_vector) shape = {info.rows, info.cols};
    // Norms too: transformers gives every tensor the type that config.json states.
    specs.push_back({info.name, names_of(input.format).safetensors, std::move(shape)});
  }
  RETORT_TRY(auto writer,
             artifact::SafetensorsWriter::create(path, {{"format", "pt"}}, std::move(specs)));
  for (const auto& info : input.weights.tensors()) {
    RETORT_TRY_VOID(writer.add(input.weights.tensor(info.name)));
  }
  return writer.finish();
}

}  // namespace

Result<void> write_folder(const FolderInput& input, const std::string& folder) {
  const auto& vocabulary = input.tokenizer.vocabulary();
  const auto write = [&](const char* file, const std::string& text) {
    return base::write_file_atomic(base::join(folder, file), text);
  };
  json::Value config =
      model::config_to_hf(input.weights.config(), vocabulary.bos, vocabulary.eos, vocabulary.pad);
  config.set("torch_dtype", names_of(input.format).torch);
  RETORT_TRY_VOID(write("config.json", json::dump(config, 2) + "\n"));
  RETORT_TRY_VOID(write("generation_config.json", json::dump(generation_config(input), 2) + "\n"));
  RETORT_TRY_VOID(tokenizer::save_tokenizer(input.tokenizer, folder));
  RETORT_TRY_VOID(write("README.md", input.card));
  return write_weights(input, base::join(folder, "model.safetensors"));
}

}  // namespace retort::release
