#include "train/start.h"

#include <fmt/core.h>

#include <algorithm>
#include <span>

#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "json/value.h"
#include "model/importance.h"
#include "tokenizer/chat.h"
#include "train/examples.h"

namespace retort::train {
namespace {

using model::Batch;
using model::LossSum;
using tokenizer::TokenId;
using tokenizer::Tokenizer;

constexpr int64_t kSampleTokens = 16384;       // what parts are judged by, and what the start costs
constexpr int64_t kLayerTokens = 4096;         // of it, what each layer is judged by
constexpr uint64_t kSampleOrder = 0x73746100;  // stream of random numbers

template <class ActionTag>
Result<std::vector<Example>> sample(const corpus::Cleared<ActionTag>& cleared,
                                    const FitInput& input, int64_t limit) {
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*input.tokenizer));
  std::vector<Example> rows;
  int64_t tokens = 0;
  for (const uint32_t index :
       base::permutation(static_cast<uint32_t>(cleared.size()),
                         static_cast<uint64_t>(input.options.seed), kSampleOrder)) {
    const corpus::Record& record = cleared[index];
    dialog::Messages messages = record.messages;
    messages.push_back({dialog::Role::assistant, record.answer});
    ExampleBuilder builder(*input.tokenizer, format, limit);
    RETORT_TRY_VOID(builder.add(record.key, messages));
    for (Example& row : builder.take().rows) {
      tokens += row.inputs();
      rows.push_back(std::move(row));
    }
    if (tokens >= kSampleTokens) break;
  }
  return rows;
}

std::vector<Batch> batches(const std::vector<Example>& rows, int64_t batch_tokens) {
  std::vector<Batch> out;
  for (const auto& chosen : plan_in_order(rows, batch_tokens)) {
    out.push_back(make_batch(rows, chosen));
  }
  return out;
}

// Batches of about so many tokens, one at least.
std::span<const Batch> first_of(const std::vector<Batch>& texts, int64_t most) {
  size_t count = 0;
  for (int64_t tokens = 0; count < texts.size() && tokens < most; ++count) {
    tokens += static_cast<int64_t>(texts[count].tokens.size());
  }
  return {texts.data(), count};
}

// The same tokens by their numbers in the base's vocabulary.
std::vector<Batch> in_base_ids(std::vector<Batch> texts, const std::vector<TokenId>& kept) {
  const auto rename = [&](int32_t& id) {
    if (id >= 0 && !kept.empty()) id = kept[static_cast<size_t>(id)];
  };
  for (Batch& batch : texts) {
    std::ranges::for_each(batch.tokens, rename);
    std::ranges::for_each(batch.targets, rename);
  }
  return texts;
}

double mean_loss(model::Network& network, const std::vector<Batch>& texts) {
  LossSum sum;
  for (const Batch& batch : texts) {
    const LossSum one = network.loss(batch);
    sum.nll_sum += one.nll_sum;
    sum.tokens += one.tokens;
  }
  return sum.nll_sum / static_cast<double>(std::max<int64_t>(sum.tokens, 1));
}

struct Kept {
  model::Weights weights;
  model::PrunePlan plan;
  double loss_before = 0, loss_after = 0;  // nats a token
};

json::Value list(const std::vector<int64_t>& numbers) {
  json::Value out = json::Value::array();
  for (const int64_t number : numbers) out.push(number);
  return out;
}

Result<void> report(const Kept& kept, const model::Config& base, const FitInput& input) {
  const model::Config& now = kept.weights.config();
  base::log_info(
      "kept {} of {} layers, {} of {} channels, {} of {} heads, {} of {} inner channels, {} of {} "
      "tokens: {} of {} parameters",
      now.layers, base.layers, now.width, base.width, now.heads, base.heads, now.ffn, base.ffn,
      base::grouped(now.vocab), base::grouped(base.vocab), base::grouped(now.parameters()),
      base::grouped(base.parameters()));
  base::log_info("loss in nats a token, before anything is learnt: {:.3f}; of the whole: {:.3f}",
                 kept.loss_after, kept.loss_before);
  json::Value heads = json::Value::array();
  for (const auto& of_layer : kept.plan.kv_heads) heads.push(list(of_layer));
  const json::Value value = json::Value::object({{"schema", "retort.start/1"},
                                                 {"base_weights", input.base_weights->digest()},
                                                 {"base_parameters", base.parameters()},
                                                 {"parameters", now.parameters()},
                                                 {"layers", list(kept.plan.layers)},
                                                 {"kv_heads", std::move(heads)},
                                                 {"heads", now.heads},
                                                 {"width", now.width},
                                                 {"ffn", now.ffn},
                                                 {"vocab", now.vocab},
                                                 {"base_loss", kept.loss_before},
                                                 {"loss", kept.loss_after}});
  RETORT_TRY_VOID(base::make_directories(input.folder));
  return base::write_file_atomic(base::join(input.folder, "start.json"),
                                 json::dump(value, 2) + "\n");
}

model::KeepCounts keep_counts(const StudentOptions& o) {
  return {.layers = o.keep_layers, .heads = o.keep_heads, .ffn = o.keep_ffn, .width = o.keep_width};
}

// Parts to keep, and what the whole costs.
struct Choice {
  model::PrunePlan plan;
  double loss = 0;
};

Result<Choice> choose(model::Weights& weights, const FitInput& input,
                      const std::vector<Batch>& sampled, const std::vector<Batch>& measured) {
  const model::Config& config = weights.config();
  RETORT_TRY(const auto precision, parse_precision(input.options.precision));
  model::Network network(weights, input.options.batch_tokens, precision);
  Choice choice;
  choice.loss = mean_loss(network, measured);
  model::Importance importance;
  if (prunes(input.student)) importance = model::measure_activations(network, config, sampled);
  if (input.student.keep_layers > 0) {
    base::log_info("measuring the loss without each of {} layers", config.layers);
    importance.layers =
        model::losses_without_layers(network, weights, first_of(sampled, kLayerTokens));
  }
  choice.plan = model::plan_by_importance(config, importance, keep_counts(input.student));
  if (!input.kept_tokens.empty()) {
    choice.plan.vocab.assign(input.kept_tokens.begin(), input.kept_tokens.end());
  }
  return choice;
}

Result<Kept> leave_out(model::Weights& weights, const FitInput& input) {
  const int64_t batch_tokens = input.options.batch_tokens;
  const int64_t limit = std::min(batch_tokens, weights.config().max_positions);
  RETORT_TRY(const auto sampled, sample(input.data, input, limit));
  std::vector<Example> measured = sampled;
  if (input.held_out != nullptr) {
    RETORT_TRY(measured, sample(*input.held_out, input, limit));
  }
  if (sampled.empty() || measured.empty()) {
    return base::bad_input("there is no record by which parts could be judged", "",
                           "raise train.batch_tokens, or take shorter records");
  }
  const auto texts = batches(measured, batch_tokens);
  const auto& names = input.kept_tokens;
  RETORT_TRY(Choice choice,
             choose(weights, input, in_base_ids(batches(sampled, batch_tokens), names),
                    in_base_ids(texts, names)));
  Kept kept{.weights = model::prune(weights, choice.plan),
            .plan = std::move(choice.plan),
            .loss_before = choice.loss};
  RETORT_TRY(const auto precision, parse_precision(input.options.precision));
  model::Network network(kept.weights, batch_tokens, precision);
  kept.loss_after = mean_loss(network, texts);
  return kept;
}

Result<void> check_vocabulary(const FitInput& input, int64_t known) {
  const std::string& path = input.base_weights->path();
  const auto& kept = input.kept_tokens;
  const int64_t tokens = input.tokenizer->size();
  if (!kept.empty() && (static_cast<int64_t>(kept.size()) != tokens || kept.back() >= known)) {
    return base::bad_input(fmt::format("the table of kept tokens is not of these weights and of "
                                       "this tokenizer of {} tokens",
                                       tokens),
                           path, "make the tokenizer anew");
  }
  if (kept.empty() && known < tokens) {
    return base::bad_input(
        fmt::format("the weights know {} tokens, the tokenizer has {}", known, tokens), path,
        "use the tokenizer that came with these weights");
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> base_tokenizer(
    const corpus::ClearedWeights<terms::TrainGenerative>& weights) {
  RETORT_TRY(auto tokenizer, tokenizer::load_tokenizer(weights.path()));
  if (tokenizer->vocabulary().is_sentencepiece()) {
    return base::bad_input("its tokenizer is SentencePiece's, which export does not write",
                           weights.path(), "start from a model with byte-level BPE");
  }
  const auto format = tokenizer::ChatFormat::detect(*tokenizer);
  if (!format) return format.error().at(weights.path());
  return tokenizer;
}

Result<tokenizer::Trimmed> trim_tokenizer(const Tokenizer& base,
                                          const corpus::Cleared<terms::TrainGenerative>& data) {
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(base));
  std::vector<bool> seen(static_cast<size_t>(base.size()));
  const auto note = [&](const dialog::Messages& messages) -> Result<void> {
    RETORT_TRY(const auto rendered, format.render(base, messages, /*open_assistant=*/false));
    for (const TokenId id : rendered.ids) seen[static_cast<size_t>(id)] = true;
    return {};
  };
  // What later dialogs are framed with; a template without system messages takes none.
  using dialog::Role;
  const dialog::Messages turns = {{Role::user, "a"}, {Role::assistant, "a"}};
  RETORT_TRY_VOID(note(turns));
  static_cast<void>(note({{Role::system, "a"}, turns[0], turns[1]}));
  for (const corpus::Record& record : data.records()) {
    dialog::Messages messages = record.messages;
    messages.push_back({Role::assistant, record.answer});
    if (const auto noted = note(messages); !noted) return noted.error().at(record.key);
  }
  std::vector<TokenId> used;
  for (size_t id = 0; id < seen.size(); ++id) {
    if (seen[id]) used.push_back(static_cast<TokenId>(id));
  }
  return tokenizer::trim(base, used);
}

Result<model::Weights> start_weights(const FitInput& input) {
  const std::string& path = input.base_weights->path();
  RETORT_TRY(model::Weights weights, model::load_weights(path));
  RETORT_TRY_VOID(check_vocabulary(input, weights.config().vocab));
  if (!prunes(input.student) && input.kept_tokens.empty()) return weights;
  const auto possible = model::check_counts(weights.config(), keep_counts(input.student));
  if (!possible) return possible.error().at("student.keep_*, from " + path);
  RETORT_TRY(Kept kept, leave_out(weights, input));
  RETORT_TRY_VOID(report(kept, weights.config(), input));
  return std::move(kept.weights);
}

}  // namespace retort::train
