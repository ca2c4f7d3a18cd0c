#include "policy/policy.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <functional>
#include <memory>
#include <set>

#include "accounts/cases.h"
#include "base/clock.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/person.h"
#include "json/value.h"
#include "provider/calibrating.h"

namespace retort::cli {
namespace {

struct PolicyArguments {
  std::string verb, what;
  AccountsPlace place;
  std::vector<std::string> honest;
  bool alone = false;
};

void print_policy(const policy::Policy& policy, bool binds) {
  const auto& steps = policy.steps;
  if (globals().json) {
    print_json(json::Value::object({{"id", policy.id},
                                    {"series", policy.series},
                                    {"version", policy.version},
                                    {"announced", base::iso_date(policy.announced_ms)},
                                    {"effective", base::iso_date(policy.effective_ms)},
                                    {"clause", policy.clause.id},
                                    {"binds", binds}}));
    return;
  }
  std::printf("%s %s (%.16s)%s\n", policy.series.c_str(), policy.version.c_str(), policy.id.c_str(),
              binds ? ", in effect" : "");
  std::printf("  announced %s, effective %s\n", base::iso_date(policy.announced_ms).c_str(),
              base::iso_date(policy.effective_ms).c_str());
  std::printf("  clause %s: %s\n", policy.clause.id.c_str(), policy.clause.text.c_str());
  std::printf(
      "  of honest accounts at most %g are ever warned, %g throttled, %g suspended; a suspension "
      "rests on %lld kinds of evidence\n",
      policy.bounds.warn, policy.bounds.throttle, policy.bounds.suspend,
      static_cast<long long>(policy.bounds.families));
  std::printf(
      "  a warning lasts %lld minutes and %lld requests, a throttle (%lld requests a minute) %lld "
      "minutes and %lld requests; then %s\n",
      static_cast<long long>(steps.warn_minutes), static_cast<long long>(steps.warn_requests),
      static_cast<long long>(steps.requests_per_minute),
      static_cast<long long>(steps.throttle_minutes),
      static_cast<long long>(steps.throttle_requests),
      steps.automatic ? "the account is suspended" : "a person decides on a suspension");
  std::printf("  appeals within %lld days, decided within %lld, to %s\n",
              static_cast<long long>(policy.appeals.days),
              static_cast<long long>(policy.appeals.decision_days), policy.appeals.contact.c_str());
}

Result<void> check(const PolicyArguments& arguments) {
  RETORT_TRY(const auto policy, policy::load_policy(arguments.what));
  print_policy(policy, false);
  return {};
}

Result<void> add(const PolicyArguments& arguments) {
  RETORT_TRY(const auto policy, policy::load_policy(arguments.what));
  RETORT_TRY(const auto path, existing_book(arguments.place));
  RETORT_TRY(const auto cases, accounts::Cases::open(path, {.create = false}));
  RETORT_TRY_VOID(cases->add_policy(policy, person()));
  print_policy(policy, policy.effective_ms <= base::system_clock().wall_ms());
  return {};
}

Result<void> list(const PolicyArguments& arguments) {
  RETORT_TRY(const auto path, existing_book(arguments.place));
  RETORT_TRY(const auto cases, accounts::Cases::open(path, {.create = false}));
  RETORT_TRY(const auto all, cases->policies());
  const auto* binds = policy::binding(all, base::system_clock().wall_ms());
  for (const auto& one : all) print_policy(one, &one == binds);
  if (all.empty() && !globals().json) {
    std::fprintf(stderr, "No policy. Add one: retort policy add policy.toml\n");
  }
  return {};
}

// Without a list: who is active, may not train anyway, and has no case but such as were lifted.
Result<std::set<std::string, std::less<>>> honest_accounts(const PolicyArguments& arguments,
                                                           accounts::Book& book,
                                                           accounts::Cases& cases) {
  std::set<std::string, std::less<>> out;
  for (const auto& id : arguments.honest) {
    RETORT_TRY(const auto account, book.account(id));
    out.insert(account.id);
  }
  if (!out.empty()) return out;
  RETORT_TRY(const auto all, book.list());
  for (const auto& account : all) {
    if (account.state == accounts::State::active &&
        account.training == accounts::Training::forbidden) {
      out.insert(account.id);
    }
  }
  RETORT_TRY(const auto listed, cases.list({}));
  for (const auto& one : listed) {
    if (one.status != policy::Status::lifted) out.erase(one.account);
  }
  return out;
}

// e_value() is at most n + 1, and a first period weighs a half.
bool may_suspend(const detect::ClassCalibration& honest, double alpha) {
  return static_cast<double>(honest.periods + 1) * detect::period_weight(0) >= 1 / alpha;
}

void print_calibration(const provider::OwnCalibration& own, double alpha) {
  json::Value classes = json::Value::array();
  for (const auto& [purpose, periods] : own.own_periods) {
    const auto& honest = own.calibration.classes.at(purpose);
    const bool enough = may_suspend(honest, alpha);
    classes.push(json::Value::object({{"purpose", purpose},
                                      {"own_periods", periods},
                                      {"periods", honest.periods},
                                      {"may_suspend", enough}}));
    if (globals().json) continue;
    std::printf("  %-20s  %8s periods of your accounts, %s in all%s\n",
                purpose.empty() ? "all together" : purpose.c_str(), base::grouped(periods).c_str(),
                base::grouped(honest.periods).c_str(),
                enough ? "" : ": too few to suspend anybody on their own evidence");
  }
  if (globals().json) {
    print_json(json::Value::object({{"classes", std::move(classes)}, {"left_out", own.left_out}}));
    return;
  }
  std::printf("  %s periods of accounts with cases, licences or suspensions are left out\n",
              base::grouped(own.left_out).c_str());
  std::printf("Servers take it up when they start.\n");
}

Result<void> calibrate(const PolicyArguments& arguments) {
  RETORT_TRY(const auto path, existing_book(arguments.place));
  RETORT_TRY(const auto book, accounts::Book::open(path, {.create = false}));
  RETORT_TRY(const auto cases, accounts::Cases::open(path, {.create = false}));
  RETORT_TRY(const auto honest, honest_accounts(arguments, *book, *cases));
  RETORT_TRY(const auto own,
             provider::calibrate(
                 arguments.place.folder,
                 [&honest](std::string_view id) { return honest.contains(id); }, arguments.alone));
  RETORT_TRY(const auto all, cases->policies());
  const auto* binds = policy::binding(all, base::system_clock().wall_ms());
  RETORT_TRY_VOID(provider::write_calibration(arguments.place.folder, own.calibration));
  RETORT_TRY_VOID(
      book->note("", {.actor = person(),
                      .subject = "detection",
                      .what = "calibrated",
                      .before = "",
                      .after = fmt::format("{} periods of {} accounts{}", own.own_periods.at(""),
                                           honest.size(), arguments.alone ? ", alone" : "")}));
  print_calibration(own, binds != nullptr ? binds->bounds.suspend : policy::ErrorBounds{}.suspend);
  return {};
}

Result<void> run_policy(const PolicyArguments& arguments) {
  if (arguments.verb == "list") return list(arguments);
  if (arguments.verb == "calibrate") return calibrate(arguments);
  if (arguments.what.empty()) {
    return base::usage_error(arguments.verb + " needs a policy file", "FILE",
                             "examples/forbidden/policy.toml is one to begin with");
  }
  return arguments.verb == "check" ? check(arguments) : add(arguments);
}

}  // namespace

Command policy_command() {
  auto arguments = std::make_shared<PolicyArguments>();
  Command command;
  command.name = "policy";
  command.summary = "a provider's policy on harvesting: check, add, list; calibrate its bounds";
  command.examples =
      "  retort policy check policy.toml\n"
      "  retort policy add policy.toml\n"
      "  retort policy list\n"
      "  retort policy calibrate";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("VERB", arguments->verb, "what to do")
        ->required()
        ->check(CLI::IsMember({"check", "add", "list", "calibrate"}));
    app.add_option("FILE", arguments->what, "a policy (docs/reference/policy.md)");
    declare_place(app, arguments->place);
    app.add_option("--honest", arguments->honest,
                   "calibrate: accounts known to be honest; without, all that are active and "
                   "unlicensed and have no case");
    app.add_flag("--alone", arguments->alone,
                 "calibrate: without the simulated accounts that come with the program");
  };
  command.run = [arguments] { return run_policy(*arguments); };
  return command;
}

}  // namespace retort::cli
