#include <algorithm>
#include <limits>
#include <utility>

#include "base/parallel.h"
#include "engine/scheduler_internal.h"

namespace retort::engine {
namespace {

constexpr int64_t kPrefillTokensBusy = 192;  // a chunk's, while somebody is decoding

}  // namespace

// One chunk of prompts, first come first served. Requests that begin like one of the same chunk
// find its pages: a layer's keys and values are all stored before any of them is read.
void Scheduler::prefill() {
  const int64_t chunk = running_.empty() ? kPrefillTokens : kPrefillTokensBusy;
  std::vector<PrefillPart> parts;
  std::vector<Sequence*> whose;
  int64_t left = chunk;
  for (size_t i = 0; left > 0; ++i) {
    if (i == starting_.size() && !start_next(left)) break;
    Sequence& sequence = *starting_[i];
    const int64_t count = std::min(left, sequence.prompt_size() - sequence.computed);
    const std::span<const tokenizer::TokenId> prompt = sequence.request.prompt;
    parts.push_back(
        {prompt.subspan(static_cast<size_t>(sequence.computed), static_cast<size_t>(count)),
         sequence.computed, sequence.pages.data(), adapter_of(sequence)});
    whose.push_back(&sequence);
    cache_.publish(
        prefix_of(sequence, prompt.first(static_cast<size_t>(sequence.computed + count))),
        sequence.pages);
    left -= count;
  }
  if (parts.empty()) return;
  prefill_->run(parts);
  {
    const std::lock_guard lock(mutex_);
    stats_.prompt_tokens += chunk - left;
    stats_.cache_pages_held = cache_.in_use();
  }
  after_prefill(parts, whose);
}

void Scheduler::after_prefill(std::span<const PrefillPart> parts,
                              const std::vector<Sequence*>& whose) {
  const int64_t width = weights_.config().width;
  std::vector<float> last_rows;
  std::vector<Sequence*> begun;
  int64_t row = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    Sequence& sequence = *whose[i];
    const auto count = static_cast<int64_t>(parts[i].tokens.size());
    if (sequence.scored()) score(sequence, row, sequence.computed, count);
    sequence.computed += count;
    row += count;
    if (sequence.computed < sequence.prompt_size()) continue;
    if (sequence.request.max_tokens == 0) {
      end(sequence, std::exchange(sequence.scores, {}), "length");
      continue;
    }
    const float* residual = prefill_->residual() + (row - 1) * width;
    last_rows.insert(last_rows.end(), residual, residual + width);
    begun.push_back(&sequence);
  }
  if (begun.empty()) return;
  const auto rows = static_cast<int64_t>(begun.size());
  step_.head(last_rows.data(), rows);
  pick_and_deliver(begun);
  for (auto& sequence : starting_) {
    if (sequence->generated > 0) running_.push_back(std::move(sequence));
  }
  std::erase(starting_, nullptr);
}

// Token i of the prompt is scored by the logits of token i - 1.
void Scheduler::score(Sequence& sequence, int64_t first_row, int64_t first_token, int64_t count) {
  std::vector<float> logits(static_cast<size_t>(std::min(count, Prefill::kScoreRows) * vocab_));
  if (sequence.request.prompt_logprobs >= 0 && first_token == 0) {
    sequence.scores.prompt_chosen.push_back(
        {sequence.request.prompt[0], std::numeric_limits<float>::quiet_NaN()});
    sequence.scores.prompt_top.emplace_back();
  }
  for (int64_t at = 0; at < count; at += Prefill::kScoreRows) {
    const int64_t rows = std::min(Prefill::kScoreRows, count - at);
    prefill_->logits(first_row + at, rows, logits.data());
    if (sequence.logits_out != nullptr) {
      sequence.logits_out->insert(sequence.logits_out->end(), logits.begin(),
                                  logits.begin() + rows * vocab_);
    }
    if (sequence.request.prompt_logprobs < 0) continue;
    const int64_t first = first_token + at + 1;
    const int64_t targets = std::min(rows, sequence.prompt_size() - first);
    if (targets <= 0) continue;
    const size_t before = sequence.scores.prompt_chosen.size();
    sequence.scores.prompt_chosen.resize(before + static_cast<size_t>(targets));
    sequence.scores.prompt_top.resize(before + static_cast<size_t>(targets));
    base::parallel_for(targets, 1, [&](int64_t begin, int64_t stop) {
      for (int64_t i = begin; i < stop; ++i) {
        const std::span<const float> row(logits.data() + i * vocab_, static_cast<size_t>(spoken_));
        const auto id = sequence.request.prompt[static_cast<size_t>(first + i)];
        const size_t to = before + static_cast<size_t>(i);
        sequence.scores.prompt_chosen[to] = scored(row, id);
        sequence.scores.prompt_top[to] = most_likely(row, sequence.request.prompt_logprobs);
      }
    });
  }
}

void Scheduler::decode() {
  std::vector<DecodeRow> rows;
  std::vector<Sequence*> whose;
  for (const auto& sequence : running_) {
    rows.push_back({sequence->last, sequence->prompt_size() + sequence->generated - 1,
                    sequence->pages.data(), adapter_of(*sequence)});
    whose.push_back(sequence.get());
  }
  step_.run(rows);
  {
    const std::lock_guard lock(mutex_);
    ++stats_.decode_steps;
    stats_.decode_rows += static_cast<int64_t>(rows.size());
  }
  pick_and_deliver(whose);
}

// Sampling is a row's own affair, so the threads share the rows; events keep the order of rows.
void Scheduler::pick_and_deliver(const std::vector<Sequence*>& whose) {
  const auto count = static_cast<int64_t>(whose.size());
  logits_copy_.resize(static_cast<size_t>(count * vocab_));
  std::vector<Event> events(whose.size());
  base::parallel_for(count, 1, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i) {
      float* row = logits_copy_.data() + i * vocab_;
      std::copy_n(step_.logits() + i * vocab_, vocab_, row);
      Sequence& sequence = *whose[static_cast<size_t>(i)];
      if (sequence.given_logits != nullptr) {
        sequence.given_logits->insert(sequence.given_logits->end(), row, row + vocab_);
      }
      pick(sequence, {row, static_cast<size_t>(spoken_)}, events[static_cast<size_t>(i)]);
    }
  });
  {
    const std::lock_guard lock(mutex_);
    stats_.generated_tokens += count;
  }
  for (size_t i = 0; i < events.size(); ++i) deliver(*whose[i], std::move(events[i]));
}

void Scheduler::pick(Sequence& sequence, std::span<float> logits, Event& event) const {
  std::vector<float> raw;
  const Request& request = sequence.request;
  if (request.logprobs) {
    raw.assign(logits.begin(), logits.end());
    event.top.push_back(most_likely(raw, request.top_logprobs));
  }
  const tokenizer::TokenId id = sequence.given.empty()
                                    ? sequence.sampler.choose(logits)
                                    : sequence.given[static_cast<size_t>(sequence.generated)];
  if (request.logprobs) event.chosen.push_back(scored(raw, id));
  event.tokens.push_back(id);
}

void Scheduler::deliver(Sequence& sequence, Event event) {
  const Request& request = sequence.request;
  const tokenizer::TokenId id = event.tokens.front();
  event.prompt_chosen = std::exchange(sequence.scores.prompt_chosen, {});
  event.prompt_top = std::exchange(sequence.scores.prompt_top, {});
  sequence.last = id;
  ++sequence.generated;
  if (std::find(request.stop_tokens.begin(), request.stop_tokens.end(), id) !=
      request.stop_tokens.end()) {
    event.tokens.clear();
    event.stop_token = id;
    return end(sequence, std::move(event), "stop");
  }
  event.text = sequence.text.feed(tokenizer_.bytes(id));
  if (sequence.text.stopped()) {
    event.stop_string = sequence.text.stopped_by();
    return end(sequence, std::move(event), "stop");
  }
  if (sequence.generated >= request.max_tokens) return end(sequence, std::move(event), "length");
  if (request.on_event) request.on_event(event);
}

void Scheduler::end(Sequence& sequence, Event event, const std::string& reason) {
  event.text += sequence.text.finish();
  event.done = true;
  event.finish_reason = reason;
  event.prompt_tokens = sequence.prompt_size();
  event.generated_tokens = sequence.generated;
  event.cached_tokens = sequence.cached;
  sequence.ended = true;
  cache_.release(sequence.pages);
  sequence.pages.clear();
  if (sequence.started) {
    const std::lock_guard lock(mutex_);
    --stats_.running;
    stats_.cache_pages_held = cache_.in_use();
  }
  if (sequence.request.on_event) sequence.request.on_event(event);
}

void Scheduler::remove_ended() {
  const auto ended = [](const SequencePtr& sequence) { return sequence->ended; };
  std::erase_if(starting_, ended);
  std::erase_if(running_, ended);
}

}  // namespace retort::engine
