#include "policy/policy.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "accounts/cases.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/person.h"
#include "json/value.h"

namespace retort::cli {
namespace {

struct PolicyArguments {
  std::string verb, what;
  AccountsPlace place;
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

Result<void> run_policy(const PolicyArguments& arguments) {
  if (arguments.verb == "list") return list(arguments);
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
  command.summary = "a provider's policy on harvesting: check, add, list";
  command.examples =
      "  retort policy check policy.toml\n"
      "  retort policy add policy.toml\n"
      "  retort policy list";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("VERB", arguments->verb, "what to do")
        ->required()
        ->check(CLI::IsMember({"check", "add", "list"}));
    app.add_option("FILE", arguments->what, "a policy (docs/reference/policy.md)");
    declare_place(app, arguments->place);
  };
  command.run = [arguments] { return run_policy(*arguments); };
  return command;
}

}  // namespace retort::cli
