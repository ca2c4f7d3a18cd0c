// A teacher's weights in this process, asked for its distributions at the tokens that a student is
// learning. The teacher reads each record with its own tokenizer and chat template, and may be told
// more than the student is (a prompt that the student must do without): what both share are the
// trained tokens. Private to the room: fit() alone makes one, from weights that were cleared.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dialog/message.h"
#include "model/network.h"
#include "model/objective.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"
#include "train/examples.h"
#include "train/pack_internal.h"
#include "train/scorer_internal.h"

namespace retort::train {

class OnlineTeacher final : public model::LogitSource, public Scorer {
 public:
  // `student_vocab`: width of the student's logits, which may have spare ids behind its tokens'.
  // Refuses a student whose tokens are not all tokens of the teacher. `source` names the teacher in
  // errors.
  static Result<std::unique_ptr<OnlineTeacher>> create(
      model::Weights weights, std::shared_ptr<const tokenizer::Tokenizer> its_tokenizer,
      const tokenizer::Tokenizer& student, int64_t student_vocab, const std::string& source);

  // The teacher's view of a student's row; its index is what Batch::sources names. Nothing where
  // the two cut the answer into other tokens, as a trimmed vocabulary does with words that it has
  // not got. Refuses a row that is longer than the teacher's context.
  Result<std::optional<uint32_t>> add(const std::string& key, const dialog::Messages& messages,
                                      const Example& student_row);

  // The same prompt with an answer that the student gave; `row.source` is the row that the prompt
  // is from. Its index holds until forget_samples().
  uint32_t add_sample(const Example& row);
  void forget_samples();

  // Before the first batch: buffers for batches of up to so many tokens, or the longest row, or the
  // longest prompt with a sample of up to sample_tokens, which must be within its context.
  Result<void> prepare(int64_t batch_tokens, int64_t sample_tokens, model::Precision precision);

  int64_t memory_bytes() const;  // once it is prepared

  // The same teacher in another process: its weights go apart. What was unpacked takes no new rows.
  void pack(Packer& packer) const;
  static std::unique_ptr<OnlineTeacher> unpack(Unpacker& unpacker, model::Weights weights);
  const model::Config& config() const { return weights_.config(); }
  std::span<float> block() { return weights_.block(); }

  // Samples, as add_sample() takes them. The log-probabilities are of all the teacher's tokens,
  // also where the student has a part of them.
  Result<void> score(std::vector<Example>& rows) override;

  void start(const model::Batch& batch) override;
  // Rows in ascending order from call to call, until the next start().
  void logits(std::span<const int32_t> rows, float* to) override;

 private:
  OnlineTeacher(model::Weights weights, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                std::optional<tokenizer::ChatFormat> format)
      : weights_(std::move(weights)),
        tokenizer_(std::move(tokenizer)),
        format_(std::move(format)) {}
  std::vector<std::vector<float>> answer_logprobs(std::span<const uint32_t> rows);
  // Runs the documents of the batch from `first` on, as many as there is room for.
  void run_from(size_t first);
  void renamed_logits(std::span<const int32_t> theirs, float* to);

  model::Weights weights_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::optional<tokenizer::ChatFormat> format_;
  std::string source_;
  std::vector<tokenizer::TokenId> ids_;  // the teacher's id of each of the student's
  bool same_ids_ = false;                // and of each logit
  int64_t student_vocab_ = 0;

  Examples rows_;
  int64_t longest_ = 1, longest_prompt_ = 0;
  size_t given_ = 0;  // rows that are not samples
  int64_t room_ = 0;  // tokens of one forward pass
  std::optional<model::Network> network_;
  std::vector<float> logits_;  // [rows, V of the teacher] where ids differ

  // Of the batch in hand.
  std::vector<uint32_t> sources_;
  std::vector<int32_t> doc_of_;         // which document each trained row of the student is in
  std::vector<int32_t> nth_of_;         // and which of its trained tokens
  size_t first_doc_ = 0, end_doc_ = 0;  // those that the network ran last
  std::vector<std::vector<int32_t>> trained_rows_;  // of each of them, rows of that run
};

}  // namespace retort::train
