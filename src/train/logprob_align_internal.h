// Aligning one answer; logprob_rows.h says what for.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "corpus/logprobs.h"
#include "train/logprob_rows.h"

namespace retort::train {

struct TeacherAnswer {
  std::string_view text;
  bool ended = false;  // by the teacher's own stop token, as far as anyone knows
  std::span<const corpus::TokenLogprobs> tokens;
};

class LogprobAligner {
 public:
  // `stop`: what ends an assistant's turn. The tokenizer outlives the object.
  LogprobAligner(const tokenizer::Tokenizer& tokenizer, tokenizer::TokenId stop);

  // A row for each trained id of the example from ids[1] on. The last unbroken run of trained ids
  // is the answer; those of earlier turns get empty rows.
  tensor::SparseTargets align(const Example& example, const TeacherAnswer& answer);
  const LogprobCounts& counts() const { return counts_; }

 private:
  using Kept = const corpus::TokenLogprobs*;

  // For each of the ids of an answer's text the teacher's token that it is, nullptr for none.
  std::vector<Kept> match(std::span<const int32_t> ids, const TeacherAnswer& answer) const;
  void add_row(Kept token, int32_t id, tensor::SparseTargets& rows) const;
  int32_t id_of(const std::string& bytes) const;

  const tokenizer::Tokenizer& tokenizer_;
  tokenizer::TokenId stop_;
  std::unordered_map<std::string, int32_t> ids_;  // kAmbiguous where several tokens are alike
  LogprobCounts counts_;
};

}  // namespace retort::train
