// A teacher's log-probabilities as targets of a student: which of the student's tokens a kept token
// of the teacher is, and which of its alternatives the student has. Tokens are compared by their
// bytes. A student whose tokenizer cuts an answer as the teacher's did gets a target for every
// token; where it cuts otherwise only a token that begins and ends at the same bytes of the answer
// gets one, though the two then choose among other continuations.
#pragma once
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "corpus/clearance.h"
#include "tensor/sparse_targets.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"
#include "train/examples.h"

namespace retort::train {

struct LogprobCounts {
  int64_t records = 0;  // with log-probabilities
  int64_t without = 0;  // records that have none
  int64_t tokens = 0;   // trained ids of the answers' texts, of records with log-probabilities
  int64_t aligned = 0;  // of them with a target
  int64_t stops = 0;    // targets of the token that ends an answer: not every teacher sends it
  double share() const {
    return tokens == 0 ? 0 : static_cast<double>(aligned) / static_cast<double>(tokens);
  }
};

struct LogprobRows {
  // One for each example: a row for each trained id from ids[1] on, in order. An empty row: nothing
  // is known. Alternatives that the student has not, or more than once, are in the row's tail.
  std::vector<tensor::SparseTargets> of_example;
  LogprobCounts counts;
};

// Below this most of a loss would have no teacher.
inline constexpr double kLeastAlignedShare = 0.5;

// `data` was cleared with Selection::logprobs; `examples` are of its records, told by their keys,
// rendered with this tokenizer and format. A usage error that names sequence_kd where no record has
// log-probabilities, or less than the least share of tokens is aligned.
template <class ActionTag>
Result<LogprobRows> logprob_rows(const corpus::Cleared<ActionTag>& data, const Examples& examples,
                                 const tokenizer::Tokenizer& tokenizer,
                                 const tokenizer::ChatFormat& format);

}  // namespace retort::train
