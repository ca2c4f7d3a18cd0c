// Detection beside the door: every answered request is shown to it, what it keeps of an account is
// stored in the folder of the accounts, and its findings wait for the desk.
//
// Threads: everything from any thread. see() takes some 20 us, and a read of the store when an
// account is met for the first time since the start; save() waits for the store, and nobody for it.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detect/detector.h"
#include "policy/policy.h"
#include "provider/course_internal.h"
#include "provider/periods_internal.h"
#include "provider/provider.h"
#include "store/database.h"

namespace retort::provider {

inline constexpr const char* kDetectionFile = "detection.db";

struct Charged {
  std::string account;
  policy::Finding finding;
};

class Watch {
 public:
  static Result<std::unique_ptr<Watch>> open(const std::string& folder);

  // Error bounds and clause from now on; null: nothing binds, so nothing is found.
  void bind(std::shared_ptr<const policy::Policy> policy);
  void see(const Watched& watched);
  // Since the last call. What was found about a licensed account is logged, not charged.
  std::vector<Charged> take();
  // A case of the account is over: nothing that was seen before counts any more.
  void forget(const std::string& account);
  // What changed since the last call.
  Result<void> save();

 private:
  Watch(std::unique_ptr<store::Database> database, uint64_t salt, detect::Calibration calibration);
  struct Met {
    std::string purpose;
    bool changed = false;  // since it was saved
  };
  using All = std::map<std::string, Met, std::less<>>;
  // Restores the account when it is met for the first time.
  All::value_type& meet(std::string_view account);
  void restore(const std::string& account);
  void note_changed(All::value_type& one);
  // Before a request of another period makes the detector forget what the last one came to.
  void note_closed(const All::value_type& one, int64_t time_ms);
  void keep(const std::string& account, const detect::Finding& finding);
  struct Unsaved {
    struct State {
      All::value_type* whose;  // never removed; its first does not change
      std::string state;       // "": none is left
      std::optional<CoursePoint> point;
    };
    std::vector<State> states;
    std::vector<ClosedPeriod> closed;
  };
  Unsaved take_unsaved();
  Result<void> write(const Unsaved& unsaved);

  std::mutex store_mutex_;  // of the database and the course; taken behind `mutex_`, or alone
  std::unique_ptr<store::Database> database_;
  std::mutex mutex_;  // of the others
  uint64_t salt_;
  std::shared_ptr<const policy::Policy> policy_;
  detect::Detector detector_;
  Course course_;
  All known_;
  std::vector<All::value_type*> changed_;
  std::vector<detect::Turn> turns_;   // of the request that is seen; kept for its memory
  std::vector<ClosedPeriod> closed_;  // not saved yet
  std::vector<Charged> charged_;
};

// Of the address's network, a /24 or a /48, so that a customer's machines count as one place.
uint64_t address_cell(std::string_view address);

}  // namespace retort::provider
