#include <algorithm>

#include "train/limit_internal.h"
#include "train/probe.h"

namespace retort::train {

std::function<double(model::Precision)> limit_of(const model::Config& config, const Examples& data,
                                                 const TrainOptions& options,
                                                 const model::LoraConfig* lora) {
  const double trained_share = static_cast<double>(data.trained_tokens()) /
                               static_cast<double>(std::max<int64_t>(data.tokens(), 1));
  return [config, trained_share, tokens = options.batch_tokens, lora](model::Precision precision) {
    return products_tokens_per_second(
        config, {.tokens = tokens, .trained_share = trained_share, .lora = lora}, precision);
  };
}

}  // namespace retort::train
