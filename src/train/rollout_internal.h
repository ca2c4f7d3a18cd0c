// The student's own answers to prompts of the data, sampled by the engine from its weights as they
// are: what on-policy distillation learns from (GKD, arXiv 2306.13649). A function of the weights,
// the seed and the step, so that a resumed run samples the same. Private to the room: prompts come
// from rows that fit() was given cleared.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "model/lora.h"
#include "model/weights.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"
#include "train/examples.h"
#include "train/online_teacher_internal.h"
#include "train/options.h"

namespace retort::train {

class Rollouts {
 public:
  // What changes between calls is referred to.
  struct Student {
    const model::Weights& weights;
    const model::Adapter* adapter;  // may be null
    std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
    tokenizer::TokenId stop;
  };
  Rollouts(Student student, const TrainOptions& options, OnlineTeacher& teacher)
      : student_(std::move(student)), options_(options), teacher_(teacher) {}

  // Rows with the prompts of `chosen` and new answers, whose tokens are the trained ones; cut at
  // rollout_tokens, at the model's positions and at a batch's size. Ctrl-C stops within a step.
  Result<Examples> sample(const std::vector<Example>& rows, std::span<const uint32_t> chosen,
                          int64_t step);

 private:
  Student student_;
  const TrainOptions& options_;
  OnlineTeacher& teacher_;
};

}  // namespace retort::train
