// From [train] objective to what a network counts as its loss.
//
//   sequence_kd       cross-entropy on the teacher's answers as text (Kim and Rush 2016)
//   forward_kl, reverse_kl, jsd, skew_kl, skew_reverse_kl
//                     the divergence of kernels/distill.h from the teacher's distribution at each
//                     trained token, mixed with cross-entropy by soft_share
//   sampled_reverse_kl
//                     on the student's own answers, from the teacher's log-probabilities of their
//                     tokens alone (weighing_internal.h); other steps are sequence_kd
//   dpo               on pairs of answers to a prompt, ranked by their mean log-probability under
//   the
//                     teacher (weighing_internal.h, pairs_internal.h)
#pragma once
#include <memory>

#include "base/result.h"
#include "model/objective.h"
#include "train/options.h"

namespace retort::train {

// Whether the teacher's distributions are needed beside its text; whether its weights are asked for
// them; whether they are those recorded with its answers.
bool needs_teacher(const TrainOptions& options);
bool asks_teacher(const TrainOptions& options);
bool reads_recorded(const TrainOptions& options);
// Whether its distributions are drawn from once, before the first step, and it is not asked again.
bool draws_targets(const TrainOptions& options);
// Whether it is asked what it thinks of the tokens of a text that is given, no more; and whether
// over HTTP.
bool asks_scores(const TrainOptions& options);
bool asks_door(const TrainOptions& options);
// Whether the student samples before the first step alone.
bool samples_first(const TrainOptions& options);

// Options as validated. `teacher` is asked for logits; none: batches bring the teacher's recorded
// log-probabilities.
model::Objective objective_of(const TrainOptions& options, model::LogitSource* teacher);
// Whether rows come in pairs, which stay together.
bool learns_pairs(const TrainOptions& options);
// What the objective weighs rows with; nullptr for most.
std::unique_ptr<model::RowWeigher> weigher_of(const TrainOptions& options);

// Values that cannot work together are usage errors that name the key.
Result<void> validate_objective(const TrainOptions& options);

}  // namespace retort::train
