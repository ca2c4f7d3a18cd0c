// Rows of training: token ids with a mark on those that the loss counts. And how rows are laid into
// batches: whole documents, best fit, in an order that is a pure function of (seed, epoch).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "dialog/message.h"
#include "model/network.h"
#include "tensor/sparse_targets.h"
#include "tokenizer/chat.h"

namespace retort::train {

struct Example {
  std::string key;  // of the record
  std::vector<int32_t> ids;
  std::vector<bool> trained;  // ids[i] is to be predicted from what stands before it
  uint32_t source = 0;        // the teacher's view of it, where there is one
  // What the teacher recorded: a row for each trained id from ids[1] on; or no rows.
  tensor::SparseTargets teacher = {};
  std::string recorded = {};  // SHA-256 of it, where it was recorded; else ""
  // Of what is predicted at each input, where it is trained: its log-probability under another
  // model, and under the distribution that it was drawn from. Or none.
  std::vector<float> reference = {}, drawn = {};
  float baseline = 0;  // what reference - drawn is at other answers
  // Inputs that a batch holds for it: the last id is only predicted.
  int64_t inputs() const { return static_cast<int64_t>(ids.size()) - 1; }
  int64_t trained_tokens() const;
};

// Where the answer begins: the first id of the last unbroken run of trained ones.
size_t answer_start(const Example& row);
// Puts one value a trained token at its place in row.reference.
void set_reference(Example& row, std::span<const float> logprobs);

// Rows that are learnt together, before and after others (train.isolate_by).
struct RowPart {
  std::string name;
  int64_t rows = 0;
};

struct Examples {
  std::vector<Example> rows;
  std::vector<RowPart> parts = {};  // in the order of the rows, all of them; empty: no parts
  int64_t too_long = 0;    // left out: more inputs than a batch or the model's positions hold
  int64_t tokens() const;  // inputs of all rows
  int64_t trained_tokens() const;  // targets that count
};

// What follows the last trained id is cut off. A dialog with no trained id is bad input: it has no
// answer. `limit` is the most inputs a row may have.
class ExampleBuilder {
 public:
  ExampleBuilder(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatFormat& format,
                 int64_t limit)
      : tokenizer_(tokenizer), format_(format), limit_(limit) {}
  // The new row, until the next one is added; nullptr when it is too long and left out.
  Result<Example*> add(const std::string& key, const dialog::Messages& messages);
  void drop_last() { examples_.rows.pop_back(); }
  Examples take() { return std::move(examples_); }

 private:
  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatFormat& format_;
  int64_t limit_;
  Examples examples_;
};

using BatchPlan = std::vector<std::vector<uint32_t>>;  // rows of each batch

// Every row once, each batch at most batch_tokens inputs; no row may be longer than that.
// `together`: so many rows in succession share a batch, in their order; the limit is theirs.
BatchPlan plan_epoch(std::span<const Example> rows, int64_t batch_tokens, uint64_t seed,
                     int64_t epoch, uint32_t together = 1);
// Rows in their given order, for measuring.
BatchPlan plan_in_order(const std::vector<Example>& rows, int64_t batch_tokens,
                        uint32_t together = 1);
// What one of several processes computes of a step's batches: whole rows (or those that stay
// together), dealt so that all have about as many inputs, the longest first. With one process these
// very batches.
struct Share {
  int rank = 0;
  int size = 1;
  int64_t batch_tokens = 0;
  uint32_t together = 1;
};
BatchPlan share_of(const std::vector<Example>& rows, std::span<const std::vector<uint32_t>> batches,
                   const Share& share);
model::Batch make_batch(const std::vector<Example>& rows, std::span<const uint32_t> chosen);

// SHA-256 over keys, ids and marks of all rows, as hex: what a resumed run compares.
std::string digest(std::span<const Example> rows);
std::string digest(const Examples& examples);

// One row as text for a person, trained pieces in another colour (on a terminal) or in brackets.
std::string show(const Example& example, const tokenizer::Tokenizer& tokenizer, bool colour);

}  // namespace retort::train
