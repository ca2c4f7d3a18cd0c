// What detection keeps of one account in a period of 30 days: at most 4 KiB without pointers, which
// a provider may store as bytes and go on with later. No text is in it.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "detect/calibration.h"
#include "detect/observation.h"
#include "detect/stream.h"

namespace retort::detect {

constexpr size_t kTemplates = 3;         // streams of a template
constexpr size_t kOpeners = kTemplates;  // the first of those of other first questions:
constexpr size_t kKinds = 3;             // three of one kind each (kind_of), one of all others
constexpr size_t kOthers = kOpeners + kKinds;
constexpr size_t kDialogs = kOthers + 1;  // and of what goes on with a dialog
constexpr size_t kStreams = kDialogs + 1;
constexpr int64_t kPeriodMs = int64_t{30} * 24 * 3'600'000;

enum class Step : uint8_t { watch, warn, throttle, suspend };

struct AccountState {
  uint32_t period = 0;      // of 30 days since first_ms
  Step step = Step::watch;  // of the last finding
  uint8_t best_stream = 0;  // where `wealth.total` came from
  uint16_t even = 0;        // fills a hole, as in Stream
  uint64_t best_pool = 0;   // the cluster of the last finding, 0 for none
  int64_t first_ms = 0;
  uint64_t requests = 0;     // in all periods
  uint32_t in_period = 0;    // in this one
  uint32_t heir = 0;         // of these, as an heir (finding.h) of a cluster by where it comes from
  double evidence_past = 0;  // of closed periods, weighted
  Wealth wealth;
  Features best{};  // measures of the best stream when it was best
  uint32_t even_too = 0;  // as `even`
  std::array<Stream, kStreams> streams{};

  std::array<uint32_t, kKinds> kinds{};  // of the streams of first questions
  uint32_t template_heir = 0;  // requests as an heir (finding.h) of a cluster by what is asked
  // Beginnings of templates met lately, of which the second occurrence makes a stream.
  std::array<std::array<uint32_t, 2>, 32> candidates{};
  // Requests that began a dialog and may still be followed: the prompt's hash, the stream's index.
  std::array<uint32_t, 24> open{};
  std::array<uint8_t, 24> open_stream{};
  std::array<uint32_t, 16> answers{};   // hashes of the latest answers
  std::array<uint32_t, 32> passages{};  // of parts of answers, to know them when they are quoted
  std::array<std::array<char, 28>, 4> examples{};  // ids of requests of the best stream
};
static_assert(sizeof(AccountState) <= 4096);

// What one request did to its account's state.
struct Counted {
  Prompt prompt;
  Entry entry;  // its `prompt` is not set
  size_t stream = 0;
};
Counted count(AccountState& state, const Observation& seen, uint64_t salt);

// Forgets what the period held and keeps what binds beyond it.
void begin_period(AccountState& state, uint32_t period);

// Bytes with a version, for the same build of the program or another; restore refuses others.
std::string save(const AccountState& state);
Result<AccountState> restore(std::string_view bytes);

}  // namespace retort::detect
