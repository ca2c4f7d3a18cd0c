#include "lineage/state.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/clock.h"
#include "base/files.h"
#include "lineage/read_internal.h"
#include "lineage/trace.h"
#include "lineage/withdrawal.h"

namespace retort::lineage {
namespace {

constexpr const char* kSchema = "retort.state/1";
constexpr size_t kDigitsShown = 16;

constexpr std::array kNames = {"clear",       "frozen",     "traced",
                               "quarantined", "remediated", "withdrawn"};

// Every legal move. Withdrawn is final, and nothing but a withdrawal freezes what was remediated:
// it is not used anyway.
constexpr std::array<std::pair<State, State>, 12> kMoves = {{
    {State::clear, State::frozen},
    {State::frozen, State::traced},
    {State::frozen, State::clear},
    {State::frozen, State::withdrawn},
    {State::traced, State::quarantined},
    {State::traced, State::remediated},
    {State::traced, State::withdrawn},
    {State::traced, State::clear},
    {State::quarantined, State::remediated},
    {State::quarantined, State::withdrawn},
    {State::quarantined, State::clear},
    {State::remediated, State::withdrawn},
}};

Result<StateEntry> read(const json::Value& body) {
  RETORT_TRY_VOID(check_schema(body, kSchema));
  StateEntry out;
  RETORT_TRY(out.model, body.string_at("model"));
  RETORT_TRY(out.number, body.int_at("number"));
  RETORT_TRY(const auto state, body.string_at("state"));
  RETORT_TRY(out.state, parse_state(state));
  RETORT_TRY(const auto before, body.string_at("before"));
  RETORT_TRY(out.before, parse_state(before));
  RETORT_TRY(out.reason, body.string_at("reason", ""));
  RETORT_TRY(out.withdrawal, body.int_at("withdrawal", -1));
  RETORT_TRY(out.remedy_run, body.string_at("remedy_run", ""));
  RETORT_TRY(out.retraction, body.int_at("retraction", -1));
  RETORT_TRY(out.by, body.string_at("by", ""));
  return out;
}

std::string how_to_go_on(const Standing& standing) {
  const std::string model = standing.model.name.substr(0, kDigitsShown);
  if (standing.state == State::remediated) {
    const std::string& run = standing.moves.back().remedy_run;
    return fmt::format("use the model of the run {} in its place", run.substr(0, kDigitsShown));
  }
  if (standing.state == State::withdrawn) return "it was taken back for good; use another model";
  return fmt::format(
      "train again without those records (retort run leaves them out), and say so: retort ledger "
      "state {} --to traced, then --to remediated --run RUN",
      model);
}

Error barred_error(const Standing& standing, const std::string& use, const std::string& where) {
  Error out;
  out.code = ErrorCode::refused_by_gate;
  out.message = fmt::format("{} refuses the model {} ({}), which is {} since {}: {}", use,
                            standing.model.model_id, standing.model.name.substr(0, kDigitsShown),
                            name(standing.state), base::iso_date(standing.since_ms), standing.why);
  out.where = where;
  out.hint = how_to_go_on(standing);
  return out;
}

}  // namespace

const char* name(State state) {
  return kNames[static_cast<size_t>(state)];
}

Result<State> parse_state(const std::string& text) {
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found != kNames.end()) return static_cast<State>(found - kNames.begin());
  return base::usage_error("a model is never “" + text + "”", "state",
                           "clear, frozen, traced, quarantined, remediated, withdrawn");
}

bool may_move(State from, State to) {
  return std::find(kMoves.begin(), kMoves.end(), std::pair(from, to)) != kMoves.end();
}

std::string name_of(const StateEntry& state) {
  return fmt::format("{}@{}", state.model, state.number);
}

json::Value to_json(const StateEntry& state) {
  json::Value body = json::Value::object({{"schema", kSchema},
                                          {"model", state.model},
                                          {"number", state.number},
                                          {"state", name(state.state)},
                                          {"before", name(state.before)},
                                          {"reason", state.reason},
                                          {"by", state.by}});
  if (state.withdrawal >= 0) body.set("withdrawal", state.withdrawal);
  if (!state.remedy_run.empty()) body.set("remedy_run", state.remedy_run);
  if (state.retraction >= 0) body.set("retraction", state.retraction);
  return body;
}

Result<StateEntry> state_from_entry(const ledger::Entry& entry) {
  auto out = read(entry.body);
  if (!out) return out.error().at(fmt::format("entry {} of the log", entry.index));
  out->entry = entry.index;
  out->time_ms = entry.time_ms;
  return out;
}

Result<std::vector<StateEntry>> all_states(ledger::Ledger& log) {
  std::vector<StateEntry> out;
  RETORT_TRY_VOID(log.for_each("state", [&](const ledger::Entry& entry) -> Result<void> {
    RETORT_TRY(auto one, state_from_entry(entry));
    out.push_back(std::move(one));
    return {};
  }));
  return out;
}

namespace {

// A move that leans on a retraction which takes nothing back is none.
void apply_moves(std::vector<Standing>& all, const std::vector<StateEntry>& moves,
                 const std::set<int64_t>& retractions) {
  std::map<std::string, Standing*> by_name;
  for (auto& one : all) by_name[one.model.name] = &one;
  for (const auto& made : moves) {
    const auto found = by_name.find(made.model);
    if (found == by_name.end()) continue;
    if (made.retraction >= 0 && !retractions.contains(made.retraction)) continue;
    auto& standing = *found->second;
    standing.state = made.state;
    standing.since_ms = made.time_ms;
    standing.why = made.reason;
    standing.moves.push_back(made);
  }
}

// A withdrawal that came after the model's last move, or whose model came after it, freezes it
// without an entry.
void apply_withdrawal(std::vector<Standing>& all, const corpus::Withdrawal& withdrawal,
                      const std::vector<int64_t>& models) {
  for (auto& one : all) {
    if (!std::binary_search(models.begin(), models.end(), one.model.entry)) continue;
    one.withdrawals.push_back(withdrawal.entry);
    const int64_t last_move = one.moves.empty() ? -1 : one.moves.back().entry;
    if (one.state != State::clear || last_move > withdrawal.entry) continue;
    one.state = State::frozen;
    one.since_ms = withdrawal.time_ms;
    one.why = withdrawal.words();
  }
}

}  // namespace

Result<Standings> Standings::read(ledger::Ledger& log, int64_t without) {
  Standings out;
  RETORT_TRY_VOID(log.verify());
  RETORT_TRY(auto withdrawals, corpus::read_all_withdrawals(log));
  std::set<int64_t> retractions;
  for (const auto& one : withdrawals) {
    if (one.taken_back >= 0) retractions.insert(one.taken_back);
  }
  std::erase_if(withdrawals, [&](const corpus::Withdrawal& one) {
    return one.taken_back >= 0 || (without >= 0 && one.entry == without);
  });
  RETORT_TRY(const auto moves, all_states(log));
  RETORT_TRY(auto models, all_models(log));
  for (auto& model : models) out.all_.push_back({.model = std::move(model)});
  apply_moves(out.all_, moves, retractions);
  if (!withdrawals.empty()) {
    RETORT_TRY(const auto lineage, Lineage::read(log));
    for (const auto& one : withdrawals) {
      if (one.follows >= 0) continue;  // what it concerns the first one does
      RETORT_TRY(const auto concerned, concerned_models(log, lineage, one));
      apply_withdrawal(out.all_, one, concerned);
    }
  }
  for (size_t i = 0; i < out.all_.size(); ++i) {
    const auto& one = out.all_[i];
    for (const auto& file : one.model.files) {
      if (!holds_weights(file.name) && one.model.files.size() > 1) continue;
      if (one.state != State::clear) {
        out.barred_[file.sha256] = i;
      } else if (one.model.run >= 0) {
        // The same bytes came of a run that nothing speaks against.
        out.barred_.erase(file.sha256);
      }
    }
  }
  for (const auto& [sha256, i] : out.barred_) {
    for (const auto& file : out.all_[i].model.files) {
      if (file.sha256 == sha256) out.barred_bytes_.insert(file.bytes);
    }
  }
  return out;
}

Result<const Standing*> Standings::find(const std::string& text) const {
  const Standing* found = nullptr;
  for (const auto& one : all_) {
    if (one.model.name == text || std::to_string(one.model.entry) == text) return &one;
    const bool begins = text.size() >= kShortestPrefix && one.model.name.starts_with(text);
    if (!begins) continue;
    if (found != nullptr) {
      return base::usage_error(
          fmt::format("several models begin so: {} and {}", found->model.name, one.model.name),
          text, "give more of its digits, or the number of its entry");
    }
    found = &one;
  }
  if (found != nullptr) return found;
  return base::not_found("the log knows no such model", text,
                         "retort ledger states lists them all");
}

const Standing* Standings::barred(const std::string& sha256) const {
  const auto found = barred_.find(sha256);
  return found == barred_.end() ? nullptr : &all_[found->second];
}

bool Standings::may_be_barred(int64_t bytes) const {
  return barred_bytes_.contains(bytes);
}

Result<void> check_usable(ledger::Ledger& log, const std::string& path, const std::string& use) {
  RETORT_TRY(const auto standings, Standings::read(log));
  if (standings.all_clear()) return {};
  RETORT_TRY(auto files, list_weights(path));
  const bool in_folder = base::is_directory(path);
  for (auto& file : files) {
    if (!standings.may_be_barred(file.bytes)) continue;
    const std::string where = in_folder ? base::join(path, file.name) : path;
    RETORT_TRY(file.sha256, crypto::sha256_file_hex(where));
    const auto* barred = standings.barred(file.sha256);
    if (barred != nullptr) return barred_error(*barred, use, where);
  }
  return {};
}

Result<void> check_usable(ledger::Ledger& log, const std::vector<ModelFile>& files,
                          const std::string& use) {
  RETORT_TRY(const auto standings, Standings::read(log));
  for (const auto& file : files) {
    const auto* barred = standings.barred(file.sha256);
    if (barred != nullptr) return barred_error(*barred, use, file.name);
  }
  return {};
}

Result<void> check_usable_where_it_lies(ledger::Ledger& log, const std::string& path,
                                        const std::string& use) {
  const auto nearest = ledger::find_ledger(base::parent(path));
  std::error_code code;
  if (!nearest || std::filesystem::equivalent(*nearest, log.folder(), code)) return {};
  RETORT_TRY(auto its_own, ledger::Ledger::open(*nearest, {.create = false}));
  RETORT_TRY_VOID(its_own->verify());
  return check_usable(*its_own, path, use);
}

}  // namespace retort::lineage
