// How a GGUF file of architecture "llama" spells a model's shape and its tensors.
#pragma once
#include <string>

#include "artifact/gguf.h"
#include "model/config.h"

namespace retort::model {

Result<Config> config_from_gguf(const artifact::GgufFile& file);
// "model.layers.3.mlp.up_proj.weight" to "blk.3.ffn_up.weight"; an unknown name is a programmer's
// mistake.
std::string gguf_name(const std::string& hf_name);
// The heads of a tensor whose rows llama.cpp keeps in pairs (i, i + D/2); 0 for all others.
int64_t paired_heads(const std::string& hf_name, const Config& config);

}  // namespace retort::model
