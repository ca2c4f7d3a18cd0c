// Moving a model from one state to the next: the checks that its entry stands for.
#include <fmt/core.h>

#include <algorithm>

#include "base/clock.h"
#include "lineage/read_internal.h"
#include "lineage/state.h"

namespace retort::lineage {
namespace {

Error not_legal(const Standing& standing, State to) {
  std::string ways;
  for (const State state : {State::clear, State::frozen, State::traced, State::quarantined,
                            State::remediated, State::withdrawn}) {
    if (may_move(standing.state, state))
      ways += (ways.empty() ? "" : ", ") + std::string(name(state));
  }
  return {ErrorCode::refused_by_gate,
          fmt::format("a model that is {} does not become {}", name(standing.state), name(to)),
          standing.model.name,
          ways.empty() ? "nothing follows on it" : "from there it becomes: " + ways};
}

int64_t last_withdrawal(const Standing& standing) {
  return standing.withdrawals.empty() ? -1 : standing.withdrawals.back();
}

// The newest verdict that permits to train on what has this digest; -1: there is none.
class Verdicts {
 public:
  static Result<Verdicts> read(ledger::Ledger& log) {
    Verdicts out;
    RETORT_TRY_VOID(log.for_each("verdict", [&](const ledger::Entry& entry) -> Result<void> {
      const auto text = [&](const char* key) { return entry.body.string_at(key, "").value_or(""); };
      const auto* purpose = entry.body.find("purpose");
      if (text("action") != "train.generative" || purpose == nullptr) return {};
      const bool permits = text("decision").starts_with("permit");
      out.newest_[{text("digest"), json::canonical(*purpose)}] = permits ? entry.index : -1;
      return {};
    }));
    return out;
  }
  int64_t of(const std::string& digest, const json::Value& purpose) const {
    const auto found = newest_.find({digest, json::canonical(purpose)});
    return found == newest_.end() ? -1 : found->second;
  }

 private:
  std::map<std::pair<std::string, std::string>, int64_t> newest_;
};

Error not_clear(const Standing& standing, std::string what) {
  return {ErrorCode::refused_by_gate, "the model does not become clear: " + std::move(what),
          standing.model.name,
          "train again without the records that were withdrawn, and move this one to remediated"};
}

// Everything that it learnt from was asked about again since, and permitted.
Result<void> check_cleared_again(ledger::Ledger& log, const Standings& standings,
                                 const Standing& standing) {
  const int64_t since = last_withdrawal(standing);
  if (since < 0) return {};
  if (standing.model.run < 0) {
    return not_clear(standing, "no run of this log made it, so nothing can be asked again");
  }
  RETORT_TRY(const auto run, find_run(log, standing.model.run));
  RETORT_TRY(const auto verdicts, Verdicts::read(log));
  if (verdicts.of(run.selection, run.purpose) < since) {
    return not_clear(standing,
                     fmt::format("no verdict since the withdrawal (entry {}) permits exactly the "
                                 "records that it learnt from",
                                 since));
  }
  std::vector<WeightsUsed> weights = run.teachers;
  if (run.base) weights.push_back(*run.base);
  for (const auto& used : weights) {
    if (verdicts.of(used.digest, run.purpose) < since) {
      return not_clear(standing, fmt::format("no verdict since the withdrawal permits the weights "
                                             "of {} that it started from or asked",
                                             used.model));
    }
    for (const auto& file : used.files) {
      const auto* barred = standings.barred(file.sha256);
      if (barred == nullptr) continue;
      return not_clear(standing, fmt::format("it came of the model {}, which is {}",
                                             barred->model.name, name(barred->state)));
    }
  }
  return {};
}

Result<RunManifest> find_named_run(ledger::Ledger& log, const std::string& text) {
  RETORT_TRY(auto runs, all_runs(log));
  std::erase_if(runs, [&](const RunManifest& run) {
    return run.name != text && std::to_string(run.entry) != text &&
           (text.size() < kShortestPrefix || !run.name.starts_with(text));
  });
  if (runs.size() == 1) return std::move(runs.front());
  if (runs.empty()) {
    return base::not_found("the log knows no such run", text, "retort ledger show lists them");
  }
  return base::usage_error("several runs begin so", text, "give more of its digits");
}

// The remedy is a run that was cleared after the withdrawal, and a clear model of it.
Result<std::string> check_remedy(ledger::Ledger& log, const Standings& standings,
                                 const Standing& standing, const std::string& named) {
  if (named.empty()) {
    return base::usage_error("which run made the model that takes its place?", "--run",
                             "name a run, or eight digits of it; retort ledger show lists them");
  }
  RETORT_TRY(const auto run, find_named_run(log, named));
  const auto refuse = [&](std::string why) {
    return Error{ErrorCode::refused_by_gate, "this run is no remedy: " + std::move(why), run.name,
                 "train again without the records that were withdrawn: retort run leaves them out"};
  };
  const int64_t since = last_withdrawal(standing);
  if (run.entry < since) return refuse("it stood in the log before the withdrawal");
  for (const int64_t verdict : run.verdicts) {
    if (verdict < since) return refuse("its records were cleared before the withdrawal");
  }
  const auto of_run = [&](const Standing& one) { return one.model.run == run.entry; };
  if (std::none_of(standings.all().begin(), standings.all().end(), of_run)) {
    return refuse("it made no model yet");
  }
  for (const auto& one : standings.all()) {
    if (of_run(one) && one.state != State::clear) {
      return refuse(fmt::format("its model {} is {}", one.model.name, name(one.state)));
    }
  }
  return run.name;
}

}  // namespace

Result<StateEntry> move(ledger::Ledger& log, const Move& wanted) {
  if (wanted.by.empty()) return base::usage_error("who moves it?", "--by", "give a name");
  while (true) {
    RETORT_TRY(const auto head, log.head());
    RETORT_TRY(const auto standings, Standings::read(log));
    RETORT_TRY(const auto* standing, standings.find(wanted.model));
    if (!may_move(standing->state, wanted.to)) return not_legal(*standing, wanted.to);
    StateEntry next{.model = standing->model.name,
                    .number = std::ssize(standing->moves) + 1,
                    .state = wanted.to,
                    .before = standing->state,
                    .reason = wanted.reason,
                    .withdrawal = last_withdrawal(*standing),
                    .by = wanted.by};
    if (wanted.to == State::clear) {
      RETORT_TRY_VOID(check_cleared_again(log, standings, *standing));
    } else if (wanted.to == State::remediated) {
      RETORT_TRY(next.remedy_run, check_remedy(log, standings, *standing, wanted.remedy_run));
    }
    std::vector<ledger::Draft> drafts;
    // What froze without an entry gets one first, so that the moves follow each other in the log.
    if (standing->logged() != standing->state) {
      StateEntry frozen = next;
      frozen.state = standing->state;
      frozen.before = standing->logged();
      frozen.reason = standing->why;
      frozen.remedy_run = "";
      drafts.push_back({"state", name_of(frozen), to_json(frozen)});
      ++next.number;
    }
    drafts.push_back({"state", name_of(next), to_json(next)});
    RETORT_TRY(const bool appended, log.append_all(head.size, std::move(drafts)));
    if (!appended) continue;  // the log grew meanwhile: everything is looked at again
    RETORT_TRY(const auto entry, log.find("state", name_of(next)));
    return state_from_entry(entry);
  }
}

}  // namespace retort::lineage
