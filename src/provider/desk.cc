#include "provider/desk_internal.h"

#include "base/log.h"

namespace retort::provider {
namespace {

using policy::Case;
using policy::Move;

constexpr const char* kDetector = "detector";
constexpr const char* kTime = "the clock";

}  // namespace

Result<std::unique_ptr<Desk>> Desk::open(const std::string& path, base::Clock* clock) {
  RETORT_TRY(auto cases, accounts::Cases::open(path, {.create = false, .clock = clock}));
  std::unique_ptr<Desk> desk(new Desk(std::move(cases), clock));
  RETORT_TRY_VOID(desk->reload());
  return desk;
}

std::shared_ptr<Standing> Desk::standing(const std::string& account) {
  const std::lock_guard lock(mutex_);
  const auto found = by_account_.find(account);
  return found == by_account_.end() ? nullptr : found->second;
}

Desk::Binding Desk::binding() {
  const int64_t now_ms = clock_->wall_ms();
  Binding out;
  const std::lock_guard lock(mutex_);
  for (const auto& one : policies_) {
    if (one->effective_ms <= now_ms) {
      if (!out.now || one->effective_ms >= out.now->effective_ms) out.now = one;
    } else if (!out.next || one->effective_ms < out.next->effective_ms) {
      out.next = one;
    }
  }
  return out;
}

Result<void> Desk::reload() {
  const std::lock_guard lock(store_mutex_);
  return reload_locked();
}

Result<void> Desk::reload_locked() {
  RETORT_TRY(auto policies, cases_->policies());
  RETORT_TRY(const auto open, cases_->list({.only_open = true}));
  std::vector<std::shared_ptr<const policy::Policy>> kept;
  for (auto& one : policies) {
    kept.push_back(std::make_shared<const policy::Policy>(std::move(one)));
  }
  std::map<std::string, std::shared_ptr<Standing>, std::less<>> by_account;
  const std::lock_guard lock(mutex_);
  for (const Case& subject : open) {
    auto standing = std::make_shared<Standing>();
    standing->subject = subject;
    for (const auto& one : kept) {
      if (one->id == subject.policy) standing->policy = one;
    }
    if (!standing->policy) continue;
    const auto before = by_account_.find(subject.account);
    // Requests of a step that has ended count for it alone.
    if (before != by_account_.end() && before->second->subject.id == subject.id &&
        before->second->subject.step == subject.step) {
      standing->answered = before->second->answered.load();
    }
    by_account.emplace(subject.account, std::move(standing));
  }
  for (const auto& [account, standing] : by_account_) {
    if (!by_account.contains(account)) cleared_.push_back(account);
  }
  policies_ = std::move(kept);
  by_account_ = std::move(by_account);
  return {};
}

Result<void> Desk::move(Standing& standing) {
  Case expected = standing.subject;
  expected.step_requests += standing.answered;
  const int64_t now_ms = clock_->wall_ms();
  const Move wanted = policy::next_move(*standing.policy, expected, now_ms);
  if (wanted == Move::none) return {};
  const int64_t answered = standing.answered.exchange(0);
  const char* what = wanted == Move::lift      ? "lifted: the appeal was not decided in time"
                     : wanted == Move::propose ? "suspension proposed"
                                               : "advanced";
  const auto after =
      cases_->change(standing.subject.id, what, wanted == Move::lift ? kTime : kDetector,
                     [&](const policy::Policy& policy, Case& subject) -> Result<void> {
                       subject.step_requests += answered;
                       if (policy::next_move(policy, subject, now_ms) != wanted) {
                         return base::usage_error("somebody decided otherwise meanwhile");
                       }
                       if (wanted == Move::advance) {
                         policy::advance(policy, subject, now_ms);
                       } else if (wanted == Move::propose) {
                         subject.proposed = true;
                       } else {
                         policy::lift(subject, "Your appeal was not decided in time.", now_ms);
                       }
                       return {};
                     });
  if (after) {
    base::log_info("case {} of {}: {}", after->id, after->account, what);
    return {};
  }
  standing.answered += answered;
  if (after.error().code == ErrorCode::usage) return {};
  return after.error();
}

Result<void> Desk::work() {
  std::vector<std::shared_ptr<Standing>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [account, standing] : by_account_) all.push_back(standing);
  }
  bool moved = false;
  const std::lock_guard lock(store_mutex_);
  for (const auto& standing : all) {
    Case expected = standing->subject;
    expected.step_requests += standing->answered;
    if (policy::next_move(*standing->policy, expected, clock_->wall_ms()) == Move::none) continue;
    moved = true;
    RETORT_TRY_VOID(move(*standing));
  }
  return moved ? reload_locked() : Result<void>();
}

std::vector<std::string> Desk::take_cleared() {
  const std::lock_guard lock(mutex_);
  return std::exchange(cleared_, {});
}

Result<void> Desk::take(const std::string& account, const policy::Finding& finding) {
  const auto policy = binding().now;
  if (!policy) return {};  // before the first policy binds nothing is held against anybody
  const std::lock_guard lock(store_mutex_);
  RETORT_TRY(const auto running, cases_->open_of(account));
  if (running) {
    RETORT_TRY_VOID(cases_->update(running->id, 0, &finding));
  } else {
    RETORT_TRY_VOID(cases_->begin(account, *policy, finding, kDetector));
  }
  return reload_locked();
}

Result<std::vector<Case>> Desk::list(const std::string& account) {
  const std::lock_guard lock(store_mutex_);
  RETORT_TRY(auto all, cases_->list({.account = account}));
  std::erase_if(all, [](const Case& one) { return !one.visible(); });
  return all;
}

Result<std::optional<Case>> Desk::find(const std::string& account, const std::string& id) {
  const std::lock_guard lock(store_mutex_);
  auto found = cases_->find(id);
  if (!found) {
    if (found.error().code == ErrorCode::not_found) return std::optional<Case>{};
    return found.error();
  }
  if (found->account != account || !found->visible()) return std::optional<Case>{};
  return std::optional(std::move(*found));
}

Result<Desk::Appealed> Desk::appeal(const Case& subject, const std::string& key,
                                    const std::string& text) {
  Appealed out;
  const std::lock_guard lock(store_mutex_);
  const int64_t now_ms = clock_->wall_ms();
  if (const auto hindrance = policy::appeal_hindrance(subject, now_ms)) {
    out.hindrance = *hindrance;
    return out;
  }
  auto taken = cases_->change(subject.id, "appealed", key,
                              [&](const policy::Policy& policy, Case& current) -> Result<void> {
                                // As it is now: of two appeals at once the second is refused.
                                if (auto hindrance = policy::appeal_hindrance(current, now_ms)) {
                                  return base::usage_error(*hindrance);
                                }
                                policy::take_appeal(policy, current, text, now_ms);
                                return {};
                              });
  if (!taken && taken.error().code == ErrorCode::usage) {
    out.hindrance = taken.error().message;
    return out;
  }
  RETORT_TRY(out.subject, std::move(taken));
  RETORT_TRY_VOID(reload_locked());
  return out;
}

Result<policy::Policy> Desk::policy_of(const Case& subject) {
  const std::lock_guard lock(store_mutex_);
  return cases_->policy(subject.policy);
}

Result<void> Desk::close() {
  std::vector<std::shared_ptr<Standing>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [account, standing] : by_account_) all.push_back(standing);
  }
  const std::lock_guard lock(store_mutex_);
  for (const auto& standing : all) {
    const int64_t answered = standing->answered.exchange(0);
    if (answered > 0) {
      RETORT_TRY_VOID(cases_->update(standing->subject.id, answered, nullptr));
    }
  }
  return {};
}

}  // namespace retort::provider
