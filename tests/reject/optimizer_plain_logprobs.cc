// A student's targets come from cleared log-probabilities alone.
// rejected: could not convert|no matching|invalid initialization|cannot bind
#include <vector>

#include "train/logprob_rows.h"

namespace retort {

base::Result<train::LogprobRows> rows(const corpus::Cleared<terms::TrainGenerative>& cleared,
                                      const std::vector<std::vector<corpus::TokenLogprobs>>& plain,
                                      const train::Examples& examples,
                                      const tokenizer::Tokenizer& tokenizer,
                                      const tokenizer::ChatFormat& format) {
#ifdef RETORT_FORBIDDEN
  return train::logprob_rows(plain, examples, tokenizer, format);
#else
  (void)plain;
  return train::logprob_rows(cleared, examples, tokenizer, format);
#endif
}

}  // namespace retort
