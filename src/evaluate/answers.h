// The student's own answers to held-out prompts, written by the engine that also serves it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dialog/message.h"
#include "engine/engine.h"

namespace retort::evaluate {

struct Answer {
  std::string text;
  bool ended = false;    // stopped by itself
  bool skipped = false;  // the prompt leaves no room for an answer
};

struct AnswerOptions {
  engine::Sampling sampling;  // the seed is mixed with the prompt's place
  int64_t max_tokens = 256;
  engine::Options engine;
};

// One answer a prompt, in order. Each depends on its prompt and place alone, not on the others.
// Ctrl-C stops within a step with the error `interrupted`.
Result<std::vector<Answer>> student_answers(const model::Weights& weights,
                                            std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                                            const std::vector<dialog::Messages>& prompts,
                                            const AnswerOptions& options);

}  // namespace retort::evaluate
