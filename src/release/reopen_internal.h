// Opens what was written, by the ways a user would, and compares it with the trainer's model.
#pragma once
#include <string>
#include <vector>

#include "model/lora.h"
#include "release/gate_internal.h"

namespace retort::release {

// The trainer's side of the gate.
struct Original {
  const model::Weights& weights;
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatFormat& chat;
  const Probes& probes;
  const Expected& expected;
};

// By the trainer's own forward pass in fp32.
LogitsOf logits_by_network(const model::Weights& weights, int64_t max_tokens);

struct Written {
  std::string path;   // of the folder or the GGUF
  std::string label;  // for the checks: "student/"
  Format format = Format::f32;
  bool is_folder = false;
};
// Weights tensor by tensor, token ids, chat prompts, logits by the trainer's forward pass and by
// the engine, greedy tokens of the engine. An error is a file that does not open at all.
Result<std::vector<GateCheck>> check_written(const Written& written, const Original& original);

// A written adapter read back, number by number.
Result<GateCheck> check_adapter(const std::string& folder, const model::Adapter& original);

}  // namespace retort::release
