#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "tokenizer/match.h"
#include "train/online_teacher_internal.h"
#include "train/pack_examples_internal.h"

namespace retort::train {
namespace {

constexpr float kRuledOut = -1e30F;  // the logit of an id that the teacher has no token for

std::vector<int32_t> trained_ids(const Example& row) {
  std::vector<int32_t> ids;
  for (size_t i = 1; i < row.ids.size(); ++i) {
    if (row.trained[i]) ids.push_back(row.ids[i]);
  }
  return ids;
}

}  // namespace

Result<std::unique_ptr<OnlineTeacher>> OnlineTeacher::create(
    model::Weights weights, std::shared_ptr<const tokenizer::Tokenizer> its_tokenizer,
    const tokenizer::Tokenizer& student, int64_t student_vocab, const std::string& source) {
  RETORT_TRY(auto format, tokenizer::ChatFormat::detect(*its_tokenizer));
  if (weights.config().vocab < its_tokenizer->size()) {
    return base::bad_input(fmt::format("the teacher's weights know {} tokens, its tokenizer has {}",
                                       weights.config().vocab, its_tokenizer->size()),
                           source);
  }
  auto ids = tokenizer::match(student, *its_tokenizer);
  if (!ids) {
    return base::bad_input(
        "the student's vocabulary is not the teacher's or a part of it: " + ids.error().message,
        source, "use objective = \"sequence_kd\", or start the student from the teacher's weights");
  }
  std::unique_ptr<OnlineTeacher> made(
      new OnlineTeacher(std::move(weights), std::move(its_tokenizer), std::move(format)));
  made->source_ = source;
  made->ids_ = std::move(*ids);
  made->student_vocab_ = student_vocab;
  bool in_order = student_vocab == made->weights_.config().vocab;
  for (size_t i = 0; i < made->ids_.size(); ++i) {
    in_order = in_order && made->ids_[i] == static_cast<tokenizer::TokenId>(i);
  }
  made->same_ids_ = in_order;
  return made;
}

Result<std::optional<uint32_t>> OnlineTeacher::add(const std::string& key,
                                                   const dialog::Messages& messages,
                                                   const Example& student_row) {
  const int64_t context = weights_.config().max_positions;
  ExampleBuilder builder(*tokenizer_, *format_, context);
  RETORT_TRY_VOID(builder.add(key, messages));
  Examples built = builder.take();
  if (built.rows.empty()) {
    return base::bad_input(
        fmt::format("the record is longer than the teacher's context of {} tokens", context), key,
        "leave it out of the training data");
  }
  std::vector<int32_t> expected = trained_ids(student_row);
  for (int32_t& id : expected) id = ids_[static_cast<size_t>(id)];
  if (trained_ids(built.rows.front()) != expected) return std::optional<uint32_t>();
  longest_ = std::max(longest_, built.rows.front().inputs());
  longest_prompt_ =
      std::max(longest_prompt_, static_cast<int64_t>(answer_start(built.rows.front())));
  rows_.rows.push_back(std::move(built.rows.front()));
  given_ = rows_.rows.size();
  return std::optional(static_cast<uint32_t>(given_ - 1));
}

uint32_t OnlineTeacher::add_sample(const Example& row) {
  const Example& given = rows_.rows[row.source];
  const size_t prompt = answer_start(given);
  Example sample{.key = row.key,
                 .ids = {given.ids.begin(), given.ids.begin() + static_cast<int64_t>(prompt)},
                 .trained = std::vector<bool>(prompt, false)};
  for (size_t i = answer_start(row); i < row.ids.size(); ++i) {
    sample.ids.push_back(ids_[static_cast<size_t>(row.ids[i])]);
  }
  sample.trained.resize(sample.ids.size(), true);
  rows_.rows.push_back(std::move(sample));
  return static_cast<uint32_t>(rows_.rows.size() - 1);
}

void OnlineTeacher::forget_samples() {
  rows_.rows.resize(given_);
}

Result<void> OnlineTeacher::prepare(int64_t batch_tokens, int64_t sample_tokens,
                                    model::Precision precision) {
  const int64_t context = weights_.config().max_positions;
  if (sample_tokens > 0 && longest_prompt_ + sample_tokens > context) {
    return base::usage_error(
        fmt::format("a prompt of {} tokens and an answer of {} are more than the teacher's context "
                    "of {}",
                    longest_prompt_, sample_tokens, context),
        "train.rollout_tokens");
  }
  room_ = std::max({batch_tokens, longest_, longest_prompt_ + sample_tokens});
  network_.emplace(weights_, room_, precision, nullptr, model::Use::inference);
  return {};
}

int64_t OnlineTeacher::memory_bytes() const {
  return static_cast<int64_t>(weights_.block().size_bytes()) +
         model::Network::memory_bytes(weights_.config(), room_, network_->precision(), nullptr,
                                      model::Use::inference);
}

void OnlineTeacher::pack(Packer& packer) const {
  packer.fields(source_, ids_, same_ids_, student_vocab_, longest_, longest_prompt_, given_);
  exchange_examples(packer, rows_);
}

std::unique_ptr<OnlineTeacher> OnlineTeacher::unpack(Unpacker& unpacker, model::Weights weights) {
  std::unique_ptr<OnlineTeacher> made(new OnlineTeacher(std::move(weights), nullptr, std::nullopt));
  unpacker.fields(made->source_, made->ids_, made->same_ids_, made->student_vocab_, made->longest_,
                  made->longest_prompt_, made->given_);
  exchange_examples(unpacker, made->rows_);
  return made;
}

// Of the trained tokens of these rows of the teacher's.
std::vector<std::vector<float>> OnlineTeacher::answer_logprobs(std::span<const uint32_t> rows) {
  const model::Batch batch = make_batch(rows_.rows, rows);
  std::vector<float> nll(batch.tokens.size());
  network_->loss(batch, nll);
  std::vector<std::vector<float>> out(rows.size());
  for (size_t doc = 0; doc < rows.size(); ++doc) {
    for (int32_t row = batch.doc_starts[doc]; row < batch.doc_starts[doc + 1]; ++row) {
      if (batch.targets[row] >= 0) out[doc].push_back(-nll[row]);
    }
  }
  return out;
}

Result<void> OnlineTeacher::score(std::vector<Example>& rows) {
  forget_samples();
  std::vector<uint32_t> some;
  int64_t tokens = 0;
  size_t first = 0;  // of the rows whose samples are in `some`
  const auto run = [&] {
    const auto logprobs = answer_logprobs(some);
    for (size_t i = 0; i < some.size(); ++i) set_reference(rows[first + i], logprobs[i]);
    first += some.size();
    some.clear();
    tokens = 0;
  };
  for (const Example& row : rows) {
    const uint32_t sample = add_sample(row);
    const int64_t inputs = rows_.rows[sample].inputs();
    if (!some.empty() && tokens + inputs > room_) run();
    some.push_back(sample);
    tokens += inputs;
  }
  if (!some.empty()) run();
  forget_samples();
  return {};
}

void OnlineTeacher::start(const model::Batch& batch) {
  RETORT_CHECK_EQ(batch.sources.size() + 1, batch.doc_starts.size());
  sources_ = batch.sources;
  doc_of_.assign(batch.tokens.size(), -1);
  nth_of_.assign(batch.tokens.size(), -1);
  for (size_t doc = 0; doc + 1 < batch.doc_starts.size(); ++doc) {
    int32_t nth = 0;
    for (int32_t row = batch.doc_starts[doc]; row < batch.doc_starts[doc + 1]; ++row) {
      if (batch.targets[row] < 0) continue;
      doc_of_[row] = static_cast<int32_t>(doc);
      nth_of_[row] = nth++;
    }
  }
  first_doc_ = end_doc_ = 0;
}

void OnlineTeacher::run_from(size_t first) {
  first_doc_ = end_doc_ = first;
  int64_t tokens = 0;
  while (end_doc_ < sources_.size()) {
    tokens += rows_.rows[sources_[end_doc_]].inputs();
    if (tokens > room_) break;
    ++end_doc_;
  }
  const model::Batch batch =
      make_batch(rows_.rows, std::span<const uint32_t>(sources_).subspan(first, end_doc_ - first));
  trained_rows_.assign(end_doc_ - first, {});
  for (size_t doc = 0; doc < trained_rows_.size(); ++doc) {
    for (int32_t row = batch.doc_starts[doc]; row < batch.doc_starts[doc + 1]; ++row) {
      if (batch.targets[row] >= 0) trained_rows_[doc].push_back(row);
    }
  }
  network_->forward(batch);
}

// In the student's ids.
void OnlineTeacher::renamed_logits(std::span<const int32_t> theirs, float* to) {
  const int64_t vocab = weights_.config().vocab;
  logits_.resize(theirs.size() * static_cast<size_t>(vocab));
  network_->logits(theirs, logits_.data());
  for (size_t i = 0; i < theirs.size(); ++i) {
    const float* from = logits_.data() + static_cast<int64_t>(i) * vocab;
    float* row = to + static_cast<int64_t>(i) * student_vocab_;
    std::fill(row + ids_.size(), row + student_vocab_, kRuledOut);
    for (size_t id = 0; id < ids_.size(); ++id) row[id] = from[ids_[id]];
  }
}

void OnlineTeacher::logits(std::span<const int32_t> rows, float* to) {
  const auto doc_of = [&](int32_t row) { return static_cast<size_t>(doc_of_[row]); };
  std::vector<int32_t> theirs;
  for (size_t done = 0; done < rows.size();) {
    if (doc_of(rows[done]) >= end_doc_) run_from(doc_of(rows[done]));
    theirs.clear();
    for (size_t i = done; i < rows.size() && doc_of(rows[i]) < end_doc_; ++i) {
      RETORT_CHECK(doc_of(rows[i]) >= first_doc_, "row {} was asked for too late", rows[i]);
      theirs.push_back(trained_rows_[doc_of(rows[i]) - first_doc_][nth_of_[rows[i]]]);
    }
    float* out = to + static_cast<int64_t>(done) * student_vocab_;
    if (same_ids_) {
      network_->logits(theirs, out);
    } else {
      renamed_logits(theirs, out);
    }
    done += theirs.size();
  }
}

}  // namespace retort::train
