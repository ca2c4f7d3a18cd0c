#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>

#include "accounts/book.h"
#include "accounts/quota.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/account_match.h"
#include "cli/command.h"
#include "cli/person.h"
#include "json/value.h"
#include "provider/administration.h"
#include "provider/audit.h"
#include "provider/calibrating.h"

namespace retort::cli {
namespace {

using accounts::Account;
using accounts::Book;
using accounts::Key;

struct AccountArguments {
  std::string verb, what;
  AccountsPlace place;
  accounts::NewAccount account;
  std::string training = "forbidden";
  accounts::NewKey key;
  std::string kind = "api", expires;
  std::string reason, case_id;
  int64_t overlap_minutes = 0;
  std::string limit;
};

void print_account(const Account& account) {
  std::printf("%-21s  %-9s  training %-13s  %s%s%s\n", account.id.c_str(),
              accounts::name(account.state), accounts::name(account.training), account.name.c_str(),
              account.organisation.empty() ? "" : ", of ", account.organisation.c_str());
  if (account.state != accounts::State::active) {
    std::printf("%23sbecause: %s%s%s\n", "", account.reason.c_str(),
                account.case_id.empty() ? "" : ", case ", account.case_id.c_str());
  }
}

std::string end_of(const Key& key) {
  std::string out;
  if (key.limits.expires_ms != 0) out = "expires " + base::iso_time(key.limits.expires_ms);
  if (key.ends_ms != 0) out = "ends " + base::iso_time(key.ends_ms);
  if (!key.replaced_by.empty()) out += ", replaced by " + key.replaced_by;
  return out;
}

void print_issued(const accounts::IssuedKey& issued) {
  if (globals().json) {
    json::Value value = provider::key_json(issued.key);
    value.set("key", issued.secret).set("account", issued.key.account);
    return print_json(value);
  }
  std::printf("%s\n", issued.secret.c_str());
  std::fprintf(stderr, "This is the key %s of %s. It is shown this once; only its hash is kept.\n",
               issued.key.id.c_str(), issued.key.account.c_str());
}

// A purpose that nobody calibrated with is no error: a provider may calibrate with it later.
Result<void> note_unknown_purpose(const AccountArguments& arguments) {
  RETORT_TRY(const auto calibration, provider::calibration_of(arguments.place.folder));
  const std::string& purpose = arguments.account.purpose;
  if (purpose.empty() || calibration.find(purpose) != calibration.find("")) return {};
  std::string known;
  for (const auto& [name, one] : calibration.classes) {
    if (calibration.find(name) == calibration.find("")) continue;
    known += (known.empty() ? "" : ", ") + name;
  }
  std::fprintf(
      stderr,
      "No honest accounts are known for “%s”: this one is compared with all, and throttled "
      "at most on its own evidence. Known: %s.\n",
      purpose.c_str(), known.c_str());
  return {};
}

Result<void> create(Book& book, AccountArguments& arguments) {
  arguments.account.name = arguments.what;
  const auto training = accounts::parse_training(arguments.training);
  if (!training) {
    return base::usage_error(fmt::format("“{}” is no licence to train", arguments.training),
                             "--training", "forbidden, non-competing or allowed");
  }
  arguments.account.training = *training;
  RETORT_TRY_VOID(note_unknown_purpose(arguments));
  RETORT_TRY(const auto made, book.create(arguments.account, person()));
  if (globals().json) {
    print_json(provider::account_json(made));
  } else {
    print_account(made);
    std::fprintf(stderr, "Give it a key: retort account issue %s\n", made.id.c_str());
  }
  return {};
}

Result<void> list(Book& book, AccountArguments&) {
  RETORT_TRY(const auto all, book.list());
  for (const auto& account : all) {
    globals().json ? print_json(provider::account_json(account)) : print_account(account);
  }
  if (all.empty() && !globals().json) {
    std::fprintf(stderr, "No accounts yet. Make one: retort account create \"Example Ltd\"\n");
  }
  return {};
}

Result<void> show(Book& book, AccountArguments& arguments) {
  RETORT_TRY(const auto account, book.account(arguments.what));
  RETORT_TRY(const auto keys, book.keys(account.id));
  RETORT_TRY(const auto history, book.history(account.id));
  RETORT_TRY(const auto limit_book, accounts::LimitBook::open(limits_address(arguments.place)));
  RETORT_TRY(const auto all_limits, limit_book->list());
  const auto limits = provider::limits_of(all_limits, account, keys);
  if (globals().json) {
    json::Value value = provider::account_json(account);
    json::Value keys_out = json::Value::array();
    for (const auto& key : keys) keys_out.push(provider::key_json(key));
    json::Value changes = json::Value::array();
    for (const auto& one : history) changes.push(provider::change_json(one));
    json::Value bound = json::Value::array();
    for (const auto& limit : limits) bound.push(provider::limit_json(limit));
    value.set("keys", std::move(keys_out))
        .set("limits", std::move(bound))
        .set("history", std::move(changes));
    print_json(value);
    return {};
  }
  print_account(account);
  for (const auto& key : keys) {
    std::printf("  %-20s  %-5s  %s %s\n", key.id.c_str(), accounts::name(key.kind),
                key.label.c_str(), end_of(key).c_str());
  }
  for (const auto& limit : limits) {
    const bool at_once = limit.window == accounts::Window::now;
    std::printf("  at most %s %s %s%s, %s\n", base::grouped(limit.most).c_str(),
                accounts::name(limit.resource), at_once ? "" : "a ",
                at_once ? "at once" : accounts::name(limit.window), limit.subject.c_str());
  }
  for (const auto& one : history) {
    std::printf("  %s  %-14s %s by %s%s%s\n", base::iso_time(one.time_ms).c_str(), one.what.c_str(),
                one.subject.c_str(), one.actor.c_str(), one.after.empty() ? "" : ": ",
                one.after.c_str());
  }
  return {};
}

Result<void> issue(Book& book, AccountArguments& arguments) {
  arguments.key.account = arguments.what;
  arguments.key.kind =
      arguments.kind == "admin" ? accounts::KeyKind::admin : accounts::KeyKind::api;
  if (!arguments.expires.empty()) {
    arguments.key.limits.expires_ms = base::parse_iso_date(arguments.expires);
    if (arguments.key.limits.expires_ms < 0) {
      return base::usage_error(fmt::format("“{}” is no date", arguments.expires), "--expires",
                               "for example 2027-06-30");
    }
  }
  RETORT_TRY(const auto issued, book.issue(arguments.key, person()));
  print_issued(issued);
  return {};
}

Result<void> rotate(Book& book, AccountArguments& arguments) {
  RETORT_TRY(const auto issued,
             book.rotate(arguments.what, arguments.overlap_minutes * 60'000, person()));
  print_issued(issued);
  return {};
}

Result<void> revoke(Book& book, AccountArguments& arguments) {
  return book.revoke(arguments.what, person());
}

Result<void> payer(Book& book, AccountArguments& arguments) {
  return book.set_payer(arguments.what, arguments.account.payer, person());
}

Result<void> suspend(Book& book, AccountArguments& arguments) {
  return book.suspend(arguments.what, arguments.reason, arguments.case_id, person());
}

Result<void> reinstate(Book& book, AccountArguments& arguments) {
  return book.reinstate(arguments.what, arguments.reason, person());
}

// "output_tokens/day=100000"; "requests/minute=none" takes a limit away.
Result<std::pair<accounts::Limit, bool>> parse_limit(const std::string& subject,
                                                     const std::string& text) {
  const size_t slash = text.find('/');
  const size_t equals = text.find('=');
  const auto wrong = [&text] {
    return base::usage_error(
        fmt::format("“{}” is no limit", text), "--most",
        "RESOURCE/WINDOW=NUMBER or =none; requests, input_tokens, output_tokens or cost_micros a "
        "minute, day or month, or parallel/now: output_tokens/day=100000");
  };
  if (slash == std::string::npos || equals == std::string::npos || equals < slash) return wrong();
  const auto resource = accounts::parse_resource(text.substr(0, slash));
  const auto window = accounts::parse_window(text.substr(slash + 1, equals - slash - 1));
  if (!resource || !window) return wrong();
  accounts::Limit limit{subject, *resource, *window, 0};
  const std::string number = text.substr(equals + 1);
  if (number == "none") return std::pair(limit, true);
  const char* end = number.data() + number.size();
  const auto parsed = std::from_chars(number.data(), end, limit.most);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return wrong();
  return std::pair(limit, false);
}

// Whom a limit binds, and in whose history it stands.
struct Bound {
  std::string subject, account;
};
Result<Bound> bound_by(Book& book, const std::string& what) {
  if (what == "all" || what.starts_with("organisation:")) return Bound{what, ""};
  if (what.starts_with("key_")) {
    RETORT_TRY(const auto key, book.key(what));
    return Bound{"key:" + what, key.account};
  }
  RETORT_TRY(const auto account, book.account(what));
  return Bound{"account:" + account.id, account.id};
}

Result<void> limit(Book& book, AccountArguments& arguments) {
  RETORT_TRY(const auto bound, bound_by(book, arguments.what));
  RETORT_TRY(const auto parsed, parse_limit(bound.subject, arguments.limit));
  RETORT_TRY(const auto limits, accounts::LimitBook::open(limits_address(arguments.place)));
  RETORT_TRY_VOID(parsed.second ? limits->remove(parsed.first) : limits->set(parsed.first));
  return book.note(bound.account, {.actor = person(),
                                   .subject = bound.subject,
                                   .what = "limit",
                                   .before = "",
                                   .after = arguments.limit});
}

// The lines as they are, of one account where it is named; all of them are checked.
Result<void> audit(Book&, AccountArguments& arguments) {
  const auto concerns = [&arguments](const json::Value& line) {
    const auto* account = line.find("account");
    return arguments.what.empty() ||
           (account != nullptr && account->is_string() && account->as_string() == arguments.what);
  };
  RETORT_TRY(const auto count, provider::read_audit(arguments.place.folder,
                                                    [&](const json::Value& line) -> Result<void> {
                                                      if (concerns(line)) print_json(line);
                                                      return {};
                                                    }));
  std::fprintf(stderr, "%s lines in %s segments, each as it was logged\n",
               base::grouped(count.lines).c_str(), base::grouped(count.segments).c_str());
  return {};
}

Result<void> match(Book& book, AccountArguments& arguments) {
  return match_answers(book, arguments.place.folder, arguments.what);
}

using Verb = std::function<Result<void>(Book&, AccountArguments&)>;

const std::map<std::string, Verb>& verbs() {
  static const std::map<std::string, Verb> all = {
      {"create", create}, {"list", list},     {"show", show},       {"issue", issue},
      {"rotate", rotate}, {"revoke", revoke}, {"suspend", suspend}, {"reinstate", reinstate},
      {"limit", limit},   {"audit", audit},   {"match", match},     {"payer", payer},
  };
  return all;
}

Result<void> run_account(AccountArguments& arguments) {
  if (arguments.what.empty() && arguments.verb != "list" && arguments.verb != "audit") {
    return base::usage_error(fmt::format("{} needs to know {}", arguments.verb,
                                         arguments.verb == "match" ? "which file" : "whom"),
                             "WHAT", "retort account list shows the accounts");
  }
  std::string address = book_address(arguments.place);
  if (arguments.verb != "create") {
    RETORT_TRY(address, existing_book(arguments.place));
  }
  RETORT_TRY(auto book, Book::open(address));
  return verbs().at(arguments.verb)(*book, arguments);
}

}  // namespace

Command account_command() {
  auto arguments = std::make_shared<AccountArguments>();
  Command command;
  command.name = "account";
  command.summary =
      "accounts of a provider: create, list, show, issue, rotate, revoke, suspend, "
      "reinstate, limit, payer, audit, match";
  command.examples =
      "  retort account create \"Example Ltd\" --training non-competing\n"
      "  retort account issue acct_... --models 'small-*' --expires 2027-06-30\n"
      "  retort account rotate key_... --overlap 60\n"
      "  retort account payer acct_... --payer card-3f9a\n"
      "  retort account limit acct_... --most output_tokens/day=100000\n"
      "  retort account suspend acct_... --reason \"clause 2.2(e): answers gathered for "
      "training\"\n"
      "  retort account audit acct_...\n"
      "  retort account match rival-dataset.jsonl";
  command.declare = [arguments](CLI::App& app) {
    std::vector<std::string> names;
    for (const auto& [name, verb] : verbs()) names.push_back(name);
    app.add_option("VERB", arguments->verb, "what to do")->required()->check(CLI::IsMember(names));
    app.add_option("WHAT", arguments->what,
                   "create: a name; rotate, revoke: a key's id; limit: an account, a key, "
                   "organisation:NAME or all; match: a file of texts; else an account's id");
    declare_place(app, arguments->place);
    app.add_option("--organisation", arguments->account.organisation,
                   "accounts of one organisation share its limits");
    app.add_option("--payer", arguments->account.payer,
                   "create, payer: a fingerprint of what pays, as billing gives it; accounts that "
                   "share it are looked at together");
    app.add_option("--purpose", arguments->account.purpose,
                   "what they say it is for; a class of honest accounts, as support or "
                   "translation (docs/concepts/detection.md)");
    app.add_option("--training", arguments->training,
                   "may answers train a model: forbidden, non-competing or allowed")
        ->capture_default_str();
    app.add_option("--declaration", arguments->account.declaration,
                   "the log's entry that a licence to train rests on");
    app.add_option("--kind", arguments->kind, "of a key: api, or admin for the administration")
        ->check(CLI::IsMember({"api", "admin"}))
        ->capture_default_str();
    app.add_option("--label", arguments->key.label, "of a key, for people");
    app.add_option("--scopes", arguments->key.limits.scopes, "what a key may ask; all without");
    app.add_option("--models", arguments->key.limits.models, "models a key may ask; all without");
    app.add_option("--addresses", arguments->key.limits.addresses,
                   "addresses a key may come from: 203.0.113.7 10.0.0.0/8");
    app.add_option("--expires", arguments->expires, "first day that a key opens nothing");
    app.add_option("--overlap", arguments->overlap_minutes, "minutes that a rotated key goes on")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--reason", arguments->reason,
                   "of a suspension or its end; the customer reads it");
    app.add_option("--case", arguments->case_id, "the case that led to it");
    app.add_option("--most", arguments->limit, "RESOURCE/WINDOW=NUMBER, or =none");
  };
  command.run = [arguments] { return run_account(*arguments); };
  return command;
}

}  // namespace retort::cli
