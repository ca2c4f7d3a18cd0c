// How a GGUF file of architecture "llama" spells a model's shape and its tensors.
#pragma once
#include <string>

#include "artifact/gguf.h"
#include "model/config.h"

namespace retort::model {

Result<Config> config_from_gguf(const artifact::GgufFile& file);
// "model.layers.3.mlp.up_proj.weight" to "blk.3.ffn_up.weight".
std::string gguf_name(const std::string& hf_name);

}  // namespace retort::model
