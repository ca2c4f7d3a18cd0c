// Requests of several accounts as one stream: what a list looks like that is shared out so that no
// account asks much of it. Streams are pooled by what accounts have in common (the beginning or the
// end of a template together with the options of the requests, a network, a payer) once two
// accounts have it, and are judged like an account's own, by periods of 30 days. Accounts suspended
// meanwhile leave their stream behind: whoever takes over the list joins it.
//
// Memory: 4,096 pools of at most 1 KiB, their keys and a table of 65,536 keys met once (12 bytes
// each): under 5 MiB however many accounts there are. Not thread-safe.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "detect/calibration.h"
#include "detect/model.h"
#include "detect/state.h"

namespace retort::detect {

enum class Bond : uint8_t { beginning, ending, network, payer };
constexpr size_t kBonds = 4;
std::string_view name(Bond bond);
std::string_view words(Bond bond);  // for the customer
// By what is asked, not by where it comes from.
constexpr bool of_content(Bond bond) {
  return bond == Bond::beginning || bond == Bond::ending;
}
std::string_view class_of(Bond bond);  // of the calibration that honest clusters are in

// As what an account asks: a hash of its options and of the purpose it declares.
uint32_t guise_of(const Observation& seen, uint16_t setting);

// An account that was suspended while it asked what the pool asks.
struct Left {
  uint32_t account = 0;  // a hash; 0: none
  uint32_t guise = 0;
};

struct Pool {
  uint64_t key = 0;  // 0: free
  Bond bond = Bond::beginning;
  uint32_t last_account = 0;
  uint32_t turns = 0;     // requests that came after another account's
  uint32_t together = 0;  // within kTogetherMs of one
  float expected = 0;     // of those, had the accounts nothing to do with each other
  float one_shots = 0;    // sum of the accounts' shares of single questions
  float reuse = 0;        // ... of their shares of dialogs that go on
  uint64_t met_at = 0;
  uint32_t period = 0;
  int64_t first_ms = 0;
  double evidence_past = 0;  // of closed periods, weighted
  Stream stream;
  Distinct accounts, asked, addresses, payments;  // asked: pairs of account and prompt
  Wealth wealth;
  Features best{};
  // Sums of what its accounts are like by themselves, each weighing much alike, and of the weights.
  float unusual = 0, harvest_like = 0, weighed = 0;
  uint32_t guise = 0, guise_hits = 0;  // the majority's (Boyer and Moore)
  uint32_t gone = 0;                   // how many of its accounts were suspended,
  uint32_t lefts = 0;                  // ... of these, not as heirs (finding.h),
  std::array<Left, 4> left{};          // and the latest of them

  Features features() const;
  // Of the latest suspended, those who asked in this guise.
  int left_as(uint32_t one) const;
  // Hardly anybody is in it but who was suspended: no template that others use, too.
  bool is_private() const;
  // Most of its requests come in it.
  bool is_mostly(uint32_t one) const;
  double evidence(const Calibration& calibration, double alpha) const;
};
static_assert(sizeof(Pool) <= 1024);

// A request as it is pooled, and what its account is like so far.
struct Pooled {
  const Observation* seen = nullptr;
  const Counted* counted = nullptr;
  float one_shot = 0;     // of the account's stream
  float reuse = 0;        // the share of the account's requests that go on with a dialog
  float unusual = 0;      // minus the logarithm of its own p-value
  float score = 0;        // its own
  uint32_t requests = 0;  // of the account in the period; 0 before it was judged
};

class Clusters {
 public:
  explicit Clusters(uint64_t salt);
  // The pools that the request went into, each judged by `judge` where its turn has come.
  std::vector<const Pool*> add(const Pooled& request, const Judge& judge,
                               const Calibration& calibration, double alpha);
  const Pool* find(uint64_t key) const;
  // The account was suspended with the request that was added last; `heir`: for others' evidence.
  void note_left(std::string_view account, uint32_t guise, bool heir);
  // It was reinstated: it no longer counts as suspended anywhere.
  void forget(std::string_view account);
  // For calibration: use(pool) of every pool with at least two accounts.
  template <class Use>
  void each(Use use) const {
    for (const Pool& pool : pools_) {
      if (pool.key != 0 && pool.accounts.estimate() >= kJudgedAccounts) use(pool);
    }
  }
  static constexpr double kJudgedAccounts = 1.5;   // two
  static constexpr double kClusterAccounts = 2.5;  // three, before anybody is charged with them
  static size_t bytes();

 private:
  struct Met {
    uint64_t key = 0;
    uint32_t account = 0;
    uint32_t left_as = 0;  // its guise, once it was suspended
  };
  Pool* place(uint64_t key, Bond bond, uint32_t account);
  uint32_t hash_of(std::string_view account) const;
  uint64_t salt_;
  uint64_t requests_ = 0;
  std::array<uint64_t, kBonds> last_keys_{};
  std::vector<Pool> pools_;
  std::vector<uint64_t> keys_;  // of the pools, side by side: a set of them is one line of cache
  std::vector<Met> met_;
};

}  // namespace retort::detect
