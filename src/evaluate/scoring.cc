#include "evaluate/scoring.h"

#include <algorithm>
#include <numbers>

#include "base/cancel.h"
#include "model/network.h"

namespace retort::evaluate {
namespace {

constexpr int64_t kBatchTokens = 1024;

int64_t inputs(const Scored& text) {
  return static_cast<int64_t>(text.ids.size()) - 1;
}

void append(model::Batch& batch, const Scored& text) {
  batch.doc_starts.push_back(static_cast<int32_t>(batch.tokens.size()));
  for (size_t i = 0; i + 1 < text.ids.size(); ++i) {
    batch.tokens.push_back(text.ids[i]);
    batch.targets.push_back(text.counted[i + 1] ? text.ids[i + 1] : -1);
  }
}

// Texts [begin, end) fill one batch.
size_t end_of_batch(const std::vector<Scored>& texts, size_t begin, int64_t capacity) {
  int64_t sum = 0;
  size_t end = begin;
  while (end < texts.size() && sum + inputs(texts[end]) <= capacity) sum += inputs(texts[end++]);
  return end;
}

}  // namespace

Result<Scored> render(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatFormat& format,
                      const dialog::Messages& messages) {
  RETORT_TRY(auto rendered, format.render(tokenizer, messages, /*open_assistant=*/false));
  const auto& marks = rendered.trained;
  const auto size =
      static_cast<size_t>(marks.rend() - std::find(marks.rbegin(), marks.rend(), true));
  rendered.ids.resize(size);
  rendered.trained.resize(size);
  Scored scored{std::move(rendered.ids), std::move(rendered.trained), 0};
  for (const dialog::Message& message : messages) {
    if (message.role != dialog::Role::assistant) continue;
    scored.answer_bytes += static_cast<int64_t>(message.content.size());
  }
  return scored;
}

Result<std::vector<double>> student_bits(const model::Weights& weights,
                                         const std::vector<Scored>& texts) {
  int64_t longest = 1;
  for (const Scored& text : texts) longest = std::max(longest, inputs(text));
  const int64_t capacity = std::max(kBatchTokens, longest);
  model::Network network(weights, capacity, model::Precision::fp32, nullptr, model::Use::inference);
  std::vector<double> bits(texts.size());
  std::vector<float> nll;
  for (size_t begin = 0; begin < texts.size();) {
    if (base::cancelled()) return base::cancelled_error("evaluate");
    const size_t end = end_of_batch(texts, begin, capacity);
    model::Batch batch;
    for (size_t i = begin; i < end; ++i) append(batch, texts[i]);
    batch.doc_starts.push_back(static_cast<int32_t>(batch.tokens.size()));
    nll.assign(batch.tokens.size(), 0);
    network.loss(batch, nll);
    for (size_t i = begin; i < end; ++i) {
      const auto first = static_cast<size_t>(batch.doc_starts[i - begin]);
      const auto last = static_cast<size_t>(batch.doc_starts[i - begin + 1]);
      for (size_t at = first; at < last; ++at) bits[i] += nll[at] / std::numbers::ln2;
    }
    begin = end;
  }
  return bits;
}

std::vector<double> ngram_bits(const KneserNey& ngram, const std::vector<Scored>& texts) {
  std::vector<double> bits(texts.size());
  for (size_t t = 0; t < texts.size(); ++t) {
    const Scored& text = texts[t];
    for (size_t i = 0; i < text.ids.size(); ++i) {
      if (!text.counted[i]) continue;
      const std::span<const int32_t> context = std::span(text.ids).first(i);
      bits[t] -= ngram.log_probability(context, text.ids[i]) / std::numbers::ln2;
    }
  }
  return bits;
}

}  // namespace retort::evaluate
