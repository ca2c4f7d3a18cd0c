// How fast this machine could train a shape at best, and how fast it really does: for the share of
// the machine's limit in the progress line, and for the expected time before anything starts.
#pragma once
#include <cstdint>

#include "model/config.h"
#include "model/lora.h"
#include "model/network.h"
#include "train/options.h"

namespace retort::train {

// Tokens a second if the matrix products of the weights, forward and backward, were the only work:
// each is run alone at its own size, streamed over the layers, for about half a second in all.
// `precision` is one that a network settled on.
struct ProductsOf {
  int64_t tokens = 0;                       // of a batch
  double trained_share = 1;                 // of them pass the last product, onto the vocabulary
  const model::LoraConfig* lora = nullptr;  // an adapter that is trained beside frozen weights
};
double products_tokens_per_second(const model::Config& config, const ProductsOf& of,
                                  model::Precision precision);

// Tokens a second of a whole step (forward, backward), measured on a short batch of documents of
// `document_tokens`. `lora`: of an adapter that is trained beside frozen weights, or nullptr.
double step_tokens_per_second(const model::Config& config, int64_t document_tokens,
                              model::Precision precision, const model::LoraConfig* lora = nullptr,
                              model::Use use = model::Use::training);
// Of a forward pass with all its logits, as a teacher makes it.
double forward_tokens_per_second(const model::Config& config, int64_t document_tokens,
                                 model::Precision precision);

// Bytes that training takes at its most: weights, what is trained beside them, gradients, the
// optimizer's state, activations. Without a teacher. Where options.recompute is auto, if they are
// kept.
int64_t training_memory_bytes(const model::Config& config, const TrainOptions& options,
                              model::Precision precision, const model::LoraConfig* lora);

}  // namespace retort::train
