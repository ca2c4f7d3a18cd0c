#include "serve/pieces_internal.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace retort::serve {
namespace {

template <class T>
void move_behind(std::vector<T>& to, std::vector<T> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

// Characters that begin in these bytes: a token may end, or begin, inside of one.
int64_t characters_begun(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; });
}

}  // namespace

void Piece::append(Piece next) {
  text += next.text;
  move_behind(tokens, std::move(next.tokens));
  move_behind(offsets, std::move(next.offsets));
  if (next.prompt_logprobs) prompt_logprobs = std::move(next.prompt_logprobs);
  move_behind(ids, std::move(next.ids));
  if (!next.finish_reason.empty()) {
    finish_reason = std::move(next.finish_reason);
    stop_token = next.stop_token;
    stop_string = std::move(next.stop_string);
    usage = next.usage;
  }
  logprob_sum += next.logprob_sum;
  scored_tokens += next.scored_tokens;
}

double Piece::logprob_per_token() const {
  if (scored_tokens == 0) return -std::numeric_limits<double>::infinity();
  return logprob_sum / static_cast<double>(scored_tokens);
}

std::vector<Piece> keep_best(std::vector<Piece> choices, int64_t answers, int64_t returned) {
  std::vector<Piece> kept;
  for (auto first = choices.begin(); first != choices.end(); first += answers) {
    std::stable_sort(first, first + answers, [](const Piece& a, const Piece& b) {
      return a.logprob_per_token() > b.logprob_per_token();
    });
    move_behind(kept, std::vector<Piece>(std::make_move_iterator(first),
                                         std::make_move_iterator(first + returned)));
  }
  for (size_t i = 0; i < kept.size(); ++i) kept[i].index = static_cast<int64_t>(i);
  return kept;
}

ChoicePieces::ChoicePieces(int64_t index, const Plan& plan, const ChoicePlan& choice,
                           const tokenizer::Tokenizer& tokenizer)
    : index_(index),
      lists_chosen_(!plan.chat && !plan.generate),
      lists_ids_(plan.generate.has_value()),
      logprobs_(plan.logprobs),
      echo_logprobs_(plan.echo_logprobs),
      echo_top_(plan.echo_top),
      top_(choice.request.top_logprobs),
      prompt_logprobs_(plan.prompt_logprobs),
      echo_(choice.echo),
      tokenizer_(tokenizer) {}

// Special tokens print as nothing in a text, but a list of tokens must tell them apart.
std::string ChoicePieces::spelling(tokenizer::TokenId id) const {
  const auto& tokens = tokenizer_.vocabulary().tokens;
  return id >= 0 && id < std::ssize(tokens) ? tokens[static_cast<size_t>(id)] : "";
}

openai::PromptLogprob ChoicePieces::prompt_entry(const engine::TokenProbability& token) const {
  return {token.id, spelling(token.id), static_cast<double>(token.logprob), token.rank};
}

void ChoicePieces::add_token(const engine::TokenProbability& chosen,
                             const std::vector<engine::TokenProbability>& top, int64_t top_count,
                             Piece& piece) {
  const auto entry = [this](const engine::TokenProbability& one) {
    return openai::TokenLogprob{spelling(one.id), static_cast<double>(one.logprob), {}, one.id};
  };
  openai::TokenLogprob token = entry(chosen);
  bool listed = false;
  for (const auto& other : top) {
    if (std::ssize(token.top) >= top_count) break;
    listed = listed || other.id == chosen.id;
    token.top.push_back(entry(other));
  }
  // Behind those that are likelier.
  if (lists_chosen_ && !listed && !std::isnan(chosen.logprob)) token.top.push_back(entry(chosen));
  piece.tokens.push_back(std::move(token));
  piece.offsets.push_back(characters_);
  characters_ += characters_begun(tokenizer_.bytes(chosen.id));
}

void ChoicePieces::add_prompt(const engine::Event& event, Piece& piece) {
  piece.text = std::move(echo_);
  const std::vector<engine::TokenProbability> none;
  const size_t scored = event.prompt_chosen.size();
  const auto top_at = [&](size_t i) -> const std::vector<engine::TokenProbability>& {
    return i < event.prompt_top.size() ? event.prompt_top[i] : none;
  };
  for (size_t i = 0; echo_logprobs_ && i < scored; ++i) {
    add_token(event.prompt_chosen[i], top_at(i), echo_top_, piece);
  }
  if (!echo_logprobs_) characters_ += characters_begun(piece.text);
  if (!prompt_logprobs_) return;
  piece.prompt_logprobs.emplace();
  for (size_t i = 0; i < scored; ++i) {
    const auto& chosen = event.prompt_chosen[i];
    std::vector<openai::PromptLogprob> entries;
    if (!std::isnan(chosen.logprob)) {
      entries.push_back(prompt_entry(chosen));
    }
    for (const auto& other : top_at(i)) {
      if (other.id != chosen.id || entries.empty()) entries.push_back(prompt_entry(other));
    }
    piece.prompt_logprobs->push_back(std::move(entries));
  }
}

Piece ChoicePieces::take(const engine::Event& event) {
  Piece piece;
  piece.index = index_;
  piece.opens = !opened_;
  if (!begun_) add_prompt(event, piece);
  begun_ = true;
  const std::vector<engine::TokenProbability> none;
  for (size_t i = 0; logprobs_ && i < event.chosen.size(); ++i) {
    add_token(event.chosen[i], i < event.top.size() ? event.top[i] : none, top_, piece);
  }
  for (const auto& chosen : event.chosen) {
    piece.logprob_sum += static_cast<double>(chosen.logprob);
    ++piece.scored_tokens;
  }
  piece.text += event.text;
  if (lists_ids_) piece.ids = event.tokens;
  if (lists_ids_ && event.stop_token >= 0) piece.ids.push_back(event.stop_token);
  if (event.done) {
    piece.finish_reason = event.finish_reason;
    piece.stop_token = event.stop_token;
    piece.stop_string = event.stop_string;
    piece.usage = {event.prompt_tokens, event.generated_tokens, event.cached_tokens};
  }
  // Whatever opens a choice is said with the first piece that says anything.
  opened_ = opened_ || !piece.says_nothing();
  return piece;
}

namespace {

openai::CompletionLogprobs older_logprobs(Piece& piece) {
  openai::CompletionLogprobs out;
  for (openai::TokenLogprob& token : piece.tokens) {
    out.tokens.push_back(openai::completion_token_text(token.bytes));
    out.token_logprobs.push_back(std::isnan(token.logprob) ? std::nullopt
                                                           : std::optional(token.logprob));
    std::vector<std::pair<std::string, double>> top;
    for (const auto& other : token.top) {
      top.emplace_back(openai::completion_token_text(other.bytes), other.logprob);
    }
    out.top_logprobs.push_back(std::move(top));
  }
  out.text_offset = std::move(piece.offsets);
  return out;
}

openai::ChatChoice chat_choice(const AnswerHead& head, Piece piece, bool whole) {
  openai::ChatChoice choice;
  choice.index = piece.index;
  choice.opens = piece.opens;
  if (whole || piece.opens || !piece.text.empty()) choice.content = std::move(piece.text);
  if (head.logprobs && (whole || !piece.tokens.empty())) choice.logprobs = std::move(piece.tokens);
  choice.finish_reason = std::move(piece.finish_reason);
  return choice;
}

openai::CompletionChoice completion_choice(const AnswerHead& head, Piece piece) {
  openai::CompletionChoice choice;
  choice.index = piece.index;
  choice.text = std::move(piece.text);
  choice.finish_reason = std::move(piece.finish_reason);
  choice.prompt_logprobs = std::move(piece.prompt_logprobs);
  if (head.logprobs) choice.logprobs = older_logprobs(piece);
  return choice;
}

template <class Answer>
Answer begin(const AnswerHead& head) {
  Answer answer;
  answer.id = head.id;
  answer.model = head.model;
  answer.created = head.created;
  return answer;
}

}  // namespace

std::string print_piece(const AnswerHead& head, Piece piece) {
  if (head.chat) {
    auto answer = begin<openai::ChatAnswer>(head);
    answer.choices.push_back(chat_choice(head, std::move(piece), /*whole=*/false));
    return openai::print_chat_piece(answer, head.usage_follows);
  }
  auto answer = begin<openai::CompletionAnswer>(head);
  answer.choices.push_back(completion_choice(head, std::move(piece)));
  return openai::print_completion(answer, head.usage_follows);
}

std::string print_usage_piece(const AnswerHead& head, const openai::Usage& usage) {
  if (head.chat) {
    auto answer = begin<openai::ChatAnswer>(head);
    answer.usage = usage;
    return openai::print_chat_piece(answer, /*usage_follows=*/true);
  }
  auto answer = begin<openai::CompletionAnswer>(head);
  answer.usage = usage;
  return openai::print_completion(answer);
}

std::string print_whole(const AnswerHead& head, std::vector<Piece> choices,
                        const openai::Usage& usage) {
  if (head.chat) {
    auto answer = begin<openai::ChatAnswer>(head);
    for (Piece& piece : choices) {
      if (piece.prompt_logprobs) answer.prompt_logprobs = std::move(piece.prompt_logprobs);
      answer.choices.push_back(chat_choice(head, std::move(piece), /*whole=*/true));
    }
    answer.usage = usage;
    return openai::print_chat_answer(answer);
  }
  auto answer = begin<openai::CompletionAnswer>(head);
  for (Piece& piece : choices) {
    answer.choices.push_back(completion_choice(head, std::move(piece)));
  }
  answer.usage = usage;
  return openai::print_completion(answer);
}

}  // namespace retort::serve
