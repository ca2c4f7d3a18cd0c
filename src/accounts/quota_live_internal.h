// What a process holds and has used, in a file that it maps: the kernel keeps the pages when the
// process is killed. Everything is written under the lock of the owner's; a kill between two writes
// is mended by the redo record.
//
//   header    magic, version, identity of the machine's boot, redo record
//   counters  granted and spent of each grant, totals since the grant's row was made
//   flights   reservations under way: which counters, how much reserved, how much produced
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/result.h"

namespace retort::accounts {

inline constexpr int64_t kMaxCharges = 24;  // limits that one request can meet
inline constexpr int64_t kMaxCounters = 1 << 16;
inline constexpr int64_t kMaxFlights = 1 << 14;

struct LiveCounter {
  int64_t row = 0;  // of the grant in the store; 0: the slot is free
  int64_t granted = 0, spent = 0;
};

struct LiveCharge {
  int64_t counter = 0;
  int64_t row = 0;  // of the counter, so that a slot used again is not mistaken
  int64_t reserved = 0, produced = 0;
};

struct LiveFlight {
  int64_t charges = 0;  // 0: free; written last when it begins, first when it ends
  std::array<LiveCharge, kMaxCharges> charge{};
};

// The end of a flight: these counters get these totals and the flight is free. Done again by
// whoever finds it valid; totals, not differences, so that twice is once.
struct LiveRedo {
  int64_t valid = 0;
  int64_t flight = 0, counters = 0;
  std::array<int64_t, kMaxCharges> counter{}, spent{};
};

struct LiveHeader {
  std::array<char, 8> magic{};
  std::array<char, 40> boot{};
  LiveRedo redo;
};

struct LiveTables {
  LiveHeader header;
  std::array<LiveCounter, kMaxCounters> counters;
  std::array<LiveFlight, kMaxFlights> flights;
};

// The compiler keeps what was written before a mark before it, and what comes after behind it.
// Other processes read only after this one has died, so the processor's own order does not matter.
void write_mark(int64_t& mark, int64_t value);

class LiveFile {
 public:
  static Result<LiveFile> create(const std::string& path);
  // A dead process's; nothing when it is torn, of another version or of another boot.
  static Result<LiveFile> read(const std::string& path);
  LiveFile(LiveFile&& other) noexcept;
  LiveFile& operator=(LiveFile&&) = delete;
  ~LiveFile();

  LiveTables& tables() { return *tables_; }
  void apply_redo();
  // Spent of each grant by its row, with what its flights had produced.
  std::unordered_map<int64_t, int64_t> spent() const;

 private:
  explicit LiveFile(LiveTables* tables) : tables_(tables) {}
  LiveTables* tables_;
};

}  // namespace retort::accounts
