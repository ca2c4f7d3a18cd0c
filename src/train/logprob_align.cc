#include <algorithm>
#include <cmath>

#include "train/logprob_align_internal.h"

namespace retort::train {
namespace {

constexpr int32_t kAmbiguous = -1;

using corpus::TokenLogprobs;

std::string_view taken(const TokenLogprobs& token) {
  return token.entries[static_cast<size_t>(token.chosen)].bytes;
}

std::string text_of(std::span<const TokenLogprobs> tokens) {
  std::string text;
  for (const auto& token : tokens) text += taken(token);
  return text;
}

// Whether the last token is the one that ended the answer: it is no part of the text, whatever it
// is called.
bool has_stop(const TeacherAnswer& answer) {
  return answer.ended && !answer.tokens.empty() &&
         text_of(answer.tokens.first(answer.tokens.size() - 1)) == answer.text;
}

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + most, b.begin()).first -
                             a.begin());
}

}  // namespace

LogprobAligner::LogprobAligner(const tokenizer::Tokenizer& tokenizer, tokenizer::TokenId stop)
    : tokenizer_(tokenizer), stop_(stop) {
  const auto& vocabulary = tokenizer.vocabulary();
  std::vector<bool> is_byte(vocabulary.tokens.size());
  for (const auto id : vocabulary.byte_tokens) is_byte[static_cast<size_t>(id)] = true;
  const auto add = [&](int32_t id) {
    std::string bytes = tokenizer.is_special(id) ? vocabulary.tokens[static_cast<size_t>(id)]
                                                 : std::string(tokenizer.bytes(id));
    const auto [place, is_new] = ids_.emplace(std::move(bytes), id);
    // SentencePiece's byte tokens stand for characters that have no token of their own.
    if (!is_new && !is_byte[static_cast<size_t>(id)]) place->second = kAmbiguous;
  };
  const auto size = static_cast<int32_t>(vocabulary.tokens.size());
  for (int32_t id = 0; id < size; ++id) {
    if (!is_byte[static_cast<size_t>(id)]) add(id);
  }
  for (const auto id : vocabulary.byte_tokens) add(id);
}

int32_t LogprobAligner::id_of(const std::string& bytes) const {
  if (bytes.empty()) return kAmbiguous;  // what has no bytes could be anything
  const auto found = ids_.find(bytes);
  return found == ids_.end() ? kAmbiguous : found->second;
}

tensor::SparseTargets LogprobAligner::align(const Example& example, const TeacherAnswer& answer) {
  const size_t begin = answer_start(example);
  const bool stops = begin < example.ids.size() && example.ids.back() == stop_;
  const std::span<const int32_t> ids(example.ids);
  const auto text_ids = ids.subspan(begin, ids.size() - begin - (stops ? 1 : 0));
  std::vector<Kept> tokens = match(text_ids, answer);
  if (stops) {
    std::string text;
    for (const int32_t id : text_ids) text += tokenizer_.bytes(id);
    tokens.push_back(has_stop(answer) && text == answer.text ? &answer.tokens.back() : nullptr);
  }

  tensor::SparseTargets rows;
  for (size_t i = 1; i < ids.size(); ++i) {
    if (!example.trained[i]) continue;
    add_row(i < begin ? nullptr : tokens[i - begin], ids[i], rows);
    const bool known = rows.starts[rows.starts.size() - 2] < rows.starts.back();
    if (known) ++(i - begin < text_ids.size() ? counts_.aligned : counts_.stops);
  }
  const bool any = !answer.tokens.empty();
  ++(any ? counts_.records : counts_.without);
  if (any) counts_.tokens += std::ssize(text_ids);
  return rows;
}

std::vector<LogprobAligner::Kept> LogprobAligner::match(std::span<const int32_t> ids,
                                                        const TeacherAnswer& answer) const {
  std::vector<Kept> out(ids.size(), nullptr);
  const auto tokens = answer.tokens.first(answer.tokens.size() - (has_stop(answer) ? 1 : 0));
  std::string text;
  for (const int32_t id : ids) text += tokenizer_.bytes(id);
  const size_t same = common_prefix(text, text_of(tokens));
  size_t token = 0, token_at = 0, id_at = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string_view piece = tokenizer_.bytes(ids[i]);
    while (token < tokens.size() && token_at < id_at) token_at += taken(tokens[token++]).size();
    // Nothing behind the place where the texts differ has the same context.
    if (token == tokens.size() || id_at + piece.size() > same) break;
    if (token_at == id_at && taken(tokens[token]) == piece) out[i] = &tokens[token];
    id_at += piece.size();
  }
  return out;
}

// What the teacher knew of the token, in the student's ids; `id` is the token taken.
void LogprobAligner::add_row(Kept token, int32_t id, tensor::SparseTargets& rows) const {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
  if (token == nullptr) return rows.add_row(ids, logprobs, 1);
  double tail = static_cast<double>(token->tail);
  for (size_t i = 0; i < token->entries.size(); ++i) {
    const auto& entry = token->entries[i];
    if (std::isnan(entry.logprob)) continue;  // its mass is in the tail already
    const bool is_taken = static_cast<int64_t>(i) == token->chosen;
    const auto alike = std::count_if(token->entries.begin(), token->entries.end(),
                                     [&](const auto& other) { return other.bytes == entry.bytes; });
    const int32_t own = is_taken ? id : id_of(entry.bytes);
    if (own == kAmbiguous || (!is_taken && (own == id || alike > 1))) {
      tail += std::exp(static_cast<double>(entry.logprob));
      continue;
    }
    ids.push_back(own);
    logprobs.push_back(entry.logprob);
  }
  const bool known = !ids.empty();
  rows.add_row(ids, logprobs, known ? static_cast<float>(std::min(tail, 1.0)) : 1);
}

}  // namespace retort::train
