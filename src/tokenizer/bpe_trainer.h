// Trains a byte-level BPE vocabulary (Sennrich et al. 2016, "Neural Machine Translation of Rare
// Words with Subword Units"): the most frequent pair of neighbours becomes a token, again and
// again. The result is the same whatever the number of threads; of equally frequent pairs the one
// of lowest ids is merged first, so that merges equal those of Hugging Face's trainer.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "terms/cleared_text.h"
#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

struct BpeTrainerOptions {
  int64_t vocab_size = 4096;  // with special tokens and the 256 bytes
  // Take ids 0, 1, ... in this order.
  std::vector<std::string> special = {"<|im_start|>", "<|im_end|>", "<|endoftext|>"};
  // Names of special tokens; "" for none.
  std::string bos = "<|im_start|>";
  std::string eos = "<|im_end|>";
  std::string pad = "<|endoftext|>";
  PreTokenizer pre = PreTokenizer::smollm;
  uint64_t min_count = 2;  // pairs that stand more seldom are not merged
};

struct TrainedTokenizer {
  std::shared_ptr<const Tokenizer> tokenizer;  // with the ChatML template
  int64_t corpus_bytes = 0;
  int64_t distinct_words = 0;
  // The texts had too few pairs for the size asked for; tokenizer->size() says how far it came.
  bool stopped_early = false;
};

// The only way to a vocabulary from text: the text must be cleared for training.
Result<TrainedTokenizer> train_bpe(const terms::ClearedText<terms::TrainGenerative>& text,
                                   const BpeTrainerOptions& options = {});

}  // namespace retort::tokenizer
