// In which precision a student is written. The default is f32: a student of some million parameters
// is small, and then the gate can ask for exactly the trainer's weights instead of near ones.
#pragma once
#include <string>

#include "base/result.h"
#include "model/weights.h"

namespace retort::release {

enum class Format { f32, bf16, f16, q8_0 };

const char* name(Format format);  // "f32", as an option spells it
Result<Format> parse_format(const std::string& text);

// The format that one tensor of a GGUF gets when the file is written in `wanted`: vectors (norms)
// stay f32; rows that blocks of 32 do not fill are f16 instead of q8_0. In a folder all tensors
// have the one format that config.json states.
Format gguf_format(const model::TensorInfo& tensor, Format wanted);

// By how much a stored weight may differ from the original one: `largest` is the greatest magnitude
// among the weights that share its scale (q8_0; else unused). From the rounding of each format.
double rounding_bound(Format format, float original, float largest);

// How far logits may move, as the greatest difference in a row over the row's standard deviation.
// `same_program`: by the trainer's own forward pass, else by the engine's, whose sums run in
// another order.
double logit_bound(Format format, bool same_program);

}  // namespace retort::release
