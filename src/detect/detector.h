// Watches answered requests for signs that answers are gathered to train a model, and says so with
// its evidence (finding.h). Pure: no clock, no files; whoever calls gives the time and keeps the
// bytes.
//
//   Detector detector({.salt = ..., .policy = ...});
//   if (auto finding = detector.observe(seen)) { ... }
//
// A finding comes when an account's step rises, not with every request. Memory: one AccountState
// (4 KiB) an account and the clusters' fixed tables. Not thread-safe: one lock, or one detector a
// shard of accounts (clusters are then found within a shard).
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "detect/calibration.h"
#include "detect/cluster.h"
#include "detect/finding.h"
#include "detect/model.h"
#include "detect/observation.h"
#include "detect/state.h"

namespace retort::detect {

class Detector {
 public:
  struct Options {
    uint64_t salt = 0;  // secret and kept: other salts make states of no use
    Policy policy{};
    Model model = built_in_model();
    Calibration calibration = built_in_calibration();
  };
  explicit Detector(Options options);

  std::optional<Finding> observe(const Observation& seen);
  // Bounds and clause from now on; steps that were found before stay.
  void set_policy(Policy policy) { options_.policy = std::move(policy); }

  // What is kept of an account, as bytes to store; "" for one not seen. restore() takes them back.
  std::string save(std::string_view account) const;
  Result<void> restore(std::string_view account, std::string_view bytes);
  // After a reinstatement: nothing that was seen before counts any more.
  void forget(std::string_view account);

  const Calibration& calibration() const { return options_.calibration; }

  // For benchmarks and calibration.
  const AccountState* state(std::string_view account) const;
  const Clusters& clusters() const { return clusters_; }
  size_t last_stream() const { return last_stream_; }
  const std::vector<const Pool*>& last_pools() const { return last_pools_; }
  bool is_proven(const Pool& pool) const;

 private:
  struct Verdict;
  // Why an account is charged with a cluster.
  enum class Membership : uint8_t { none, unusual, heir };
  // What ties a request to proven clusters: that it may inherit of one by where it comes from or
  // by what it asks, and that one of what it asks is mostly of its guise.
  struct Ties {
    bool place = false, content = false, guise = false;
  };
  // So that an account is looked up by a view of its id.
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view id) const { return std::hash<std::string_view>()(id); }
  };
  AccountState& state_of(std::string_view account);
  void judge_streams(AccountState& state, const Observation& seen, size_t stream);
  std::optional<Finding> decide(AccountState& state, const Observation& seen,
                                const std::vector<const Pool*>& pools);
  // Minus the logarithm of the account's own p-value so far; 0 before it was judged.
  static float surprise(const AccountState& state, const Observation& seen);
  Verdict own_verdict(const AccountState& state, const Observation& seen) const;
  Verdict pool_verdict(const Pool& pool) const;
  double evidence_of_left(const Pool& pool) const;
  bool shares_guise(const Pool& pool) const;
  Membership membership(const AccountState& state, const Observation& seen, Ties by) const;
  Verdict verdict(AccountState& state, const Observation& seen,
                  const std::vector<const Pool*>& pools) const;
  bool of_several_kinds(const Verdict& verdict) const;
  bool reaches_any_step(double e_value, double suspend_alpha) const;
  Step step_of(const Verdict& verdict, double suspend_alpha) const;
  Evidence evidence(const AccountState& state, const Observation& seen,
                    const Verdict& verdict) const;

  Options options_;
  Clusters clusters_;
  std::unordered_map<std::string, std::unique_ptr<AccountState>, Hash, std::equal_to<>> accounts_;
  size_t last_stream_ = 0;
  uint32_t last_guise_ = 0;  // guise_of
  std::vector<const Pool*> last_pools_;
};

}  // namespace retort::detect
