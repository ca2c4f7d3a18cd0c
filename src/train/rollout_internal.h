// The student's own answers to prompts of the data, sampled by the engine from its weights as they
// are: what on-policy distillation learns from (GKD, arXiv 2306.13649). A function of the weights,
// the seed and the step, so that a resumed run samples the same. With each token stands the
// log-probability that it was drawn with. Private to the room: prompts come
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
#include "train/loop_internal.h"
#include "train/online_teacher_internal.h"
#include "train/options.h"
#include "train/replay_internal.h"

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
  Rollouts(Student student, const TrainOptions& options)
      : student_(std::move(student)), options_(options) {}

  // Rows with the prompts and sources of `chosen` and new answers, whose tokens are the trained
  // ones; cut at rollout_tokens, at the model's positions and at a batch's size. Ctrl-C stops
  // within a step.
  Result<Examples> sample(const std::vector<Example>& rows, std::span<const uint32_t> chosen,
                          int64_t step) const;

 private:
  Student student_;
  const TrainOptions& options_;
};

// One answer to the prompt of each row, judged: what is learnt from where nothing is sampled later.
// The teacher is not needed any more (precomputed scores, Lightning OPD, arXiv 2604.13010).
Result<Examples> first_answers(const Rollouts& rollouts, Scorer& teacher,
                               const std::vector<Example>& rows);

// Who judges the student's answers: one of the two.
struct Judges {
  OnlineTeacher* distributions = nullptr;
  Scorer* scores = nullptr;
};

// The student's answers with what a teacher says of them, sampled anew or learnt from again.
class OnPolicy final : public AnswerSource {
 public:
  // `rows`: those that answers() names.
  OnPolicy(Rollouts rollouts, const Judges& judges, const std::vector<Example>& rows,
           const TrainOptions& options)
      : rollouts_(std::move(rollouts)),
        judges_(judges),
        rows_(rows),
        seed_(static_cast<uint64_t>(options.seed)),
        replay_(options.replay_answers, options.replay_uses) {}

  // What the teacher's distributions say of them holds until the next call.
  Result<Examples> answers(std::span<const uint32_t> rows, int64_t step) override;
  std::string saved() const override;
  Result<void> restore(const std::string& text) override;

 private:
  Rollouts rollouts_;
  Judges judges_;
  const std::vector<Example>& rows_;
  uint64_t seed_;
  Replay replay_;
};

}  // namespace retort::train
