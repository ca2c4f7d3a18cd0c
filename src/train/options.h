// What a person sets about training: the tables [train] and [student] of a run file.
#pragma once
#include <cstdint>
#include <string>

#include "base/options.h"
#include "base/result.h"
#include "model/config.h"
#include "model/network.h"

namespace retort::train {

struct TrainOptions {
  std::string objective = "sequence_kd";
  int64_t epochs = 6;
  int64_t batch_tokens = 4096;  // inputs of one step, at most
  double lr = 1e-3;
  double min_lr_ratio = 0.1;
  int64_t warmup_steps = -1;  // -1: warmup_share of all steps
  double warmup_share = 0.05;
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double clip_norm = 1.0;  // 0: no clipping
  int64_t seed = 1;
  std::string precision = "auto";
  int64_t checkpoint_every = 200;  // steps; one is written at the end in any case
  int64_t keep = 2;
  int64_t patience = 0;  // epochs without a better held-out loss before stopping; 0: never stop
};
void describe(base::Options& table, TrainOptions& options);
// Values that cannot work are usage errors that name the key.
Result<void> validate(const TrainOptions& options);
Result<model::Precision> parse_precision(const std::string& text);

struct StudentOptions {
  std::string from = "scratch";
  int64_t layers = 8;
  int64_t width = 256;
  int64_t heads = 0;     // 0: width / 32 up to width 512, then width / 64
  int64_t kv_heads = 0;  // 0: half of heads where that is whole
  int64_t ffn = 0;       // 0: 8/3 of width, rounded to a multiple of 64
  int64_t max_positions = 512;
  // Of weights that it starts from, how many of each are kept, the most important ones; 0: all.
  int64_t keep_layers = 0;
  int64_t keep_width = 0;
  int64_t keep_heads = 0;
  int64_t keep_ffn = 0;
  bool trim_vocab = false;  // keep only the tokens that the data takes
};
void describe(base::Options& table, StudentOptions& options);
// Parts to keep with nothing that they could be parts of are a usage error.
Result<void> validate(const StudentOptions& options);
// Whether layers, heads or channels are left out.
bool prunes(const StudentOptions& options);
// The shape of a student that starts from scratch. With `from` another model, its own shape counts
// and this is not asked.
Result<model::Config> student_config(const StudentOptions& options, int64_t vocab);

}  // namespace retort::train
