// The desk where cases are kept going: which one binds whom, what customers are shown of it, and
// what the time and new findings make of it.
//
// Threads: everything from any thread. standing() takes a short lock; the others may wait for the
// store.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "accounts/cases.h"
#include "provider/provider.h"

namespace retort::provider {

class Desk {
 public:
  static Result<std::unique_ptr<Desk>> open(const std::string& path, base::Clock* clock);

  // The case that binds an account, with a step that it is to know of; null for none.
  std::shared_ptr<Standing> standing(const std::string& account);
  // The policy that binds now, and the one announced to follow it; null for none.
  struct Binding {
    std::shared_ptr<const policy::Policy> now, next;
  };
  Binding binding();

  // Of the store, anew: somebody changed the book.
  Result<void> reload();
  // Moves every case whose time has come.
  Result<void> work();
  // Accounts whose case ended since the last call: what was found of them counts no more.
  std::vector<std::string> take_cleared();
  // Opens a case or adds to the open one; the account is the charged one.
  Result<void> take(const std::string& account, const policy::Finding& finding);

  Result<std::vector<policy::Case>> list(const std::string& account);
  // Nothing for a case of somebody else, as for one that is not there.
  Result<std::optional<policy::Case>> find(const std::string& account, const std::string& id);
  // The case as it is then, or words for the customer on why not.
  struct Appealed {
    std::optional<policy::Case> subject;
    std::string hindrance;
  };
  Result<Appealed> appeal(const policy::Case& subject, const std::string& key,
                          const std::string& text);
  Result<policy::Policy> policy_of(const policy::Case& subject);
  // What was answered under each step is written down; at the end.
  Result<void> close();

 private:
  Desk(std::unique_ptr<accounts::Cases> cases, base::Clock* clock)
      : cases_(std::move(cases)), clock_(clock) {}
  Result<void> move(Standing& standing);
  Result<void> reload_locked();

  std::mutex store_mutex_;  // of the store
  std::unique_ptr<accounts::Cases> cases_;
  base::Clock* clock_;

  std::mutex mutex_;  // of what follows
  std::vector<std::shared_ptr<const policy::Policy>> policies_;
  std::map<std::string, std::shared_ptr<Standing>, std::less<>> by_account_;
  std::vector<std::string> cleared_;
};

}  // namespace retort::provider
