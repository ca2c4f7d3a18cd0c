#include "train/lesson_internal.h"

#include "train/pack_examples_internal.h"

namespace retort::train {
namespace {

template <class Stream, class Config>
void exchange_config(Stream& stream, Config& config) {
  auto& [vocab, width, layers, heads, kv_heads, head_dim, ffn, max_positions, rope_theta, norm_eps,
         tied_embeddings, qkv_bias, qk_norm, rope_divisors] = config;
  stream.fields(vocab, width, layers, heads, kv_heads, head_dim, ffn, max_positions, rope_theta,
                norm_eps, tied_embeddings, qkv_bias, qk_norm, rope_divisors);
}

template <class Stream, class Lora>
void exchange_lora(Stream& stream, Lora& lora) {
  auto& [rank, alpha, rank_stabilised, targets] = lora;
  stream.fields(rank, alpha, rank_stabilised, targets);
}

void pack_options(Packer& packer, TrainOptions options) {
  base::Options table;
  describe(table, options);
  for (const base::Option& option : table.all()) packer.fields(table.value_texts(option));
}

TrainOptions unpack_options(Unpacker& unpacker) {
  TrainOptions options;
  base::Options table;
  describe(table, options);
  for (const base::Option& option : table.all()) {
    std::vector<std::string> texts;
    unpacker.fields(texts);
    const auto set = table.set(option.name, texts);
    RETORT_CHECK(set.ok(), "{}", set.error().text());
  }
  return options;
}

void broadcast_bytes(Collective& collective, std::string& bytes) {
  collective.broadcast(std::as_writable_bytes(std::span(bytes)));
}

}  // namespace

void give_lesson(Collective& collective, const LoopInput& input, model::Weights& weights,
                 model::Adapter* adapter, OnlineTeacher* teacher) {
  Packer packer;
  pack_options(packer, input.options);
  exchange_examples(packer, input.data);
  exchange_examples(packer, input.held_out);
  packer.fields(input.spoken, input.measure_start);
  exchange_config(packer, weights.config());
  packer.fields(adapter != nullptr);
  if (adapter != nullptr) exchange_lora(packer, adapter->lora());
  packer.fields(teacher != nullptr);
  if (teacher != nullptr) {
    exchange_config(packer, teacher->config());
    teacher->pack(packer);
  }
  std::string bytes = packer.bytes();
  auto size = static_cast<int64_t>(bytes.size());
  collective.broadcast_value(size);
  broadcast_bytes(collective, bytes);
  collective.broadcast(std::as_writable_bytes(weights.block()));
  if (adapter != nullptr) collective.broadcast(std::as_writable_bytes(adapter->block()));
  if (teacher != nullptr) collective.broadcast(std::as_writable_bytes(teacher->block()));
}

void end_lessons(Collective& collective) {
  int64_t size = 0;
  collective.broadcast_value(size);
}

Result<std::optional<Lesson>> receive_lesson(Collective& collective) {
  int64_t size = 0;
  collective.broadcast_value(size);
  if (size == 0) return std::optional<Lesson>{};
  std::string bytes(static_cast<size_t>(size), '\0');
  broadcast_bytes(collective, bytes);
  Unpacker unpacker(std::move(bytes));
  TrainOptions options = unpack_options(unpacker);
  Examples data, held_out;
  exchange_examples(unpacker, data);
  exchange_examples(unpacker, held_out);
  int64_t spoken = 0;
  bool measure_start = false, has_adapter = false, has_teacher = false;
  unpacker.fields(spoken, measure_start);
  model::Config config;
  exchange_config(unpacker, config);
  Lesson lesson{.options = std::move(options),
                .data = std::move(data),
                .held_out = std::move(held_out),
                .weights = model::Weights(config),
                .adapter = {},
                .teacher = nullptr,
                .spoken = spoken,
                .measure_start = measure_start};
  unpacker.fields(has_adapter);
  if (has_adapter) {
    model::LoraConfig lora;
    exchange_lora(unpacker, lora);
    lesson.adapter.emplace(config, lora);
  }
  unpacker.fields(has_teacher);
  if (has_teacher) {
    model::Config of_teacher;
    exchange_config(unpacker, of_teacher);
    lesson.teacher = OnlineTeacher::unpack(unpacker, model::Weights(of_teacher));
  }
  collective.broadcast(std::as_writable_bytes(lesson.weights.block()));
  if (has_adapter) collective.broadcast(std::as_writable_bytes(lesson.adapter->block()));
  if (has_teacher) {
    collective.broadcast(std::as_writable_bytes(lesson.teacher->block()));
    RETORT_TRY(const model::Precision precision, parse_precision(lesson.options.precision));
    RETORT_TRY_VOID(lesson.teacher->prepare(lesson.options.batch_tokens, 0, precision));
  }
  return std::optional(std::move(lesson));
}

}  // namespace retort::train
