// What a person sets about training: the tables [train] and [student] of a run file.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/result.h"
#include "model/config.h"
#include "model/lora.h"
#include "model/network.h"

namespace retort::train {

struct TrainOptions {
  std::string objective = "sequence_kd";  // objective.h has all
  std::string teacher = "online";  // where distributions come from: its weights (asked at each
                                   // step, or drawn from before the first), or recorded; or http,
                                   // for the log-probabilities of given tokens alone
  int64_t score_tokens = 0;        // given to a teacher over HTTP in a run, at most; 0: no limit
  int64_t draws = 50;              // a token, where the teacher's targets are drawn
  double soft_share = 1;           // of the divergence; the rest is cross-entropy
  double beta = 0.5;               // jsd
  double preference_beta = 0.1;    // dpo
  double skew = 0.1;               // skew_kl, skew_reverse_kl
  double temperature = 1;          // of teacher and student
  double on_policy = 0;            // share of steps that learn from the student's own answers
  int64_t rollout_tokens = 128;    // of such an answer, at most
  double rollout_temperature = 1;
  std::string rollouts = "each_step";  // or first: all before the first step, by the first weights
  int64_t replay_answers = 0;  // sampled answers that are kept to be learnt from again; 0: none
  int64_t replay_uses = 4;     // of such an answer, the first one included
  int64_t epochs = 6;
  int64_t batch_tokens = 4096;  // inputs at once, at most
  int64_t accumulate = 1;       // such batches of one step: their gradients are added up
  std::string optimizer = "adamw";
  double lr = 1e-3;
  std::string schedule = "cosine";
  double min_lr_ratio = 0.1;
  double decay_share = 0.2;   // of all steps, at the end: wsd
  int64_t warmup_steps = -1;  // -1: warmup_share of all steps
  double warmup_share = 0.05;
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double muon_momentum = 0.95;
  double clip_norm = 1.0;  // 0: no clipping
  double label_smoothing = 0;
  double dropout = 0;  // of the embeddings' channels, and of what each half block adds
  double z_loss = 0;
  double average = 0;  // decay a step of the weights' running mean; 0: none is kept
  int64_t seed = 1;
  std::string precision = "auto";
  std::string recompute = "auto";  // of activations in the backward pass, instead of keeping them
  int64_t checkpoint_every = 200;  // steps; one is written at the end in any case
  int64_t keep = 2;
  std::string isolate_by;  // "": all rows in each epoch; "terms": one set after another, or apart
  int64_t patience = 0;    // epochs without a better held-out loss before stopping; 0: never stop
  int64_t lora_rank = 0;   // of an adapter beside frozen weights; 0: all weights are trained
  double lora_alpha = 0;   // 0: twice the rank
  std::vector<std::string> lora_targets = {"all"};  // projections, as PEFT calls them
};
void describe(base::Options& table, TrainOptions& options);
// Values that cannot work are usage errors that name the key.
Result<void> validate(const TrainOptions& options);
Result<model::Precision> parse_precision(const std::string& text);
// The adapter that is trained; nothing where all weights are.
Result<std::optional<model::LoraConfig>> lora_config(const TrainOptions& options);

struct StudentOptions {
  std::string from = "scratch";
  int64_t layers = 8;
  int64_t width = 256;
  int64_t heads = 0;     // 0: width / 32 up to width 512, then width / 64
  int64_t kv_heads = 0;  // 0: half of heads where that is whole
  int64_t ffn = 0;       // 0: 8/3 of width, rounded to a multiple of 64
  int64_t max_positions = 512;
  bool without_system = false;  // learns and answers without the prompts' system messages
  // Of weights that it starts from, how many of each are kept, the most important ones; 0: all.
  int64_t keep_layers = 0;
  int64_t keep_width = 0;
  int64_t keep_heads = 0;
  int64_t keep_ffn = 0;
  bool trim_vocab = false;  // keep only the tokens that the data takes
};
void describe(base::Options& table, StudentOptions& options);
// An adapter to train needs weights to stand beside: usage error where there are none.
Result<void> check_lora_base(const TrainOptions& train, const StudentOptions& student);
// Weights and vocabulary that are cut by all records depend on all terms: usage error beside
// isolate_by.
Result<void> check_isolated_start(const StudentOptions& student);
// Parts to keep with nothing that they could be parts of are a usage error.
Result<void> validate(const StudentOptions& options);
// Whether layers, heads or channels are left out.
bool prunes(const StudentOptions& options);
// The shape of a student that starts from scratch. With `from` another model, its own shape counts
// and this is not asked.
Result<model::Config> student_config(const StudentOptions& options, int64_t vocab);

}  // namespace retort::train
