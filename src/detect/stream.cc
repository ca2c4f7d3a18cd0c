#include "detect/stream.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "detect/numbers_internal.h"

namespace retort::detect {
namespace {

constexpr int64_t kHourMs = 3'600'000;

int common_edge(const std::array<uint16_t, kEdgeWords>& a,
                const std::array<uint16_t, kEdgeWords>& b, int most) {
  int same = 0;
  while (same < most && same < kEdgeWords &&
         a[static_cast<size_t>(same)] == b[static_cast<size_t>(same)]) {
    ++same;
  }
  return same;
}

double spread(double sum, double squares, double n) {
  if (n < 2) return 0;
  return std::sqrt(std::max(0.0, squares / n - (sum / n) * (sum / n)));
}

void add_order(Stream& stream, const Prompt& prompt, int fixed_head) {
  const auto slot = static_cast<size_t>(std::min(fixed_head, kEdgeWords - 1));
  const uint32_t letters = prompt.letters[slot];
  if (stream.count > 0 && letters != stream.last_letters) {
    ++stream.compared;
    if (letters > stream.last_letters) ++stream.ascending;
  }
  stream.last_letters = letters;
  const auto number = static_cast<uint32_t>(prompt.number + 1);
  if (stream.count > 0 && prompt.number >= 0 && number > stream.last_number &&
      number - stream.last_number <= 3) {
    ++stream.counted_on;
  }
  stream.last_number = number;
}

void add_likeness(Stream& stream, const Prompt& prompt) {
  if (stream.count > 0) stream.adjacent += static_cast<float>(likeness(prompt.bag, stream.bags[0]));
  // The place of a bag kept from before is drawn by the prompt's own hash, as a reservoir has it.
  const uint64_t draw = base::mix64(prompt.exact ^ stream.count);
  if (stream.count > 1) {
    stream.random += static_cast<float>(likeness(prompt.bag, stream.bags[1 + (draw & 1)]));
  }
  const uint64_t place = (draw >> 1) % (stream.count / 2 + 1);
  if (place == 0) stream.bags[1 + (draw >> 40 & 1)] = stream.bags[0];
  stream.bags[0] = prompt.bag;
}

void add_time(Stream& stream, int64_t time_ms) {
  const int64_t hour = time_ms / kHourMs;
  auto& held = stream.hours[static_cast<size_t>(((hour % 24) + 24) % 24)];
  if (held == UINT8_MAX) {
    for (auto& one : stream.hours) one = static_cast<uint8_t>(one / 2);
  }
  ++held;
  const auto now = static_cast<uint16_t>(hour);
  if (stream.count == 0) {
    stream.first_ms = stream.last_ms = time_ms;
    stream.hours_active = 1;
  } else {
    const auto gap =
        std::log1p(static_cast<double>(std::max<int64_t>(0, time_ms - stream.last_ms)));
    stream.log_gap += static_cast<float>(gap);
    stream.log_gap_squared += static_cast<float>(gap * gap);
    if (now != stream.hour_now) ++stream.hours_active;
  }
  stream.hour_now = now;
  stream.last_ms = std::max(stream.last_ms, time_ms);
}

void add_options(Stream& stream, const Entry& entry, bool again) {
  constexpr int64_t kLongTokens = 512;
  stream.logprobs += entry.logprobs ? 1 : 0;
  stream.many += entry.many ? 1 : 0;
  stream.again_warm += again && entry.warm ? 1 : 0;
  stream.long_limit += entry.max_tokens >= kLongTokens ? 1 : 0;
  // The majority's setting (Boyer and Moore), with its count kept beside it.
  if (stream.setting_hits == 0) stream.setting = entry.setting;
  if (stream.setting == entry.setting) {
    ++stream.setting_hits;
  } else {
    --stream.setting_hits;
  }
}

double hours_entropy(const Stream& stream) {
  double total = 0, entropy = 0;
  for (const uint8_t n : stream.hours) total += n;
  for (const uint8_t n : stream.hours) {
    if (n > 0) entropy -= n / total * std::log(n / total);
  }
  return entropy / std::log(24.0);
}

void content_features(const Stream& s, Features& out) {
  const double n = s.count, weight = n / (n + 24);
  const double novelty = share(std::min(n, s.prompts.estimate()), n, 0.7);
  const double slot = s.slot_words / n, fixed = s.fixed_words / n;
  const double brevity = 1 / (1 + slot / 8);
  at(out, Feature::templated) = s.is_template() ? static_cast<float>(weight) : 0.0f;
  at(out, Feature::volume) =
      static_cast<float>(std::log2(1 + std::min(n, s.prompts.estimate())) / 14);
  at(out, Feature::prompt_novelty) = static_cast<float>(novelty);
  at(out, Feature::fixed_words) = static_cast<float>(weight * fixed / (fixed + 8));
  at(out, Feature::slot_brevity) = static_cast<float>(brevity);
  at(out, Feature::topic_novelty) =
      static_cast<float>(share(std::min(n, s.topics.estimate()), n, 0.6));
  at(out, Feature::filled_template) =
      s.is_template() && fixed >= 5 ? static_cast<float>(weight * novelty * brevity) : 0.0f;
}

void yield_features(const Stream& s, Features& out) {
  const double n = s.count;
  const double log_out = s.log_out / n, log_in = s.log_in / n;
  at(out, Feature::answer_length) = static_cast<float>(log_out / 8);
  at(out, Feature::answer_to_prompt) =
      static_cast<float>(std::clamp((log_out - log_in) / 5, -1.0, 1.0));
  const double distinct = std::min(n, s.prompts.estimate()) / n;
  at(out, Feature::tokens_taken) = static_cast<float>(std::log2(1 + s.tokens_out * distinct) / 24);
  at(out, Feature::answer_spread) = static_cast<float>(spread(s.log_out, s.log_out_squared, n));
}

void conversation_features(const Stream& s, Features& out) {
  const double n = s.count;
  at(out, Feature::one_shot) =
      static_cast<float>(share(s.one_shots, s.one_shots + s.followed, 0.6));
  at(out, Feature::reuse) = static_cast<float>(share(s.reused, n, 0.2));
  at(out, Feature::foreign_history) = static_cast<float>(share(s.foreign, n, 0.05));
  at(out, Feature::multi_turn) = static_cast<float>(share(s.multi_turn, n, 0.3));
}

void order_features(const Stream& s, Features& out) {
  const double n = s.count, weight = n / (n + 24);
  const double nearer = n < 3 ? 0 : s.adjacent / (n - 1) - s.random / (n - 2);
  const double rising = share(s.ascending, s.compared, 0.5);
  const double novelty = share(std::min(n, s.topics.estimate()), n, 0.6);
  at(out, Feature::adjacent_likeness) = static_cast<float>(weight * nearer * 4);
  at(out, Feature::sorted) = static_cast<float>(std::abs(2 * rising - 1));
  at(out, Feature::numbered) = static_cast<float>(share(s.counted_on, n, 0.02));
  at(out, Feature::shuffled) =
      static_cast<float>(weight * novelty * std::max(0.0, 1 - std::abs(nearer) * 8));
}

void options_features(const Stream& s, Features& out) {
  const double n = s.count;
  at(out, Feature::logprobs) = static_cast<float>(share(s.logprobs, n, 0.02));
  at(out, Feature::many_answers) = static_cast<float>(share(s.many, n, 0.02));
  at(out, Feature::asked_again_warm) = static_cast<float>(share(s.again_warm, n, 0.05));
  at(out, Feature::one_setting) = static_cast<float>(share(s.setting_hits, n, 0.5));
  at(out, Feature::long_limit) = static_cast<float>(share(s.long_limit, n, 0.3));
  at(out, Feature::reasoning) = static_cast<float>(share(s.reasoning, n, 0.05));
  at(out, Feature::data_making) = static_cast<float>(share(s.data_making, n, 0.02));
}

void timing_features(const Stream& s, Features& out) {
  const double n = s.count, weight = n / (n + 24);
  const double gaps = std::max(1.0, n - 1);
  const double hours = std::max(1.0, static_cast<double>(s.last_ms - s.first_ms) / kHourMs);
  at(out, Feature::hours_spread) = static_cast<float>(weight * hours_entropy(s));
  at(out, Feature::gap_evenness) =
      static_cast<float>(weight / (1 + spread(s.log_gap, s.log_gap_squared, gaps)));
  at(out, Feature::pace) = static_cast<float>(1 - s.log_gap / gaps / 20);
  at(out, Feature::burst) = static_cast<float>(std::log2(1 + n / s.hours_active) / 10 +
                                               0.1 * (1 - std::min(1.0, s.hours_active / hours)));
}

}  // namespace

int fixed_words(const Stream& stream, const Prompt& prompt) {
  const int front = common_edge(stream.head, prompt.head, prompt.words);
  return front + common_edge(stream.tail, prompt.tail, prompt.words - front);
}

void Stream::add(const Entry& entry) {
  const Prompt& prompt = *entry.prompt;
  if (count == 0) {
    head = prompt.head;
    tail = prompt.tail;
  }
  const int front = common_edge(head, prompt.head, prompt.words);
  const int fixed = count == 0 && !is_template() ? 0 : detect::fixed_words(*this, prompt);
  if (count > 0) {
    fixed_words += static_cast<float>(fixed);
    slot_words += static_cast<float>(prompt.words - fixed);
  }
  const auto small = static_cast<uint32_t>(prompt.exact);
  const bool again = std::find(recent.begin(), recent.end(), small) != recent.end();
  recent[count % recent.size()] = small;
  prompts.add(prompt.exact);
  topics.add(prompt.topic);
  add_order(*this, prompt, count == 0 ? 0 : front);
  add_likeness(*this, prompt);
  add_time(*this, entry.time_ms);
  add_options(*this, entry, again);
  multi_turn += entry.multi_turn ? 1 : 0;
  reused += entry.reused ? 1 : 0;
  foreign += entry.foreign ? 1 : 0;
  reasoning += prompt.asks_reasoning ? 1 : 0;
  data_making += prompt.asks_data ? 1 : 0;
  const double log_answer =
      std::log1p(static_cast<double>(std::max<int64_t>(0, entry.output_tokens)));
  log_in +=
      static_cast<float>(std::log1p(static_cast<double>(std::max<int64_t>(0, entry.input_tokens))));
  log_out += static_cast<float>(log_answer);
  log_out_squared += static_cast<float>(log_answer * log_answer);
  tokens_out += static_cast<float>(entry.output_tokens);
  ++count;
}

Features Stream::features() const {
  Features out{};
  content_features(*this, out);
  yield_features(*this, out);
  conversation_features(*this, out);
  order_features(*this, out);
  options_features(*this, out);
  timing_features(*this, out);
  return out;
}

}  // namespace retort::detect
