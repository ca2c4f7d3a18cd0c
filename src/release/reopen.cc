#include "release/reopen_internal.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "engine/engine.h"
#include "model/network.h"

namespace retort::release {
namespace {

constexpr int64_t kCacheBytes = int64_t{256} << 20;

GreedyOf greedy_by_engine(engine::Engine& engine) {
  return [&engine](const std::vector<TokenId>& prompt,
                   int64_t tokens) -> Result<std::vector<TokenId>> {
    if (tokens == 0) return std::vector<TokenId>();
    engine::Request request;
    request.prompt = prompt;
    request.max_tokens = tokens;
    request.sampling.temperature = 0;
    RETORT_TRY(auto answer, engine.generate(std::move(request)));
    return std::move(answer.tokens);
  };
}

Result<std::vector<GateCheck>> check_by_network(const Written& written, const Original& original) {
  RETORT_TRY(const auto weights, model::load_weights(written.path));
  const auto format_of = [&](const model::TensorInfo& info) {
    return written.is_folder ? written.format : gguf_format(info, written.format);
  };
  std::vector<GateCheck> checks;
  checks.push_back(check_weights(original.weights, weights, format_of));
  if (!checks.back().passed) return checks;  // another shape cannot be run on these probes
  size_t longest = 1;
  for (const auto& prompt : original.probes.prompts) longest = std::max(longest, prompt.size());
  RETORT_TRY(auto logits, check_logits(original.probes, original.expected,
                                       logits_by_network(weights, static_cast<int64_t>(longest)),
                                       logit_bound(written.format, /*same_program=*/true)));
  logits.what = "logits of the trainer's forward pass";
  checks.push_back(std::move(logits));
  return checks;
}

Result<std::vector<GateCheck>> check_by_engine(const Written& written, const Original& original) {
  engine::Options options;
  options.max_batch = 1;
  options.kv_cache_bytes = kCacheBytes;
  options.exact = true;  // it is the file that is examined, not the kernels for its format
  RETORT_TRY(const auto engine, engine::Engine::open(written.path, options));
  std::vector<GateCheck> checks;
  checks.push_back(check_ids(original.probes, original.tokenizer, engine->tokenizer()));
  if (!engine->chat()) return engine->chat().error();
  checks.push_back(check_chat(original.probes, original.tokenizer, original.chat,
                              engine->tokenizer(), *engine->chat()));
  const double bound = logit_bound(written.format, /*same_program=*/false);
  const LogitsOf logits_of = [&](const std::vector<TokenId>& prompt) {
    return engine->logits(prompt);
  };
  RETORT_TRY(auto logits, check_logits(original.probes, original.expected, logits_of, bound));
  logits.what = "logits of the engine";
  checks.push_back(std::move(logits));
  RETORT_TRY(auto greedy,
             check_greedy(original.probes, original.expected, greedy_by_engine(*engine), bound));
  checks.push_back(std::move(greedy));
  return checks;
}

}  // namespace

LogitsOf logits_by_network(const model::Weights& weights, int64_t max_tokens) {
  // Shared, because a std::function must be copyable.
  auto network = std::make_shared<model::Network>(weights, max_tokens, model::Precision::fp32);
  return [network](const std::vector<TokenId>& tokens) -> Result<std::vector<float>> {
    model::Batch batch;
    batch.tokens = tokens;
    batch.targets.assign(tokens.size(), -1);
    batch.doc_starts = {0, static_cast<int32_t>(tokens.size())};
    return network->logits(batch);
  };
}

Result<std::vector<GateCheck>> check_written(const Written& written, const Original& original) {
  RETORT_TRY(auto checks, check_by_network(written, original));
  if (first_failure(checks) == nullptr) {
    RETORT_TRY(auto more, check_by_engine(written, original));
    checks.insert(checks.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
  }
  for (auto& check : checks) check.file = written.label;
  return checks;
}

Result<GateCheck> check_adapter(const std::string& folder, const model::Adapter& original) {
  RETORT_TRY(const auto written, model::load_adapter(folder, original.base()));
  GateCheck check{.file = "adapter/",
                  .what = "weights",
                  .compared = static_cast<int64_t>(original.block().size()),
                  .measured = 0,
                  .bound = 0,
                  .passed = false,
                  .detail = "another rank, scale or choice of targets"};
  if (written.lora() != original.lora()) return check;
  for (size_t i = 0; i < original.block().size(); ++i) {
    const double difference = static_cast<double>(written.block()[i]) - original.block()[i];
    check.measured = std::max(check.measured, std::abs(difference));
  }
  check.passed = check.measured == 0;
  check.detail = "";
  return check;
}

}  // namespace retort::release
