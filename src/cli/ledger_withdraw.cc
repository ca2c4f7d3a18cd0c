// retort ledger withdraw, states and state.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/ledger_verbs.h"
#include "corpus/retraction.h"
#include "corpus/sealed_files.h"
#include "corpus/withdrawals.h"
#include "crypto/dsse.h"
#include "json/value.h"
#include "lineage/withdrawal.h"
#include "terms/statement.h"

namespace retort::cli {
namespace {

using corpus::SubjectKind;
using corpus::Withdrawal;
using corpus::WithdrawalCase;

constexpr size_t kShortestPrefix = 8;
constexpr size_t kDigitsShown = 16;
constexpr int64_t kKeyBytesMax = int64_t{1} << 16;

// A withdrawal, and of one of a record where that lies.
struct Wanted {
  Withdrawal what;
  std::optional<lineage::WithdrawnRecord> record = {};
};

// Names of the entries of a kind that are meant: by name, by digits of it, or by a member.
Result<std::vector<std::string>> named(ledger::Ledger& log, const char* kind,
                                       const std::vector<const char*>& members,
                                       const std::string& text) {
  std::vector<std::string> out;
  RETORT_TRY_VOID(log.for_each(kind, [&](const ledger::Entry& entry) -> Result<void> {
    bool fits =
        entry.name == text || (text.size() >= kShortestPrefix && entry.name.starts_with(text));
    for (const char* member : members) {
      fits = fits || entry.body.string_at(member, "").value_or("") == text;
    }
    if (fits) out.push_back(entry.name);
    return {};
  }));
  if (!out.empty()) return out;
  return base::not_found(fmt::format("the log knows no such {}", kind), text,
                         "retort ledger show lists what it holds");
}

Result<WithdrawalCase> case_of(const LedgerArguments& arguments) {
  const auto why = corpus::parse_withdrawal_case(arguments.why);
  if (why) return *why;
  return base::usage_error(
      arguments.why.empty() ? "why is it withdrawn?" : "no case is called “" + arguments.why + "”",
      "--case",
      "terms-changed (from a day on, --from), account-ended (all of it), reading-corrected (our "
      "reading was wrong, --corrected-by)");
}

Result<void> add_case(ledger::Ledger& log, const LedgerArguments& arguments, Withdrawal& what) {
  RETORT_TRY(what.why, case_of(arguments));
  if (what.why == WithdrawalCase::terms_changed) {
    what.from_ms = base::parse_iso_date(arguments.from);
    if (what.from_ms < 0) {
      return base::usage_error("from which day on do the new terms hold?", "--from",
                               "a date: --from 2026-08-14");
    }
  }
  if (what.why != WithdrawalCase::reading_corrected) return {};
  if (arguments.corrected_by.empty()) {
    return base::usage_error("which reading is the right one?", "--corrected-by",
                             "name the corrected terms file");
  }
  RETORT_TRY(const auto right, terms::load_terms(arguments.corrected_by));
  RETORT_TRY_VOID(corpus::log_reading(log, right));
  what.corrected_by = right.id;
  return {};
}

Result<std::vector<Wanted>> wanted_records(ledger::Ledger& log, const LedgerArguments& arguments,
                                           const Withdrawal& form) {
  std::set<std::string> read;
  RETORT_TRY(const auto found,
             corpus::find_record(log, shard_folders(log, arguments), arguments.record, &read));
  const auto places = lineage::found_record(found, std::move(read));
  std::vector<Wanted> out;
  std::vector<Withdrawal> derived;
  for (const auto& one : found) {
    Withdrawal what = form;
    what.why = WithdrawalCase::record;
    what.kind = SubjectKind::record;
    what.id = one.place();
    what.key = one.key;
    if (one.derived) {
      derived.push_back(std::move(what));
    } else if (std::none_of(out.begin(), out.end(),
                            [&](const Wanted& known) { return known.what.id == what.id; })) {
      out.push_back({std::move(what), lineage::WithdrawnRecord{.found = places}});
    }
  }
  // A copy of a shard in a second folder is the same shard.
  const auto same = [](const Withdrawal& a, const Withdrawal& b) { return a.id == b.id; };
  derived.erase(std::unique(derived.begin(), derived.end(), same), derived.end());
  out.front().record->derived = std::move(derived);
  return out;
}

Result<std::vector<Wanted>> wanted_of(ledger::Ledger& log, const LedgerArguments& arguments) {
  Withdrawal form;
  form.reason = arguments.reason;
  form.by = arguments.by;
  if (!arguments.holder.empty()) {
    RETORT_TRY(const auto pem, base::read_file(arguments.holder, kKeyBytesMax));
    RETORT_TRY(const auto key, crypto::EcPublicKey::from_pem(pem, arguments.holder));
    form.holder = key.to_pem();
  }
  int subjects = 0;
  for (const auto* text :
       {&arguments.terms, &arguments.door, &arguments.record, &arguments.declaration}) {
    if (!text->empty()) ++subjects;
  }
  if (subjects != 1) {
    return base::usage_error("what is withdrawn?", "withdraw",
                             "one of --terms, --door, --record, --declaration");
  }
  if (form.by.empty()) return base::usage_error("who withdraws it?", "--by", "give a name");
  if (!arguments.record.empty()) return wanted_records(log, arguments, form);
  std::vector<std::string> names;
  if (!arguments.declaration.empty()) {
    form.kind = SubjectKind::declaration;
    form.why = WithdrawalCase::declaration_ended;
    names.push_back(arguments.declaration);
  } else if (!arguments.terms.empty()) {
    form.kind = SubjectKind::terms;
    RETORT_TRY(names, named(log, "terms", {"series"}, arguments.terms));
    RETORT_TRY_VOID(add_case(log, arguments, form));
  } else {
    form.kind = SubjectKind::door;
    RETORT_TRY(names, named(log, "door", {"endpoint", "provider"}, arguments.door));
    RETORT_TRY_VOID(add_case(log, arguments, form));
  }
  std::vector<Wanted> out;
  for (const auto& name : names) {
    if (name == form.corrected_by) continue;  // a reading of the same series is no wrong one
    out.push_back({form});
    out.back().what.id = name;
  }
  return out;
}

void print_model(const char* word, const lineage::ModelEntry& model, const std::string& more) {
  std::printf("  %-12s %s  %s, %s (entry %lld)%s\n", word,
              model.name.substr(0, kDigitsShown).c_str(), model.model_id.c_str(),
              model.form.c_str(), static_cast<long long>(model.entry), more.c_str());
}

json::Value numbers(const std::vector<int64_t>& entries) {
  json::Value out = json::Value::array();
  for (const int64_t entry : entries) out.push(entry);
  return out;
}

json::Value report_json(const lineage::WithdrawalReport& report) {
  json::Value frozen = json::Value::array();
  for (const auto& one : report.frozen) frozen.push(one.model);
  json::Value barred = json::Value::array();
  for (const auto& one : report.barred) {
    barred.push(
        json::Value::object({{"model", one.model.name}, {"state", lineage::name(one.state)}}));
  }
  json::Value follow = json::Value::array();
  for (const auto& one : report.follow) {
    follow.push(json::Value::object({{"kind", corpus::name(one.kind)}, {"id", one.id}}));
  }
  return json::Value::object({{"withdrawal", report.withdrawal.entry},
                              {"known", report.known},
                              {"records", static_cast<int64_t>(report.records)},
                              {"shards", numbers(report.shards)},
                              {"runs", numbers(report.runs)},
                              {"frozen", std::move(frozen)},
                              {"barred", std::move(barred)},
                              {"follow", std::move(follow)}});
}

Result<void> print(ledger::Ledger& log, const lineage::WithdrawalReport& report) {
  if (globals().json) {
    print_json(report_json(report));
    return {};
  }
  std::printf("%s%s\n", report.withdrawal.sentence().c_str(),
              report.known ? ", as the log has it already" : "");
  std::printf("  %s records in %zu shards, %zu runs\n",
              base::grouped(static_cast<int64_t>(report.records)).c_str(), report.shards.size(),
              report.runs.size());
  for (const auto& one : report.follow) std::printf("  and %s\n", one.words().c_str());
  for (const auto& one : report.frozen) {
    RETORT_TRY(const auto model, lineage::find_model(log, one.model));
    print_model("frozen", model, "");
  }
  for (const auto& one : report.barred) {
    print_model(lineage::name(one.state), one.model,
                ", as it was since " + base::iso_date(one.since_ms));
  }
  if (report.frozen.empty() && report.barred.empty()) {
    std::printf("  no model of this log learnt from it\n");
  } else if (!report.frozen.empty()) {
    std::printf(
        "Frozen models are not served, exported, signed or trained from. A new run leaves the "
        "records out;\nretort ledger state MODEL --to … says what becomes of the models.\n");
  }
  return {};
}

void print_standing(const lineage::Standing& one) {
  if (globals().json) {
    print_json(json::Value::object({{"model", one.model.name},
                                    {"model_id", one.model.model_id},
                                    {"form", one.model.form},
                                    {"entry", one.model.entry},
                                    {"run", one.model.run},
                                    {"state", lineage::name(one.state)},
                                    {"why", one.why},
                                    {"withdrawals", numbers(one.withdrawals)},
                                    {"moves", std::ssize(one.moves)}}));
    return;
  }
  print_model(lineage::name(one.state), one.model,
              one.since_ms == 0 ? "" : " since " + base::iso_date(one.since_ms));
  if (!one.why.empty()) std::printf("               %s\n", one.why.c_str());
}

}  // namespace

std::vector<std::string> shard_folders(const ledger::Ledger& log,
                                       const LedgerArguments& arguments) {
  if (!arguments.shards.empty()) return arguments.shards;
  const std::string above = base::parent(log.folder());
  return {above.empty() ? "." : above};
}

Result<void> withdraw(ledger::Ledger& log, const LedgerArguments& arguments) {
  RETORT_TRY_VOID(log.verify());
  RETORT_TRY(const auto wanted, wanted_of(log, arguments));
  for (const auto& one : wanted) {
    RETORT_TRY(const auto report,
               lineage::withdraw(log, one.what, one.record ? &*one.record : nullptr));
    RETORT_TRY_VOID(print(log, report));
  }
  return {};
}

Result<void> take_back(ledger::Ledger& log, const LedgerArguments& arguments) {
  int64_t entry = -1;
  const char* const end = arguments.what.data() + arguments.what.size();
  const auto number = std::from_chars(arguments.what.data(), end, entry);
  if (number.ec != std::errc() || number.ptr != end) {
    return base::usage_error("which withdrawal is taken back?", "ENTRY",
                             "the number of its entry; retort ledger show lists them");
  }
  if (arguments.by.empty()) return base::usage_error("who takes it back?", "--by", "give a name");
  RETORT_TRY_VOID(log.verify());
  RETORT_TRY(const auto withdrawal, corpus::withdrawal_to_take_back(log, entry));
  if (arguments.key.empty()) {
    return base::usage_error("whose signature is it?", "--key",
                             "the private key of the holder that the withdrawal names");
  }
  RETORT_TRY(const auto pem, base::read_file(arguments.key, kKeyBytesMax));
  RETORT_TRY(const auto key, crypto::EcSigningKey::from_pem(pem, arguments.key));
  const std::string statement =
      corpus::retraction_text(log, withdrawal, {.reason = arguments.reason, .by = arguments.by});
  const auto envelope = crypto::sign_envelope(crypto::kInTotoPayload, statement, key);
  RETORT_TRY(const auto report, lineage::take_back(log, entry, terms::envelope_json(envelope)));
  if (globals().json) {
    json::Value cleared = json::Value::array();
    for (const auto& one : report.cleared) cleared.push(one.model);
    json::Value barred = json::Value::array();
    for (const auto& one : report.barred) barred.push(one.model.name);
    print_json(json::Value::object({{"retraction", report.entry},
                                    {"withdrawal", entry},
                                    {"cleared", std::move(cleared)},
                                    {"barred", std::move(barred)}}));
    return {};
  }
  std::printf("Taken back (entry %lld): %s\n", static_cast<long long>(report.entry),
              report.withdrawal.sentence().c_str());
  for (const auto& one : report.cleared) {
    RETORT_TRY(const auto model, lineage::find_model(log, one.model));
    print_model("clear", model, "");
  }
  for (const auto& one : report.barred) {
    print_model(lineage::name(one.state), one.model, ", and stays so: " + one.why);
  }
  return {};
}

Result<void> list_states(ledger::Ledger& log) {
  RETORT_TRY(const auto standings, lineage::Standings::read(log));
  for (const auto& one : standings.all()) print_standing(one);
  if (standings.all().empty() && !globals().json) std::printf("The log knows no model.\n");
  return {};
}

Result<void> move_state(ledger::Ledger& log, const LedgerArguments& arguments) {
  if (arguments.what.empty()) {
    return base::usage_error("the state of which model?", "MODEL",
                             "retort ledger states lists them");
  }
  if (!arguments.to.empty()) {
    RETORT_TRY(const auto to, lineage::parse_state(arguments.to));
    RETORT_TRY_VOID(lineage::move(log, {.model = arguments.what,
                                        .to = to,
                                        .by = arguments.by,
                                        .reason = arguments.reason,
                                        .remedy_run = arguments.run}));
  }
  RETORT_TRY(const auto standings, lineage::Standings::read(log));
  RETORT_TRY(const auto* standing, standings.find(arguments.what));
  print_standing(*standing);
  return {};
}

}  // namespace retort::cli
