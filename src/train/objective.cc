#include "train/objective.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "train/require_internal.h"
#include "train/weighing_internal.h"

namespace retort::train {
namespace {

using kernels::Divergence;

struct Named {
  const char* name;
  Divergence divergence;
};
constexpr std::array kDivergences = {
    Named{"forward_kl", Divergence::forward_kl}, Named{"reverse_kl", Divergence::reverse_kl},
    Named{"jsd", Divergence::jsd}, Named{"skew_kl", Divergence::skew_kl},
    Named{"skew_reverse_kl", Divergence::skew_reverse_kl}};

const Named* find(const std::string& objective) {
  const auto* found = std::find_if(kDivergences.begin(), kDivergences.end(),
                                   [&](const Named& named) { return objective == named.name; });
  return found == kDivergences.end() ? nullptr : found;
}

constexpr const char* kSampled = "sampled_reverse_kl";
constexpr const char* kPreference = "dpo";

}  // namespace

bool needs_teacher(const TrainOptions& options) {
  return find(options.objective) != nullptr;
}

bool asks_scores(const TrainOptions& options) {
  return options.objective == kSampled || learns_pairs(options);
}

bool learns_pairs(const TrainOptions& options) {
  return options.objective == kPreference;
}

bool asks_teacher(const TrainOptions& options) {
  return draws_targets(options) ||
         ((needs_teacher(options) || asks_scores(options)) && options.teacher == "online");
}

bool asks_door(const TrainOptions& options) {
  return asks_scores(options) && options.teacher == "http";
}

bool samples_first(const TrainOptions& options) {
  return options.on_policy > 0 && options.rollouts == "first";
}

bool draws_targets(const TrainOptions& options) {
  return needs_teacher(options) && options.teacher == "sampled";
}

bool reads_recorded(const TrainOptions& options) {
  return (needs_teacher(options) || learns_pairs(options)) && options.teacher == "recorded";
}

model::Objective objective_of(const TrainOptions& options, model::LogitSource* teacher) {
  model::Objective out;
  if (!learns_pairs(options)) {
    out.hard.label_smoothing = static_cast<float>(options.label_smoothing);
  }
  out.hard.z_loss = static_cast<float>(options.z_loss);
  const Named* named = find(options.objective);
  if (named == nullptr) return out;
  const bool jsd = named->divergence == Divergence::jsd;
  out.hard.weight = static_cast<float>(1 - options.soft_share);
  out.soft = {.weight = static_cast<float>(options.soft_share),
              .divergence = named->divergence,
              .mix = static_cast<float>(jsd ? options.beta : options.skew),
              .temperature = static_cast<float>(options.temperature),
              .tail = !draws_targets(options)};  // what is not drawn is no outcome of its own
  out.teacher = teacher;
  return out;
}

std::unique_ptr<model::RowWeigher> weigher_of(const TrainOptions& options) {
  if (options.objective == kSampled) return std::make_unique<SampledReverseKl>();
  if (learns_pairs(options)) {
    return std::make_unique<Preference>(options.preference_beta, options.label_smoothing);
  }
  return nullptr;
}

namespace {

// What the student's own answers can be learnt by.
Result<void> validate_on_policy(const TrainOptions& o) {
  const bool sampled = o.objective == kSampled;
  RETORT_TRY_VOID(
      require(o.on_policy >= 0 && o.on_policy <= 1, "train.on_policy", "between 0 and 1"));
  RETORT_TRY_VOID(require(o.rollout_tokens >= 1, "train.rollout_tokens", "1 or more"));
  RETORT_TRY_VOID(require(o.rollout_temperature > 0 && o.rollout_temperature <= 10,
                          "train.rollout_temperature", "above 0 and up to 10"));
  RETORT_TRY_VOID(require(o.replay_answers >= 0 && o.replay_answers <= 1 << 20,
                          "train.replay_answers", "0 to 1048576"));
  RETORT_TRY_VOID(require(o.replay_uses >= 1, "train.replay_uses", "1 or more"));
  if (o.replay_answers > 0 && o.on_policy == 0) {
    return base::usage_error("there are no sampled answers that could be learnt from again",
                             "train.replay_answers", "set train.on_policy above 0, or it to 0");
  }
  if (sampled && o.on_policy == 0) {
    return base::usage_error("sampled_reverse_kl learns from the student's own answers alone",
                             "train.on_policy", "set it above 0, to 1 for every step");
  }
  if (sampled && o.rollout_temperature != 1) {
    return base::usage_error(
        "sampled_reverse_kl weighs a token by the probability that it was drawn with",
        "train.rollout_temperature", "leave it at 1, or use reverse_kl, which is exact");
  }
  if (sampled && (o.label_smoothing != 0 || o.z_loss != 0)) {
    return base::usage_error("sampled_reverse_kl has no target that could be smoothed",
                             "train.label_smoothing", "leave it and train.z_loss at 0");
  }
  RETORT_TRY_VOID(require(o.rollouts == "each_step" || o.rollouts == "first", "train.rollouts",
                          "each_step or first"));
  if (o.rollouts == "first" && (!sampled || o.on_policy < 1 || o.replay_answers > 0)) {
    return base::usage_error(
        "answers that are sampled and judged before the first step are all that is learnt from, "
        "by sampled_reverse_kl",
        "train.rollouts",
        "set objective = \"sampled_reverse_kl\", on_policy = 1 and replay_answers = 0, or leave it "
        "at each_step");
  }
  if (o.on_policy > 0 && !sampled && !asks_teacher(o)) {
    return base::usage_error("answers that the student samples need a teacher that judges them",
                             "train.on_policy",
                             "set objective to a divergence, such as reverse_kl, and teacher to "
                             "\"online\"");
  }
  if (sampled && o.teacher == "recorded") {
    return base::usage_error("nothing is recorded of answers that the student has yet to give",
                             "train.teacher", "use \"online\"");
  }
  if (o.on_policy > 0 && o.teacher == "sampled") {
    return base::usage_error("targets are drawn before the first step, of answers that are there",
                             "train.teacher", "use \"online\" with train.on_policy");
  }
  if (o.on_policy > 0 && !sampled && o.soft_share < 1) {
    return base::usage_error("a sampled answer is no target: cross-entropy with it says nothing",
                             "train.soft_share", "leave it at 1 with train.on_policy");
  }
  return {};
}

}  // namespace

Result<void> validate_objective(const TrainOptions& o) {
  if (o.objective != "sequence_kd" && o.objective != kSampled && !learns_pairs(o) &&
      find(o.objective) == nullptr) {
    return base::usage_error(fmt::format("there is no objective \"{}\"", o.objective),
                             "train.objective",
                             "sequence_kd, forward_kl, reverse_kl, jsd, skew_kl, skew_reverse_kl, "
                             "sampled_reverse_kl, dpo");
  }
  RETORT_TRY_VOID(require(o.teacher == "online" || o.teacher == "recorded" ||
                              o.teacher == "sampled" || o.teacher == "http",
                          "train.teacher", "online, sampled, recorded or http"));
  RETORT_TRY_VOID(require(o.score_tokens >= 0, "train.score_tokens", "0 or more"));
  if (o.teacher == "http" && needs_teacher(o)) {
    return base::usage_error(
        fmt::format("{} needs whole distributions, and over HTTP a teacher gives the "
                    "log-probabilities of given tokens alone",
                    o.objective),
        "train.teacher",
        "use objective = \"sampled_reverse_kl\", or \"recorded\" with collect.top_logprobs");
  }
  RETORT_TRY_VOID(require(o.draws >= 1 && o.draws <= kernels::SparseTeacher::kMostEntries,
                          "train.draws", "1 to 1024"));
  if (o.teacher == "sampled" && asks_scores(o)) {
    return base::usage_error(
        fmt::format("{} asks for the log-probabilities of given tokens alone", o.objective),
        "train.teacher", "use \"online\"");
  }
  if (draws_targets(o) && (o.objective != "forward_kl" || o.temperature != 1)) {
    return base::usage_error(
        "drawn targets stand for the distribution in forward_kl alone, at "
        "temperature 1",
        "train.teacher", "use \"online\" with other divergences");
  }
  RETORT_TRY_VOID(
      require(o.soft_share > 0 && o.soft_share <= 1, "train.soft_share", "above 0 and up to 1"));
  RETORT_TRY_VOID(require(o.beta > 0 && o.beta < 1, "train.beta",
                          "between 0 and 1; forward_kl and reverse_kl are its ends"));
  RETORT_TRY_VOID(require(o.skew > 0 && o.skew < 1, "train.skew", "between 0 and 1"));
  RETORT_TRY_VOID(require(o.temperature > 0 && o.temperature <= 100, "train.temperature",
                          "above 0 and up to 100"));
  RETORT_TRY_VOID(require(o.preference_beta > 0 && o.preference_beta <= 100,
                          "train.preference_beta", "above 0 and up to 100"));
  if (learns_pairs(o) && o.on_policy > 0) {
    return base::usage_error("dpo learns from answers that are ranked before it begins",
                             "train.on_policy", "leave it at 0");
  }
  if (learns_pairs(o) && (o.z_loss != 0 || o.label_smoothing >= 0.5)) {
    return base::usage_error("dpo takes label_smoothing below 0.5, and no z_loss",
                             "train.label_smoothing",
                             "it is the share of pairs that may be the wrong way round");
  }
  RETORT_TRY_VOID(validate_on_policy(o));
  if (o.temperature != 1 && o.teacher == "recorded" && needs_teacher(o)) {
    return base::usage_error("recorded log-probabilities are known at temperature 1 alone",
                             "train.temperature", "leave it at 1, or use teacher = \"online\"");
  }
  return {};
}

}  // namespace retort::train
