// How a GGUF file spells a model's shape and its tensors. The architecture is Config::family(), the
// prefix of every key: "llama.block_count", "qwen3.block_count".
#pragma once
#include <span>
#include <string>

#include "artifact/gguf.h"
#include "model/config.h"

namespace retort::model {

Result<Config> config_from_gguf(const artifact::GgufFile& file);
// The shape's keys, that of the architecture first.
artifact::GgufMetadata gguf_shape(const Config& config);

// llama.cpp's name of the table of divisors, [D / 2] in F32, that a file holds when
// gguf_rope_table() is not empty: where divisors differ; one that all share is a key of the shape.
inline constexpr const char* kGgufRopeTable = "rope_freqs.weight";
std::span<const float> gguf_rope_table(const Config& config);
// llama.cpp looks for that table in a llama only.
Result<void> check_gguf_holds(const Config& config);

// "model.layers.3.mlp.up_proj.weight" to "blk.3.ffn_up.weight"; an unknown name is a programmer's
// mistake.
std::string gguf_name(const std::string& hf_name);
// The heads of a tensor whose rows llama.cpp keeps in pairs (i, i + D/2), which it does in a llama;
// 0 for all others.
int64_t paired_heads(const std::string& hf_name, const Config& config);

}  // namespace retort::model
