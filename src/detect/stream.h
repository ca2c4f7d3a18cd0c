// One stream of requests of a kind: what is kept of it, and what is measured. Plain bytes without
// pointers; no text is kept.
#pragma once
#include <array>
#include <cstdint>

#include "detect/feature.h"
#include "detect/prompt.h"
#include "detect/sketch.h"

namespace retort::detect {

// One request as a stream counts it.
struct Entry {
  const Prompt* prompt = nullptr;
  int64_t time_ms = 0;
  int64_t input_tokens = 0, output_tokens = 0;
  int64_t max_tokens = 0;
  uint16_t setting = 0;  // a hash of the options
  bool logprobs = false, many = false, warm = false;
  bool multi_turn = false;  // a dialog stands before it
  bool reused = false;      // an answer given here came back in it
  bool foreign = false;     // an answer came back that was not given here
};

struct Stream {
  // Fields stand without holes between them, so that equal states are equal bytes: `even` fills.
  uint32_t prefix = 0, suffix = 0;  // keys; 0 and 0: no template
  uint32_t count = 0;
  uint32_t check_at = 0;  // the count at which it is judged next
  uint32_t met_at = 0;    // the account's count of requests when the last one came in
  uint32_t even = 0;
  int64_t first_ms = 0, last_ms = 0;
  std::array<uint16_t, kEdgeWords> head{}, tail{};  // of the first request: the template
  uint32_t one_shots = 0, followed = 0;  // of requests that began a dialog, as far as is known
  uint32_t multi_turn = 0, reused = 0, foreign = 0;
  uint32_t logprobs = 0, many = 0, again_warm = 0, long_limit = 0;
  uint32_t reasoning = 0, data_making = 0;
  uint32_t ascending = 0, compared = 0, counted_on = 0;
  uint32_t setting_hits = 0;
  uint16_t setting = 0;
  uint16_t hour_now = 0;      // of last_ms, since 1970, modulo 2^16
  uint32_t hours_active = 0;  // hours with a request in them
  float log_in = 0, log_out = 0, log_out_squared = 0, log_gap = 0, log_gap_squared = 0;
  float slot_words = 0, fixed_words = 0, adjacent = 0, random = 0;
  float tokens_out = 0;
  uint32_t last_letters = 0;
  uint32_t last_number = 0;
  std::array<uint32_t, 8> recent{};  // prompts
  float score = -20;                 // when it was judged last (model.h)
  std::array<Bag, 3> bags{};         // the last one, and two drawn from all before
  std::array<uint8_t, 24> hours{};   // halved when one is full
  Distinct prompts, topics;

  bool is_template() const { return (prefix | suffix) != 0; }
  void add(const Entry& entry);
  // Requires count > 0. Each is drawn towards what says nothing while few requests are in.
  Features features() const;
};

// The number of words at both ends that stand in the stream's template as well.
int fixed_words(const Stream& stream, const Prompt& prompt);

}  // namespace retort::detect
