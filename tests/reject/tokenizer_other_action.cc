// No vocabulary is learnt from text that was cleared for something else.
// rejected: invalid initialization|could not convert|cannot bind
#include "corpus/clearance.h"
#include "tokenizer/bpe_trainer.h"

namespace retort {

bool learn(const corpus::Cleared<terms::TrainGenerative>& cleared,
           const corpus::Cleared<terms::Evaluate>& benchmark) {
#ifdef RETORT_FORBIDDEN
  return tokenizer::train_bpe(corpus::Clearance::text(benchmark)).ok();
#else
  (void)benchmark;
  return tokenizer::train_bpe(corpus::Clearance::text(cleared)).ok();
#endif
}

}  // namespace retort
