#include "detect/state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "base/random.h"

namespace retort::detect {
namespace {

static_assert(std::is_trivially_copyable_v<AccountState>);
constexpr std::string_view kMagic = "rtdetec4";

const Turn* last_of(const Observation& seen, Speaker speaker) {
  for (auto turn = seen.turns.rbegin(); turn != seen.turns.rend(); ++turn) {
    if (turn->speaker == speaker) return &*turn;
  }
  return nullptr;
}

const Turn* first_of(const Observation& seen, Speaker speaker) {
  for (const Turn& turn : seen.turns) {
    if (turn.speaker == speaker) return &turn;
  }
  return nullptr;
}

template <size_t N>
bool holds(const std::array<uint32_t, N>& list, uint32_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

uint32_t small_hash(std::string_view text, uint64_t salt) {
  return static_cast<uint32_t>(hash_text(text, salt)) | 1U;
}

uint16_t setting_of(const Sampling& sampling) {
  uint64_t hash = base::mix64(static_cast<uint64_t>(sampling.answers));
  hash = base::mix64(hash ^ static_cast<uint64_t>(sampling.max_tokens));
  const double heat = std::isfinite(sampling.temperature) ? sampling.temperature : 0;
  hash = base::mix64(hash ^ static_cast<uint64_t>(std::clamp(heat, 0.0, 100.0) * 1000));
  return static_cast<uint16_t>(hash ^ (sampling.logprobs ? 1 : 0) ^ (sampling.tools ? 2 : 0));
}

// A text's passages, one in 64 bytes or so. A run is taken where its own hash says so: taken at
// fixed places it would not be found again behind other text.
constexpr size_t kRun = 24;
constexpr uint64_t kBase = 0x9e3779b97f4a7c15ULL;
constexpr uint64_t power_of_base(size_t exponent) {
  uint64_t power = 1;
  for (size_t i = 0; i < exponent; ++i) power *= kBase;
  return power;
}
// What comes to the hash when a byte leaves it, less what it had added.
constexpr std::array<uint64_t, 256> kLeaving = [] {
  std::array<uint64_t, 256> out{};
  for (size_t byte = 0; byte < out.size(); ++byte) out[byte] = 1 - power_of_base(kRun) * (byte + 1);
  return out;
}();

// `use` takes a passage's hash and says whether it wants more.
template <class Use>
void each_passage(std::string_view text, uint64_t salt, Use use) {
  constexpr size_t kReadBytes = 3072;
  const std::string_view part = text.substr(0, kReadBytes);
  if (part.size() < kRun) return;
  const auto* at = reinterpret_cast<const unsigned char*>(part.data());
  const auto* const end = at + part.size();
  uint64_t hash = 0;
  for (size_t i = 0; i < kRun; ++i) hash = hash * kBase + (*at++ + 1ULL);
  const auto is_taken = [](uint64_t one) { return (one >> 58) == 0; };
  const auto goes_on = [&](uint64_t one) {
    return !is_taken(one) || use(static_cast<uint32_t>((one ^ salt) >> 20) | 1U);
  };
  const auto next = [](const unsigned char* byte) {
    return *byte + kLeaving[*(byte - static_cast<std::ptrdiff_t>(kRun))];
  };
  if (!goes_on(hash)) return;
  // Four at a time from the same hash, so that none waits for the one before it.
  for (; end - at >= 4; at += 4) {
    const uint64_t one = next(at), two = one * kBase + next(at + 1),
                   three = two * kBase + next(at + 2), four = three * kBase + next(at + 3);
    const std::array<uint64_t, 4> all = {hash * kBase + one, hash * power_of_base(2) + two,
                                         hash * power_of_base(3) + three,
                                         hash * power_of_base(4) + four};
    hash = all[3];
    if (!is_taken(all[0]) && !is_taken(all[1]) && !is_taken(all[2]) && !is_taken(all[3])) continue;
    for (const uint64_t each : all) {
      if (!goes_on(each)) return;
    }
  }
  for (; at < end; ++at) {
    hash = hash * kBase + next(at);
    if (!goes_on(hash)) return;
  }
}

// Streams are few and an account's habits many. One makes room for another that is met where it is
// no longer asked, or asked often enough to see that it is dull: so each kind of request gets its
// trial, and one that looks like a harvest stays.
constexpr uint32_t kLongAgo = 512, kAwhile = 96, kTrial = 10;
constexpr float kDull = -2;  // log-odds (model.h)

bool makes_room(const Stream& stream, uint64_t requests) {
  const uint32_t away = static_cast<uint32_t>(requests) - stream.met_at;
  if (stream.count == 0 || away >= kLongAgo) return true;
  if (stream.count < kTrial) return away >= kAwhile;
  return stream.score < kDull;
}

// Of the streams [begin, end) the one that makes room, the dullest first; `end` for none.
size_t room_in(const AccountState& state, size_t begin, size_t end) {
  size_t place = end;
  for (size_t i = begin; i < end; ++i) {
    const Stream& stream = state.streams[i];
    if (!makes_room(stream, state.requests)) continue;
    if (stream.count == 0) return i;
    if (place == end || stream.score < state.streams[place].score) place = i;
  }
  return place;
}

// Of first questions, which client asks: one set of options, and whether reasoning or material is
// wanted. What a program gathers is seldom asked with the options of the person it hides behind.
uint32_t kind_of(const Prompt& prompt, uint16_t setting) {
  const bool elicits = prompt.asks_reasoning || prompt.asks_data;
  return static_cast<uint32_t>(setting) << 2 | (elicits ? 3 : 1);
}

// Of requests that the stream held before nothing more is to be learnt.
Stream& begin_stream(AccountState& state, size_t place) {
  for (size_t i = 0; i < state.open.size(); ++i) {
    if (state.open_stream[i] == place) state.open[i] = 0;
  }
  return state.streams[place] = Stream{};
}

size_t opener_of(AccountState& state, const Prompt& prompt, uint16_t setting) {
  const uint32_t kind = kind_of(prompt, setting);
  for (size_t i = 0; i < kKinds; ++i) {
    if (state.kinds[i] == kind) return kOpeners + i;
  }
  const size_t place = room_in(state, kOpeners, kOthers);
  if (place == kOthers) return place;
  begin_stream(state, place);
  state.kinds[place - kOpeners] = kind;
  return place;
}

// One client's template is not another's: requests of other options are another stream.
uint32_t with_setting(uint32_t edge, uint16_t setting) {
  return static_cast<uint32_t>(base::mix64(uint64_t{edge} << 16 | setting)) | 1U;
}

// A stream that this prompt's template has, made on the second meeting; kStreams for none.
size_t template_of(AccountState& state, const Prompt& prompt, uint16_t setting) {
  if (prompt.prefix == 0) return kStreams;
  const uint32_t prefix = with_setting(prompt.prefix, setting);
  const uint32_t suffix = with_setting(prompt.suffix, setting);
  for (size_t i = 0; i < kTemplates; ++i) {
    const Stream& stream = state.streams[i];
    if (stream.is_template() && ((stream.prefix != 0 && stream.prefix == prefix) ||
                                 (stream.suffix != 0 && stream.suffix == suffix))) {
      return i;
    }
  }
  for (auto& candidate : state.candidates) {
    const bool front = candidate[0] == prefix, back = candidate[1] == suffix;
    if (!front && !back) continue;
    const size_t place = room_in(state, 0, kTemplates);
    if (place == kTemplates) return kStreams;
    Stream& stream = begin_stream(state, place);
    stream.prefix = front ? prefix : 0;
    stream.suffix = back ? suffix : 0;
    candidate = {};
    return place;
  }
  auto& place = state.candidates[state.requests % state.candidates.size()];
  place = {prefix, suffix};
  return kStreams;
}

// The dialog that an earlier request began goes on: that request was no single question.
void note_followed(AccountState& state, uint32_t opener) {
  for (size_t i = 0; i < state.open.size(); ++i) {
    if (state.open[i] != opener) continue;
    ++state.streams[state.open_stream[i]].followed;
    state.open[i] = 0;
    return;
  }
}

void note_opened(AccountState& state, uint32_t opener, size_t stream) {
  const size_t place = state.requests % state.open.size();
  if (state.open[place] != 0) ++state.streams[state.open_stream[place]].one_shots;
  state.open[place] = opener;
  state.open_stream[place] = static_cast<uint8_t>(stream);
}

// Whether an answer given here came back: as a turn of the dialog, or quoted in the prompt.
void note_history(const AccountState& state, const Observation& seen, uint64_t salt,
                  std::string_view prompt, Entry& entry) {
  if (const Turn* answer = last_of(seen, Speaker::assistant)) {
    entry.multi_turn = true;
    entry.reused = holds(state.answers, small_hash(answer->text, salt));
    entry.foreign = !entry.reused && !answer->text.empty();
  }
  if (entry.reused) return;
  constexpr int kEnough = 2;
  int known = 0;
  each_passage(prompt, salt, [&](uint32_t hash) {
    known += holds(state.passages, hash) ? 1 : 0;
    return known < kEnough;
  });
  entry.reused = known >= kEnough;
}

void keep_answer(AccountState& state, std::string_view answer, uint64_t salt) {
  if (answer.empty()) return;
  state.answers[state.requests % state.answers.size()] = small_hash(answer, salt);
  constexpr size_t kKept = 4;
  size_t kept = 0;
  each_passage(answer, salt, [&](uint32_t hash) {
    state.passages[(state.requests * kKept + kept++) % state.passages.size()] = hash;
    return kept < kKept;
  });
}

}  // namespace

Counted count(AccountState& state, const Observation& seen, uint64_t salt) {
  if (state.requests == 0) state.first_ms = seen.time_ms;
  Counted out;
  const Turn* user = last_of(seen, Speaker::user);
  const std::string_view prompt = user != nullptr ? user->text : std::string_view{};
  out.prompt = analyse(prompt, salt);
  Entry& entry = out.entry;
  entry.time_ms = seen.time_ms;
  entry.input_tokens = seen.input_tokens;
  entry.output_tokens = seen.output_tokens;
  entry.max_tokens = seen.sampling.max_tokens;
  entry.setting = setting_of(seen.sampling);
  entry.logprobs = seen.sampling.logprobs;
  entry.many = seen.sampling.answers > 1;
  entry.warm = seen.sampling.temperature > 0;
  note_history(state, seen, salt, prompt, entry);
  // A history that was never given here is no dialog: its prompt is judged like a first one.
  const bool dialog = entry.multi_turn && entry.reused;
  out.stream = dialog ? kDialogs : template_of(state, out.prompt, entry.setting);
  if (out.stream == kStreams) out.stream = opener_of(state, out.prompt, entry.setting);
  Stream& stream = state.streams[out.stream];
  Entry counted = entry;
  counted.prompt = &out.prompt;
  stream.add(counted);
  stream.met_at = static_cast<uint32_t>(state.requests);
  const Turn* first = first_of(seen, Speaker::user);
  const uint32_t opener = first != nullptr ? small_hash(first->text, salt) : 0;
  if (entry.multi_turn) {
    note_followed(state, opener);
  } else {
    note_opened(state, opener, out.stream);
  }
  keep_answer(state, seen.answer, salt);
  ++state.requests;
  return out;
}

void begin_period(AccountState& state, uint32_t period) {
  AccountState next;
  next.period = period;
  next.step = state.step;
  next.first_ms = state.first_ms;
  next.requests = state.requests;
  next.evidence_past = state.evidence_past;
  next.best_pool = state.best_pool;
  state = next;
}

std::string save(const AccountState& state) {
  std::string out(kMagic);
  out.append(reinterpret_cast<const char*>(&state), sizeof(state));
  const uint64_t sum = hash_text(out, sizeof(state));
  out.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  return out;
}

Result<AccountState> restore(std::string_view bytes) {
  const auto refuse = [](std::string what) {
    return base::bad_input(std::move(what), "state of detection",
                           "leave it out: the account is then watched from the beginning");
  };
  constexpr size_t kSize = kMagic.size() + sizeof(AccountState) + sizeof(uint64_t);
  if (bytes.size() != kSize || !bytes.starts_with(kMagic)) {
    return refuse("the bytes are of another version of this state");
  }
  const std::string_view body = bytes.substr(0, kSize - sizeof(uint64_t));
  uint64_t sum = 0;
  std::memcpy(&sum, bytes.data() + body.size(), sizeof(sum));
  if (sum != hash_text(body, sizeof(AccountState))) return refuse("the bytes are damaged");
  AccountState state;
  std::memcpy(&state, body.data() + kMagic.size(), sizeof(state));
  // A checksum is no proof of origin: what indexes memory is checked as well.
  const bool whole = state.best_stream < kStreams && state.step <= Step::suspend &&
                     std::all_of(state.open_stream.begin(), state.open_stream.end(),
                                 [](uint8_t one) { return one < kStreams; });
  if (!whole) return refuse("the bytes hold a value that no state has");
  return state;
}

}  // namespace retort::detect
