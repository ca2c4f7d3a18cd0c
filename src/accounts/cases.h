// The cases against accounts, and the policies that they are judged by, in the book of accounts.
// A change of a case, of the account's state that goes with it, and the lines of both histories are
// one transaction.
//
// A Cases belongs to one thread at a time; other processes may change the same book meanwhile.
// Errors: usage, not_found, storage.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "accounts/book.h"
#include "policy/case.h"

namespace retort::accounts {

struct CaseEvent {
  int64_t time_ms = 0;
  std::string actor;  // "detector", the id of a customer's key, a person's name
  std::string what;   // "opened", "advanced", "appealed", "decided: lift" ...
  policy::Step step = policy::Step::watch;
  policy::Status status = policy::Status::open;
  std::string reason;
};

struct CaseFilter {
  std::string account{};  // "": all
  bool only_open = false;
};

class Cases {
 public:
  static Result<std::unique_ptr<Cases>> open(const std::string& address,
                                             const Book::Options& options);
  ~Cases();
  Cases(const Cases&) = delete;
  Cases& operator=(const Cases&) = delete;

  // A version of the provider's policy; the same one again changes nothing. Refused: one that takes
  // effect in the past while another of its series already binds, unless nobody was judged by it.
  Result<void> add_policy(const policy::Policy& policy, const std::string& actor);
  Result<std::vector<policy::Policy>> policies();
  Result<policy::Policy> policy(const std::string& id);

  Result<std::vector<policy::Case>> list(const CaseFilter& filter);
  Result<policy::Case> find(const std::string& id);
  // The one that is not over, if the account has one; it has at most one.
  Result<std::optional<policy::Case>> open_of(const std::string& account);
  Result<std::vector<CaseEvent>> events(const std::string& id);
  // Of all cases, in their order, from behind a row; for a log that follows them.
  struct Numbered {
    int64_t row = 0;
    std::string case_id;
    CaseEvent event;
  };
  Result<std::vector<Numbered>> events_after(int64_t row, int64_t most);

  // At the step of watching. Refused for an account that may train and for one that has a case.
  Result<policy::Case> begin(const std::string& account, const policy::Policy& policy,
                             const policy::Finding& finding, const std::string& actor);
  // Reads the case anew, changes it, writes it with what follows from it: an account is suspended
  // when its case reaches that step, and active again when the case is over.
  using Change = std::function<Result<void>(const policy::Policy&, policy::Case&)>;
  Result<policy::Case> change(const std::string& id, const std::string& what,
                              const std::string& actor, const Change& change);
  // Requests that were answered under the step, and the latest finding: no event, no history.
  Result<void> update(const std::string& id, int64_t more_requests, const policy::Finding* finding);

 private:
  struct Impl;
  explicit Cases(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::accounts
