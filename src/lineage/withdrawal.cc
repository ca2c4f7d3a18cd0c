#include "lineage/withdrawal.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace retort::lineage {
namespace {

using corpus::SubjectKind;
using corpus::Withdrawal;
using corpus::WithdrawalCase;

Question question_of(const Withdrawal& withdrawal) {
  switch (withdrawal.kind) {
    case SubjectKind::terms:
      return {Question::Kind::kTerms, withdrawal.id};
    case SubjectKind::door:
      return {Question::Kind::kDoor, withdrawal.id};
    case SubjectKind::record:
      return {Question::Kind::kRecord, withdrawal.id};
    case SubjectKind::declaration:
      break;
  }
  return {Question::Kind::kDeclaration, withdrawal.id};
}

std::vector<int64_t> signed_of(const std::vector<uint64_t>& entries) {
  return {entries.begin(), entries.end()};
}

// Entries that a withdrawal concerns, each ascending.
struct Concerned {
  std::vector<int64_t> shards, runs, models, doors;
  uint64_t records = 0;
};

// What the trace names, without runs of after the withdrawal: the clearance that they passed knew
// of it, and denied every record and all weights that it is about.
class Sieve {
 public:
  static Result<Sieve> make(ledger::Ledger& log, const Withdrawal& withdrawal) {
    Sieve out(withdrawal);
    RETORT_TRY(out.models_, all_models(log));
    return out;
  }

  void take(const Trace& trace) {
    for (const uint64_t run : trace.runs) {
      if (before(static_cast<int64_t>(run))) runs_.insert(static_cast<int64_t>(run));
    }
    for (const uint64_t door : trace.doors) doors_.insert(static_cast<int64_t>(door));
    std::set<std::string> named;  // all that the trace came to
    for (const auto& model : models_) {
      if (has(trace.models, model.entry)) named.insert(model.name);
    }
    for (const auto& model : models_) {
      if (has(trace.models, model.entry) && concerns(model, named)) {
        concerned_.insert(model.entry);
        names_.insert(model.name);
      }
    }
  }

  std::vector<int64_t> runs() const { return {runs_.begin(), runs_.end()}; }
  std::vector<int64_t> doors() const { return {doors_.begin(), doors_.end()}; }
  std::vector<int64_t> models() const { return {concerned_.begin(), concerned_.end()}; }
  const std::vector<ModelEntry>& known() const { return models_; }

 private:
  explicit Sieve(const Withdrawal& withdrawal) : withdrawal_(withdrawal.entry) {}
  bool before(int64_t run) const { return withdrawal_ < 0 || run < withdrawal_; }
  static bool has(const std::vector<uint64_t>& entries, int64_t entry) {
    return std::binary_search(entries.begin(), entries.end(), static_cast<uint64_t>(entry));
  }
  // One that no run made is what it was made from.
  bool concerns(const ModelEntry& model, const std::set<std::string>& named) const {
    if (model.run >= 0) return before(model.run);
    bool from_named = false;
    for (const auto& from : model.made_from) {
      if (names_.contains(from)) return true;
      from_named = from_named || named.contains(from);
    }
    return !from_named;
  }

  int64_t withdrawal_;
  std::vector<ModelEntry> models_;
  std::set<int64_t> runs_, doors_, concerned_;
  std::set<std::string> names_;
};

// Whether a shard holds a record that was captured from then on.
Result<bool> reaches(ledger::Ledger& log, int64_t shard, int64_t from_ms) {
  RETORT_TRY(const auto entry, log.entry(shard));
  RETORT_TRY(const auto to_ms, entry.body.int_at("captured_to_ms", INT64_MAX));
  return to_ms >= from_ms;
}

// A new version leaves what learnt from older records: of the runs only those that list a shard
// with younger ones, and what came of them.
Result<void> sift_by_time(ledger::Ledger& log, const Lineage& lineage, const Withdrawal& withdrawal,
                          const Trace& trace, Sieve& sieve) {
  std::set<int64_t> shards;
  for (const uint64_t shard : trace.shards) {
    const auto reason = trace.reasons.find(shard);
    if (reason != trace.reasons.end() && reason->second.generation > 0) continue;
    RETORT_TRY(const bool young, reaches(log, static_cast<int64_t>(shard), withdrawal.from_ms));
    if (young) shards.insert(static_cast<int64_t>(shard));
  }
  Trace direct;
  for (const uint64_t entry : trace.runs) {
    RETORT_TRY(const auto run, find_run(log, static_cast<int64_t>(entry)));
    if (std::any_of(run.shards.begin(), run.shards.end(),
                    [&](int64_t shard) { return shards.contains(shard); })) {
      direct.runs.push_back(entry);
    }
  }
  for (const auto& model : sieve.known()) {
    const bool of_run = model.run >= 0 && std::binary_search(direct.runs.begin(), direct.runs.end(),
                                                             static_cast<uint64_t>(model.run));
    if (of_run) direct.models.push_back(static_cast<uint64_t>(model.entry));
  }
  sieve.take(direct);
  for (const uint64_t entry : direct.models) {
    const auto its = std::find_if(sieve.known().begin(), sieve.known().end(), [&](const auto& one) {
      return one.entry == static_cast<int64_t>(entry);
    });
    RETORT_TRY(const auto further, lineage.trace({Question::Kind::kWeights, its->name}));
    sieve.take(further);
  }
  return {};
}

// A record's own shard, and what came of the runs that learnt from it.
Result<Trace> trace_of_runs(ledger::Ledger& log, const Lineage& lineage,
                            const Withdrawal& withdrawal) {
  Trace out = lineage.trace_runs(*withdrawal.runs);
  RETORT_TRY(const auto shard, log.find("shard", withdrawal.id.substr(0, withdrawal.id.find(':'))));
  out.shards.insert(out.shards.begin(), static_cast<uint64_t>(shard.index));
  out.records = 1;
  return out;
}

Result<Concerned> concerned_by(ledger::Ledger& log, const Lineage& lineage,
                               const Withdrawal& withdrawal) {
  auto trace = withdrawal.kind == SubjectKind::record && withdrawal.runs
                   ? trace_of_runs(log, lineage, withdrawal)
                   : lineage.trace(question_of(withdrawal));
  if (!trace) return trace.error();
  RETORT_TRY(auto sieve, Sieve::make(log, withdrawal));
  if (withdrawal.why == WithdrawalCase::terms_changed) {
    RETORT_TRY_VOID(sift_by_time(log, lineage, withdrawal, *trace, sieve));
  } else {
    sieve.take(*trace);
  }
  return Concerned{.shards = signed_of(trace->shards),
                   .runs = sieve.runs(),
                   .models = sieve.models(),
                   .doors = sieve.doors(),
                   .records = trace->records};
}

// Doors behind which a concerned model answers: nobody may learn from its answers either.
Result<void> add_doors(ledger::Ledger& log, const std::vector<int64_t>& doors,
                       WithdrawalReport& report) {
  for (const int64_t index : doors) {
    RETORT_TRY(const auto entry, log.entry(index));
    const auto& first = report.withdrawal;
    if (first.kind == SubjectKind::door && first.id == entry.name) continue;
    report.follow.push_back({.why = WithdrawalCase::account_ended,
                             .kind = SubjectKind::door,
                             .id = entry.name,
                             .follows = first.entry,
                             .reason = "a model answers there that learnt from what was withdrawn",
                             .by = first.by});
  }
  return {};
}

struct Round {
  int64_t size = 0;
  std::vector<ledger::Draft> drafts;
};

void add_draft(Round& round, const char* kind, std::string name, json::Value body) {
  round.drafts.push_back({kind, std::move(name), std::move(body)});
}

void freeze_all(const Standings& standings, const std::vector<int64_t>& models, Round& round,
                WithdrawalReport& report) {
  for (const auto& one : standings.all()) {
    if (!std::binary_search(models.begin(), models.end(), one.model.entry)) continue;
    if (one.logged() != State::clear) {
      report.barred.push_back(one);
      continue;
    }
    // Cleared again since.
    if (report.known && one.state == State::clear) continue;
    StateEntry frozen{.entry = round.size + std::ssize(round.drafts),
                      .model = one.model.name,
                      .number = std::ssize(one.moves) + 1,
                      .state = State::frozen,
                      .before = State::clear,
                      .reason = report.withdrawal.words(),
                      .withdrawal = report.withdrawal.entry,
                      .by = report.withdrawal.by};
    add_draft(round, "state", name_of(frozen), to_json(frozen));
    report.frozen.push_back(std::move(frozen));
  }
}

// The same as it stands in the log, or what is to be said: once more where it was taken back.
Result<WithdrawalReport> known_or_new(ledger::Ledger& log, const Withdrawal& what) {
  RETORT_TRY(const auto all, corpus::read_all_withdrawals(log));
  WithdrawalReport report;
  report.withdrawal = what;
  while (true) {
    const std::string name = corpus::name_of(report.withdrawal);
    const auto same = std::ranges::find_if(
        all, [&](const Withdrawal& one) { return corpus::name_of(one) == name; });
    if (same == all.end()) return report;
    if (same->taken_back < 0) {
      report.withdrawal = *same;
      report.known = true;
      return report;
    }
    report.withdrawal.again = same->taken_back;
  }
}

// Everything that the withdrawal means for the log of this size.
Result<WithdrawalReport> plan(ledger::Ledger& log, const Withdrawal& what,
                              const WithdrawnRecord* record, Round& round) {
  RETORT_TRY(WithdrawalReport report, known_or_new(log, what));
  if (!report.known) {
    if (record != nullptr) {
      RETORT_TRY(report.withdrawal.runs, runs_that_learnt(log, record->found));
    }
    report.withdrawal.entry = round.size;
    add_draft(round, "withdrawal", corpus::name_of(report.withdrawal),
              corpus::to_json(report.withdrawal));
  }
  RETORT_TRY(const auto lineage, Lineage::read(log));
  RETORT_TRY(const auto concerned, concerned_by(log, lineage, report.withdrawal));
  report.records = concerned.records;
  report.shards = concerned.shards;
  report.runs = concerned.runs;
  if (!report.known) RETORT_TRY_VOID(add_doors(log, concerned.doors, report));
  if (record != nullptr) {
    for (auto derived : record->derived) {
      derived.follows = report.withdrawal.entry;
      report.follow.push_back(std::move(derived));
    }
  }
  std::erase_if(report.follow, [&](const Withdrawal& follow) {
    return log.find("withdrawal", corpus::name_of(follow)).ok();
  });
  for (const auto& follow : report.follow) {
    add_draft(round, "withdrawal", corpus::name_of(follow), corpus::to_json(follow));
  }
  RETORT_TRY(const auto standings, Standings::read(log));
  freeze_all(standings, concerned.models, round, report);
  return report;
}

}  // namespace

Result<std::vector<int64_t>> concerned_models(ledger::Ledger& log, const Lineage& lineage,
                                              const Withdrawal& withdrawal) {
  RETORT_TRY(auto concerned, concerned_by(log, lineage, withdrawal));
  return std::move(concerned.models);
}

Result<WithdrawalReport> withdraw(ledger::Ledger& log, const Withdrawal& what,
                                  const WithdrawnRecord* record) {
  RETORT_TRY_VOID(corpus::check(log, what));
  if (record != nullptr) {
    for (const auto& derived : record->derived) RETORT_TRY_VOID(corpus::check(log, derived));
  }
  while (true) {
    RETORT_TRY(const auto head, log.head());
    Round round{.size = head.size, .drafts = {}};
    RETORT_TRY(auto report, plan(log, what, record, round));
    if (round.drafts.empty()) return report;
    RETORT_TRY(const bool appended, log.append_all(head.size, std::move(round.drafts)));
    if (!appended) continue;  // the log grew meanwhile: all is looked at again
    RETORT_TRY(const auto entry, log.entry(report.withdrawal.entry));
    RETORT_TRY(report.withdrawal, corpus::withdrawal_from_entry(entry));
    return report;
  }
}

}  // namespace retort::lineage
