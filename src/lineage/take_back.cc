// Taking a withdrawal back, with what followed from it alone.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "corpus/retraction.h"
#include "lineage/withdrawal.h"
#include "terms/statement.h"

namespace retort::lineage {
namespace {

// Entries of the withdrawals that will be taken back then, with this one.
Result<std::set<int64_t>> taken_back_with(ledger::Ledger& log, int64_t withdrawal) {
  RETORT_TRY(const auto all, corpus::read_all_withdrawals(log));
  std::set<int64_t> out{withdrawal};
  for (const auto& one : all) {
    if (one.taken_back >= 0 || one.follows == withdrawal) out.insert(one.entry);
  }
  return out;
}

// Whether the model is out of use because of such a withdrawal, and of nothing that still stands.
// `standing` looks away from the one that is being taken back. A person's own freezing stays, and
// so do the two states in which a model was given up.
bool goes_back(const Standing& standing, const std::set<int64_t>& taken_back) {
  const State now = standing.logged();
  if (now != State::frozen && now != State::traced && now != State::quarantined) return false;
  const auto froze =
      std::find_if(standing.moves.rbegin(), standing.moves.rend(),
                   [](const StateEntry& move) { return move.before == State::clear; });
  if (froze == standing.moves.rend() || !taken_back.contains(froze->withdrawal)) return false;
  // Earlier ones were answered by what made it clear before it was frozen.
  const auto cleared = std::find_if(froze, standing.moves.rend(), [](const StateEntry& move) {
    return move.state == State::clear;
  });
  const int64_t answered = cleared == standing.moves.rend() ? -1 : cleared->entry;
  return std::ranges::none_of(standing.withdrawals,
                              [&](int64_t entry) { return entry > answered; });
}

struct Signed {
  std::string reason, by;
};
Result<Signed> read_signed(const json::Value& value) {
  RETORT_TRY(const auto envelope, terms::envelope_from_json(value, "the retraction"));
  RETORT_TRY(const auto statement, terms::parse_statement(envelope.payload, "the retraction"));
  Signed out;
  RETORT_TRY(out.reason, statement.predicate.string_at("reason", ""));
  RETORT_TRY(out.by, statement.predicate.string_at("by"));
  return out;
}

}  // namespace

Result<TakeBackReport> take_back(ledger::Ledger& log, int64_t withdrawal,
                                 const json::Value& envelope) {
  while (true) {
    RETORT_TRY(const auto head, log.head());
    TakeBackReport report;
    RETORT_TRY(report.withdrawal, corpus::withdrawal_to_take_back(log, withdrawal));
    RETORT_TRY(auto retraction, corpus::retraction_entry(log, report.withdrawal, envelope));
    RETORT_TRY(const auto said, read_signed(envelope));
    report.entry = head.size;
    std::vector<ledger::Draft> drafts{std::move(retraction)};
    RETORT_TRY(const auto taken_back, taken_back_with(log, withdrawal));
    RETORT_TRY(const auto before, Standings::read(log));
    RETORT_TRY(const auto after, Standings::read(log, withdrawal));
    for (size_t i = 0; i < after.all().size(); ++i) {
      const Standing& one = after.all()[i];
      if (goes_back(one, taken_back)) {
        StateEntry clear{.entry = head.size + std::ssize(drafts),
                         .model = one.model.name,
                         .number = std::ssize(one.moves) + 1,
                         .state = State::clear,
                         .before = one.logged(),
                         .reason = fmt::format("the withdrawal of entry {} was taken back: {}",
                                               withdrawal, said.reason),
                         .retraction = report.entry,
                         .by = said.by};
        drafts.push_back({"state", name_of(clear), to_json(clear)});
        report.cleared.push_back(std::move(clear));
      } else if (one.state != State::clear &&
                 std::ranges::find(before.all()[i].withdrawals, withdrawal) !=
                     before.all()[i].withdrawals.end()) {
        report.barred.push_back(one);
      }
    }
    RETORT_TRY(const bool appended, log.append_all(head.size, std::move(drafts)));
    if (appended) return report;  // else the log grew meanwhile: all is looked at again
  }
}

}  // namespace retort::lineage
