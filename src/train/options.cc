#include "train/options.h"

#include <fmt/core.h>

#include <algorithm>

#include "train/objective.h"
#include "train/require_internal.h"
#include "train/schedule.h"

namespace retort::train {
namespace {

constexpr int64_t kSmallWidth = 512;
constexpr int64_t kFfnMultiple = 64;

int64_t default_heads(int64_t width) {
  return width / (width <= kSmallWidth ? 32 : 64);
}

int64_t default_ffn(int64_t width) {
  const int64_t nearest = (width * 8 / 3 + kFfnMultiple / 2) / kFfnMultiple * kFfnMultiple;
  return std::max(nearest, kFfnMultiple);
}

// What a part's checkpoint holds may depend on nothing that comes after it.
Result<void> validate_isolation(const TrainOptions& o) {
  if (o.isolate_by.empty()) return {};
  RETORT_TRY_VOID(require(o.isolate_by == "terms", "train.isolate_by", "terms, or left out"));
  const char* const in_the_way =
      learns_pairs(o)    ? "objective = \"dpo\" pairs answers of all terms"
      : draws_targets(o) ? "teacher = \"sampled\" draws for all rows at once"
      : o.on_policy > 0  ? "on_policy"
      : o.patience > 0   ? "patience chooses weights by all held-out records"
                         : nullptr;
  if (in_the_way == nullptr) return {};
  return base::usage_error(
      fmt::format("terms cannot be isolated with {}", in_the_way), "train.isolate_by",
      "leave out one of the two: with both, removing records would change what was learnt before");
}

}  // namespace

void describe(base::Options& table, TrainOptions& o) {
  table.add(
      "objective", &o.objective,
      "what is learnt: sequence_kd (the teacher's answers as text), or its distributions by "
      "forward_kl, reverse_kl, jsd, skew_kl, skew_reverse_kl; or from the student's own "
      "answers by sampled_reverse_kl; or which of several answers to a prompt the teacher finds "
      "likelier: dpo");
  table.add("teacher", &o.teacher,
            "distributions: online, from the weights in teacher.serve; or sampled, drawn from "
            "theirs once, before the first step; or recorded by collect.top_logprobs. For "
            "sampled_reverse_kl and dpo also http, by teacher.base_url");
  table.add("score_tokens", &o.score_tokens,
            "tokens that are given to a teacher over HTTP to score, at most; 0: no limit");
  table.add("draws", &o.draws,
            "tokens drawn from the teacher's distribution at each place, where teacher is sampled");
  table.add("soft_share", &o.soft_share, "share of the divergence; the rest is cross-entropy");
  table.add("beta", &o.beta, "jsd: the teacher's share of the mixture");
  table.add("preference_beta", &o.preference_beta,
            "dpo: how far the student may go from its first weights; the lower the farther");
  table.add("skew", &o.skew, "skew_kl, skew_reverse_kl: share that is mixed in");
  table.add("temperature", &o.temperature, "of teacher and student, for the divergence");
  table.add(
      "on_policy", &o.on_policy,
      "share of the steps whose answers the student samples itself, for the teacher to judge");
  table.add("rollout_tokens", &o.rollout_tokens, "tokens of a sampled answer, at most");
  table.add("rollout_temperature", &o.rollout_temperature, "temperature of sampled answers");
  table.add("rollouts", &o.rollouts,
            "when the student samples: each_step, or first: once, by its first weights, and the "
            "teacher judges all of it before the first step (sampled_reverse_kl)");
  table.add("replay_answers", &o.replay_answers,
            "sampled answers that are kept to be learnt from again; 0: none");
  table.add("replay_uses", &o.replay_uses, "how often such an answer is learnt from in all");
  table.add("epochs", &o.epochs, "passes over the data");
  table.add("batch_tokens", &o.batch_tokens, "tokens computed at once, at most");
  table.add("accumulate", &o.accumulate, "batches of one step, whose gradients are added up");
  table.add("optimizer", &o.optimizer, "adamw, or muon (matrices; AdamW for the rest)");
  table.add("lr", &o.lr, "peak learning rate");
  table.add("schedule", &o.schedule, "learning rate after warm-up: cosine, linear, constant, wsd");
  table.add("min_lr_ratio", &o.min_lr_ratio, "learning rate at the end, as a share of lr");
  table.add("decay_share", &o.decay_share, "share of all steps that fall at the end, of wsd");
  table.add("warmup_steps", &o.warmup_steps, "steps of linear warm-up; -1: by warmup_share");
  table.add("warmup_share", &o.warmup_share, "share of all steps that warm up");
  table.add("weight_decay", &o.weight_decay, "AdamW's decay of matrices (vectors have none)");
  table.add("beta1", &o.beta1, "AdamW's decay of the first moment");
  table.add("beta2", &o.beta2, "AdamW's decay of the second moment");
  table.add("eps", &o.eps, "AdamW's epsilon");
  table.add("muon_momentum", &o.muon_momentum, "Muon's momentum");
  table.add("clip_norm", &o.clip_norm, "largest norm of all gradients together; 0: no clipping");
  table.add("label_smoothing", &o.label_smoothing, "share of a target spread over the vocabulary");
  table.add("dropout", &o.dropout,
            "share of the channels that are dropped of the embeddings and of what each half block "
            "adds, while it learns, such as 0.1");
  table.add("z_loss", &o.z_loss, "weight of the squared log-normaliser, such as 1e-4; 0: none");
  table.add("average", &o.average,
            "decay a step of a running mean of the weights, which is then what is measured and "
            "kept, such as 0.999; 0: none");
  table.add("seed", &o.seed, "first weights and order of the data");
  table.add("precision", &o.precision, "matrix products: auto, fp32 or bf16");
  table.add("recompute", &o.recompute,
            "make activations again in the backward pass instead of keeping them, which takes a "
            "fraction of the memory and up to a fifth more time: always, never, or auto, where "
            "memory would not suffice");
  table.add("checkpoint_every", &o.checkpoint_every, "steps between checkpoints");
  table.add("keep", &o.keep, "checkpoints kept");
  table.add(
      "isolate_by", &o.isolate_by,
      "terms: one set of terms is learnt after another, the firmest first, and the checkpoint "
      "between two is kept, to go on from when permission for the later ones ends; with lora_rank "
      "each set of terms has an adapter of its own, which goes alone");
  table.add(
      "patience", &o.patience,
      "epochs without a better held-out loss before stopping with the best weights; 0: never");
  table.add("lora_rank", &o.lora_rank,
            "rank of an adapter (LoRA) that is trained beside the frozen weights of student.from, "
            "such as 16; 0: all weights are trained");
  table.add("lora_alpha", &o.lora_alpha,
            "the adapter counts by lora_alpha / lora_rank; 0: twice the rank");
  table.add("lora_targets", &o.lora_targets,
            "matrices that it changes: all, or of q_proj, k_proj, v_proj, o_proj, gate_proj, "
            "up_proj, down_proj");
}

Result<void> validate(const TrainOptions& o) {
  RETORT_TRY_VOID(validate_objective(o));
  RETORT_TRY_VOID(require(o.epochs >= 1 && o.epochs <= 100000, "train.epochs", "1 to 100000"));
  RETORT_TRY_VOID(require(o.batch_tokens >= 2 && o.batch_tokens <= int64_t{1} << 24,
                          "train.batch_tokens", "2 to 16777216"));
  RETORT_TRY_VOID(
      require(o.accumulate >= 1 && o.accumulate <= 100000, "train.accumulate", "1 to 100000"));
  RETORT_TRY_VOID(
      require(o.optimizer == "adamw" || o.optimizer == "muon", "train.optimizer", "adamw or muon"));
  if (auto shape = parse_schedule(o.schedule); !shape) return shape.error();
  RETORT_TRY_VOID(
      require(o.decay_share > 0 && o.decay_share <= 1, "train.decay_share", "above 0 and up to 1"));
  RETORT_TRY_VOID(require(o.muon_momentum >= 0 && o.muon_momentum < 1, "train.muon_momentum",
                          "from 0 to below 1"));
  RETORT_TRY_VOID(require(o.label_smoothing >= 0 && o.label_smoothing < 1, "train.label_smoothing",
                          "from 0 to below 1"));
  RETORT_TRY_VOID(require(o.dropout >= 0 && o.dropout < 1, "train.dropout", "from 0 to below 1"));
  RETORT_TRY_VOID(
      require(o.recompute == "auto" || o.recompute == "always" || o.recompute == "never",
              "train.recompute", "auto, always or never"));
  RETORT_TRY_VOID(require(o.z_loss >= 0 && o.z_loss <= 1, "train.z_loss", "between 0 and 1"));
  RETORT_TRY_VOID(require(o.average >= 0 && o.average < 1, "train.average", "from 0 to below 1"));
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
  RETORT_TRY_VOID(parse_precision(o.precision));
  RETORT_TRY_VOID(validate_isolation(o));
  RETORT_TRY_VOID(lora_config(o));
  return {};
}

Result<std::optional<model::LoraConfig>> lora_config(const TrainOptions& o) {
  RETORT_TRY_VOID(require(o.lora_rank >= 0 && o.lora_rank <= 1024, "train.lora_rank", "0 to 1024"));
  RETORT_TRY_VOID(require(o.lora_alpha >= 0 && o.lora_alpha <= 1e6, "train.lora_alpha",
                          "0, or above it and at most 1000000"));
  model::LoraConfig lora;
  if (o.lora_targets != std::vector<std::string>{"all"}) {
    auto targets = model::parse_projections(o.lora_targets);
    if (!targets) return targets.error().at("train.lora_targets");
    lora.targets = std::move(*targets);
  }
  if (o.lora_rank == 0) return std::optional<model::LoraConfig>{};
  lora.rank = o.lora_rank;
  lora.alpha = o.lora_alpha > 0 ? o.lora_alpha : 2 * static_cast<double>(o.lora_rank);
  return std::optional(std::move(lora));
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
  table.add("without_system", &o.without_system,
            "it learns and answers without the system messages that the teacher is given");
  table.add("keep_layers", &o.keep_layers,
            "blocks to keep of the weights that it starts from, the most important; 0: all");
  table.add("keep_width", &o.keep_width, "channels to keep of them; 0: all");
  table.add("keep_heads", &o.keep_heads, "attention heads to keep of them; 0: all");
  table.add("keep_ffn", &o.keep_ffn, "inner channels to keep of them; 0: all");
  table.add("trim_vocab", &o.trim_vocab, "keep only the tokens of theirs that the data takes");
}

Result<void> check_lora_base(const TrainOptions& train, const StudentOptions& student) {
  if (train.lora_rank == 0 || student.from != "scratch") return {};
  return base::usage_error("an adapter learns beside weights that know something already",
                           "train.lora_rank",
                           "name a Hugging Face folder or a GGUF in student.from, or set it to 0");
}

bool prunes(const StudentOptions& o) {
  return o.keep_layers > 0 || o.keep_width > 0 || o.keep_heads > 0 || o.keep_ffn > 0;
}

Result<void> check_isolated_start(const StudentOptions& o) {
  if (!prunes(o) && !o.trim_vocab) return {};
  return base::usage_error(
      "terms cannot be isolated in a student whose parts or tokens are kept by what all records "
      "need",
      "train.isolate_by", "leave out student.keep_* and student.trim_vocab, or isolate_by");
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
