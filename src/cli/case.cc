#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "accounts/cases.h"
#include "base/clock.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/person.h"
#include "json/value.h"
#include "policy/case_json.h"
#include "provider/administration.h"

namespace retort::cli {
namespace {

using accounts::Cases;
using policy::Case;

struct CaseArguments {
  std::string verb, what;
  AccountsPlace place;
  std::string account;
  bool all = false;
  std::string words, evidence, carries = "warn";
  std::string decision, reason;
};

std::string standing_of(const Case& subject) {
  std::string out = fmt::format("{}, {}", policy::name(subject.step), policy::name(subject.status));
  if (subject.proposed) out += ", suspension proposed: confirm or close";
  if (subject.status == policy::Status::appealed) {
    out += ", decide by " + base::iso_time(subject.appeal.decide_by_ms);
  }
  return out;
}

Result<void> list(Cases& cases, const CaseArguments& arguments) {
  RETORT_TRY(const auto all,
             cases.list({.account = arguments.account, .only_open = !arguments.all}));
  for (const auto& one : all) {
    if (globals().json) {
      print_json(policy::to_json(one));
      continue;
    }
    std::printf("%s  %s  %s  %s\n", one.id.c_str(), one.account.c_str(),
                base::iso_time(one.opened_ms).c_str(), standing_of(one).c_str());
    std::printf("    %s\n", one.finding.words.c_str());
  }
  if (all.empty() && !globals().json) {
    std::fprintf(stderr, "No %scases.\n", arguments.all ? "" : "open ");
  }
  return {};
}

Result<void> show(Cases& cases, const CaseArguments& arguments) {
  RETORT_TRY(const auto subject, cases.find(arguments.what));
  RETORT_TRY(const auto events, cases.events(subject.id));
  RETORT_TRY(const auto policy, cases.policy(subject.policy));
  if (globals().json) {
    json::Value value = policy::to_json(subject);
    json::Value list = json::Value::array();
    for (const auto& event : events) list.push(provider::event_json(event));
    value.set("events", std::move(list));
    print_json(value);
    return {};
  }
  std::printf("%s against %s: %s\n", subject.id.c_str(), subject.account.c_str(),
              standing_of(subject).c_str());
  std::printf("  clause %s: %s\n", policy.clause.id.c_str(), policy.clause.text.c_str());
  std::printf("  policy %s %s (%.16s)\n", policy.series.c_str(), policy.version.c_str(),
              policy.id.c_str());
  std::printf("  found: %s\n", subject.finding.words.c_str());
  std::printf("  the evidence carries: %s\n", policy::name(subject.finding.carries));
  std::printf("  answered under this step: %lld\n", static_cast<long long>(subject.step_requests));
  if (subject.appeal.at_ms != 0) {
    std::printf("  appeal of %s: %s\n", base::iso_time(subject.appeal.at_ms).c_str(),
                subject.appeal.text.c_str());
  }
  for (const auto& event : events) {
    std::printf("  %s  %-22s %s, %s by %s%s%s\n", base::iso_time(event.time_ms).c_str(),
                event.what.c_str(), policy::name(event.step), policy::name(event.status),
                event.actor.c_str(), event.reason.empty() ? "" : ": ", event.reason.c_str());
  }
  return {};
}

Result<const policy::Policy*> binding_policy(const std::vector<policy::Policy>& policies,
                                             const std::string& folder) {
  const auto* policy = policy::binding(policies, base::system_clock().wall_ms());
  if (policy != nullptr) return policy;
  return base::not_found("no policy is in effect, so nothing can be held against anybody", folder,
                         "retort policy add FILE; it binds from its effective date on");
}

Result<void> open(Cases& cases, const CaseArguments& arguments) {
  const auto carries = policy::parse_step(arguments.carries);
  if (!carries) {
    return base::usage_error(fmt::format("“{}” is no step", arguments.carries), "--carries",
                             "watch, warn, throttle or suspend");
  }
  policy::Finding finding{.carries = *carries, .words = arguments.words};
  if (!arguments.evidence.empty()) {
    RETORT_TRY(finding.evidence, base::read_file(arguments.evidence, int64_t{1} << 20));
  }
  RETORT_TRY(const auto policies, cases.policies());
  RETORT_TRY(const auto* policy, binding_policy(policies, arguments.place.folder));
  RETORT_TRY(const auto made, cases.begin(arguments.what, *policy, finding, person()));
  globals().json ? print_json(policy::to_json(made)) : (void)std::puts(made.id.c_str());
  return {};
}

Result<void> decide(Cases& cases, const CaseArguments& arguments) {
  RETORT_TRY(const auto address, existing_book(arguments.place));
  RETORT_TRY(const auto book, accounts::Book::open(address));
  RETORT_TRY(
      const auto after,
      provider::decide({*book, cases}, {arguments.what, arguments.decision, arguments.reason},
                       person(), base::system_clock().wall_ms()));
  if (globals().json) {
    print_json(policy::to_json(after));
  } else {
    std::printf("%s: %s\n", after.id.c_str(), standing_of(after).c_str());
  }
  return {};
}

Result<void> run_case(const CaseArguments& arguments) {
  if (arguments.what.empty() && arguments.verb != "list") {
    return base::usage_error(fmt::format("{} needs {}", arguments.verb,
                                         arguments.verb == "open" ? "an account" : "a case"),
                             "WHAT",
                             "retort case list shows the cases, retort account list the accounts");
  }
  RETORT_TRY(const auto path, existing_book(arguments.place));
  RETORT_TRY(const auto cases, Cases::open(path, {.create = false}));
  if (arguments.verb == "list") return list(*cases, arguments);
  if (arguments.verb == "show") return show(*cases, arguments);
  if (arguments.verb == "open") return open(*cases, arguments);
  return decide(*cases, arguments);
}

}  // namespace

Command case_command() {
  auto arguments = std::make_shared<CaseArguments>();
  Command command;
  command.name = "case";
  command.summary = "cases of a provider against accounts: list, show, open, decide";
  command.examples =
      "  retort case list\n"
      "  retort case show case_...\n"
      "  retort case decide case_... --decision lift --reason \"your translation job; our "
      "mistake\"\n"
      "  retort case decide case_... --decision confirm --reason \"4,100 filled templates\"\n"
      "  retort case open acct_... --words \"told us in writing\" --carries warn";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("VERB", arguments->verb, "what to do")
        ->required()
        ->check(CLI::IsMember({"list", "show", "open", "decide"}));
    app.add_option("WHAT", arguments->what, "a case; for open, an account");
    declare_place(app, arguments->place);
    app.add_option("--account", arguments->account, "list: of this account alone");
    app.add_flag("--all", arguments->all, "list: also those that are over");
    app.add_option("--words", arguments->words, "open: what was found; the customer reads it");
    app.add_option("--evidence", arguments->evidence, "open: a JSON file with what it rests on");
    app.add_option("--carries", arguments->carries,
                   "open: the gravest step that the evidence is strong enough for")
        ->capture_default_str();
    app.add_option("--decision", arguments->decision, "confirm, uphold, lift or close");
    app.add_option("--reason", arguments->reason, "of a decision; the customer reads it");
  };
  command.run = [arguments] { return run_case(*arguments); };
  return command;
}

}  // namespace retort::cli
