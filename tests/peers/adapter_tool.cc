// What tests/peers/adapter_peers.py asks of adapters:
//
//   retort_adapter_tool make BASE ADAPTER      writes an adapter of random values for a model
//   folder retort_adapter_tool logits BASE ADAPTER ID...   logits of these ids as JSON, [[...],
//   ...]
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/random.h"
#include "json/value.h"
#include "model/lora.h"
#include "model/network.h"

namespace retort::model {
namespace {

Result<void> make(const std::string& base, const std::string& folder) {
  RETORT_TRY(const Weights weights, load_weights(base));
  Adapter adapter(weights.config(), {.rank = 6, .alpha = 9, .rank_stabilised = true});
  base::Random random(1);
  for (float& value : adapter.block()) value = static_cast<float>(0.1 * random.normal());
  return save_adapter(adapter, folder, "base");
}

Result<void> print_logits(const std::string& base, const std::string& folder,
                          const std::vector<int32_t>& ids) {
  RETORT_TRY(const Weights weights, load_weights(base));
  RETORT_TRY(const Adapter adapter, load_adapter(folder, weights.config()));
  const auto tokens = static_cast<int32_t>(ids.size());
  Network network(weights, tokens, Precision::fp32, &adapter);
  const std::vector<float> logits = network.logits(
      {.tokens = ids, .targets = std::vector<int32_t>(ids.size(), -1), .doc_starts = {0, tokens}});
  json::Value rows = json::Value::array();
  const size_t vocab = logits.size() / ids.size();
  for (size_t i = 0; i < ids.size(); ++i) {
    json::Value row = json::Value::array();
    for (size_t v = 0; v < vocab; ++v) row.push(static_cast<double>(logits[i * vocab + v]));
    rows.push(std::move(row));
  }
  std::printf("%s\n", json::dump(rows).c_str());
  return {};
}

Result<void> run(int argc, char** argv) {
  const std::string verb = argc > 3 ? argv[1] : "";
  if (verb == "make") return make(argv[2], argv[3]);
  if (verb != "logits") return base::usage_error("make or logits, a base and an adapter");
  std::vector<int32_t> ids;
  for (int i = 4; i < argc; ++i) ids.push_back(std::atoi(argv[i]));
  return print_logits(argv[2], argv[3], ids);
}

}  // namespace
}  // namespace retort::model

int main(int argc, char** argv) {
  const auto done = retort::model::run(argc, argv);
  if (!done) std::fprintf(stderr, "%s\n", done.error().text().c_str());
  return done ? 0 : retort::base::exit_code(done.error().code);
}
