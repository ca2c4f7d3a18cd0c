#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "train/identity_internal.h"

namespace retort::train {
namespace {

// These do not change what is learnt, to the byte.
constexpr std::string_view kOnTheWay[] = {"checkpoint_every", "keep", "recompute", "score_tokens"};

}  // namespace

json::Value identity_of(const LoopInput& input, const model::Config& config) {
  json::Value identity = input.identity.is_object() ? input.identity : json::Value::object();
  TrainOptions options = input.options;
  base::Options table;
  describe(table, options);
  for (const base::Option& option : table.all()) {
    if (std::ranges::find(kOnTheWay, option.name) != std::end(kOnTheWay)) continue;
    identity.set("train." + option.name,
                 fmt::format("{}", fmt::join(table.value_texts(option), ", ")));
  }
  identity.set("student", fmt::format("{} x {}, {}/{} heads of {}, ffn {}, vocabulary {}",
                                      config.layers, config.width, config.heads, config.kv_heads,
                                      config.head_dim, config.ffn, config.vocab));
  // By parts each checkpoint names those that it has learnt; held-out records are only measured.
  if (!input.data.parts.empty()) return identity;
  identity.set("data", digest(input.data));
  identity.set("held_out", digest(input.held_out));
  return identity;
}

}  // namespace retort::train
