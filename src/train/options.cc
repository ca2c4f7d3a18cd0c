#include "train/options.h"

#include <fmt/core.h>

#include <algorithm>

namespace retort::train {
namespace {

constexpr int64_t kSmallWidth = 512;
constexpr int64_t kFfnMultiple = 64;

Result<void> require(bool holds, const char* key, const char* expected) {
  if (holds) return {};
  return base::usage_error(fmt::format("{} must be {}", key, expected), key);
}

int64_t default_heads(int64_t width) {
  return width / (width <= kSmallWidth ? 32 : 64);
}

int64_t default_ffn(int64_t width) {
  const int64_t nearest = (width * 8 / 3 + kFfnMultiple / 2) / kFfnMultiple * kFfnMultiple;
  return std::max(nearest, kFfnMultiple);
}

}  // namespace

void describe(base::Options& table, TrainOptions& o) {
  table.add("objective", &o.objective,
            "what is learnt: sequence_kd, the teacher's answers as text");
  table.add("epochs", &o.epochs, "passes over the data");
  table.add("batch_tokens", &o.batch_tokens, "tokens of one step, at most");
  table.add("lr", &o.lr, "peak learning rate");
  table.add("min_lr_ratio", &o.min_lr_ratio, "learning rate at the end, as a share of lr");
  table.add("warmup_steps", &o.warmup_steps, "steps of linear warm-up; -1: by warmup_share");
  table.add("warmup_share", &o.warmup_share, "share of all steps that warm up");
  table.add("weight_decay", &o.weight_decay, "AdamW's decay of matrices (vectors have none)");
  table.add("beta1", &o.beta1, "AdamW's decay of the first moment");
  table.add("beta2", &o.beta2, "AdamW's decay of the second moment");
  table.add("eps", &o.eps, "AdamW's epsilon");
  table.add("clip_norm", &o.clip_norm, "largest norm of all gradients together; 0: no clipping");
  table.add("seed", &o.seed, "first weights and order of the data");
  table.add("precision", &o.precision, "matrix products: auto, fp32 or bf16");
  table.add("checkpoint_every", &o.checkpoint_every, "steps between checkpoints");
  table.add("keep", &o.keep, "checkpoints kept");
  table.add(
      "patience", &o.patience,
      "epochs without a better held-out loss before stopping with the best weights; 0: never");
}

Result<void> validate(const TrainOptions& o) {
  if (o.objective != "sequence_kd") {
    return base::usage_error(fmt::format("there is no objective \"{}\"", o.objective),
                             "train.objective", "this version has sequence_kd");
  }
  RETORT_TRY_VOID(require(o.epochs >= 1 && o.epochs <= 100000, "train.epochs", "1 to 100000"));
  RETORT_TRY_VOID(require(o.batch_tokens >= 2 && o.batch_tokens <= int64_t{1} << 24,
                          "train.batch_tokens", "2 to 16777216"));
  RETORT_TRY_VOID(require(o.lr > 0 && o.lr <= 10, "train.lr", "above 0 and at most 10"));
  RETORT_TRY_VOID(
      require(o.min_lr_ratio >= 0 && o.min_lr_ratio <= 1, "train.min_lr_ratio", "between 0 and 1"));
  RETORT_TRY_VOID(require(o.warmup_steps >= -1, "train.warmup_steps", "-1 or more"));
  RETORT_TRY_VOID(
      require(o.warmup_share >= 0 && o.warmup_share <= 1, "train.warmup_share", "between 0 and 1"));
  RETORT_TRY_VOID(require(o.weight_decay >= 0, "train.weight_decay", "0 or more"));
  RETORT_TRY_VOID(require(o.beta1 >= 0 && o.beta1 < 1, "train.beta1", "from 0 to below 1"));
  RETORT_TRY_VOID(require(o.beta2 >= 0 && o.beta2 < 1, "train.beta2", "from 0 to below 1"));
  RETORT_TRY_VOID(require(o.eps > 0, "train.eps", "above 0"));
  RETORT_TRY_VOID(require(o.clip_norm >= 0, "train.clip_norm", "0 or more"));
  RETORT_TRY_VOID(require(o.seed >= 0, "train.seed", "0 or more"));
  RETORT_TRY_VOID(require(o.checkpoint_every >= 1, "train.checkpoint_every", "1 or more"));
  RETORT_TRY_VOID(require(o.keep >= 1, "train.keep", "1 or more"));
  RETORT_TRY_VOID(require(o.patience >= 0, "train.patience", "0 or more"));
  if (auto precision = parse_precision(o.precision); !precision) return precision.error();
  return {};
}

Result<model::Precision> parse_precision(const std::string& text) {
  if (text == "auto") return model::Precision::automatic;
  if (text == "fp32") return model::Precision::fp32;
  if (text == "bf16") return model::Precision::bf16;
  return base::usage_error(fmt::format("precision must be auto, fp32 or bf16, not \"{}\"", text),
                           "train.precision");
}

void describe(base::Options& table, StudentOptions& o) {
  table.add("from", &o.from, "scratch, or a Hugging Face folder or GGUF to start from");
  table.add("layers", &o.layers, "transformer blocks");
  table.add("width", &o.width, "channels");
  table.add("heads", &o.heads, "attention heads; 0: by width");
  table.add("kv_heads", &o.kv_heads, "heads of keys and values; 0: half of heads");
  table.add("ffn", &o.ffn, "inner width of the feed-forward part; 0: 8/3 of width");
  table.add("max_positions", &o.max_positions, "longest text in tokens");
  table.add("keep_layers", &o.keep_layers,
            "blocks to keep of the weights that it starts from, the most important; 0: all");
  table.add("keep_width", &o.keep_width, "channels to keep of them; 0: all");
  table.add("keep_heads", &o.keep_heads, "attention heads to keep of them; 0: all");
  table.add("keep_ffn", &o.keep_ffn, "inner channels to keep of them; 0: all");
  table.add("trim_vocab", &o.trim_vocab, "keep only the tokens of theirs that the data takes");
}

bool prunes(const StudentOptions& o) {
  return o.keep_layers > 0 || o.keep_width > 0 || o.keep_heads > 0 || o.keep_ffn > 0;
}

Result<void> validate(const StudentOptions& o) {
  RETORT_TRY_VOID(require(o.keep_layers >= 0, "student.keep_layers", "0 or more"));
  RETORT_TRY_VOID(require(o.keep_width >= 0, "student.keep_width", "0 or more"));
  RETORT_TRY_VOID(require(o.keep_heads >= 0, "student.keep_heads", "0 or more"));
  RETORT_TRY_VOID(require(o.keep_ffn >= 0, "student.keep_ffn", "0 or more"));
  if (o.from == "scratch" && (prunes(o) || o.trim_vocab)) {
    return base::usage_error("a student from scratch has nothing to keep parts of", "student",
                             "name the weights to start from in student.from");
  }
  return {};
}

Result<model::Config> student_config(const StudentOptions& o, int64_t vocab) {
  constexpr int64_t kLargest = 1 << 20;
  RETORT_TRY_VOID(require(o.width >= 2 && o.width <= kLargest, "student.width", "2 to 1048576"));
  RETORT_TRY_VOID(require(o.heads >= 0 && o.heads <= o.width, "student.heads", "0 to width"));
  const int64_t heads = o.heads > 0 ? o.heads : std::max<int64_t>(default_heads(o.width), 1);
  RETORT_TRY_VOID(
      require(o.kv_heads >= 0 && o.kv_heads <= heads, "student.kv_heads", "0 to heads"));
  RETORT_TRY_VOID(require(o.ffn >= 0 && o.ffn <= kLargest, "student.ffn", "0 to 1048576"));
  if (o.width % heads != 0 || (o.width / heads) % 2 != 0) {
    return base::usage_error(
        fmt::format("a width of {} cannot be shared among {} heads of even size", o.width, heads),
        "student.width", "use a multiple of 64, or set student.heads");
  }
  const int64_t half = heads % 2 == 0 ? heads / 2 : heads;
  const model::Config config{.vocab = vocab,
                             .width = o.width,
                             .layers = o.layers,
                             .heads = heads,
                             .kv_heads = o.kv_heads > 0 ? o.kv_heads : half,
                             .head_dim = o.width / heads,
                             .ffn = o.ffn > 0 ? o.ffn : default_ffn(o.width),
                             .max_positions = o.max_positions};
  RETORT_TRY_VOID(model::validate(config));
  return config;
}

}  // namespace retort::train
