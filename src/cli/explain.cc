// `retort terms explain`: what binds a run, a record or a model, since when, by which clause, and
// what would change the verdict.
#include <fmt/core.h>

#include <charconv>
#include <cstdio>

#include "base/clock.h"
#include "base/files.h"
#include "cli/open_ledger.h"
#include "cli/terms_verbs.h"
#include "corpus/clearance.h"
#include "corpus/declarations.h"
#include "corpus/facts.h"
#include "ledger/ledger.h"
#include "lineage/manifest.h"
#include "pipeline/permission.h"
#include "pipeline/run.h"
#include "terms/explain.h"

namespace retort::cli {
namespace {

struct Background {
  terms::TermsSet terms;
  terms::Purpose purpose;
  std::vector<terms::Declaration> declarations;
};

void put(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

void explain_use(const corpus::LoggedUse& use, const Background& of) {
  const std::string from = base::iso_date(use.facts.captured_ms);
  const std::string to = base::iso_date(use.until_ms);
  put(fmt::format("{}, {}\n", use.label, from == to ? from : fmt::format("{} to {}", from, to)));
  put(terms::explain_binding(use.facts, of.terms, of.purpose.actions));
  for (const auto action : of.purpose.actions) {
    if (!corpus::asks_about(use.facts.object, action)) continue;
    put(terms::explain_verdict({use.facts, of.terms, of.purpose, action, of.declarations}));
  }
  put("\n");
}

void explain_all(const std::vector<corpus::LoggedUse>& uses, const Background& of) {
  for (const auto& use : uses) explain_use(use, of);
  put("This compares what readers wrote down of the terms; it is not legal advice.\n");
}

Result<std::vector<terms::Declaration>> declarations_in(ledger::Ledger& log,
                                                        const terms::Deciders& deciders) {
  RETORT_TRY(const auto logged,
             corpus::read_declarations(log, deciders, base::system_clock().wall_ms()));
  std::vector<terms::Declaration> out;
  for (const auto& one : logged) out.push_back(one.declaration);
  return out;
}

Result<void> explain_run(const std::string& file) {
  RETORT_TRY(const auto run, pipeline::load_run({.path = file}));
  RETORT_TRY(auto planned, pipeline::plan_verdicts(run));
  Background of;
  RETORT_TRY(of.purpose, pipeline::to_purpose(run.purpose));
  of.terms = std::move(planned.terms);
  const auto log = ledger::Ledger::open(pipeline::ledger_folder(run), {.create = false});
  if (log) {
    RETORT_TRY(const auto deciders, terms::load_deciders(run.purpose.deciders));
    RETORT_TRY(of.declarations, declarations_in(**log, deciders));
  }
  std::vector<corpus::LoggedUse> uses;
  for (const auto& planned_use : planned.verdicts) {
    corpus::LoggedUse use;
    use.label = planned_use.use.label;
    use.facts = planned_use.use.facts;
    use.until_ms = use.facts.captured_ms;
    uses.push_back(std::move(use));
  }
  explain_all(uses, of);
  return {};
}

// "SHARD:ROW" to its row; -1 where it is no such name.
int64_t row_of(const std::string& target, std::string& shard) {
  const size_t colon = target.rfind(':');
  if (colon == std::string::npos) return -1;
  int64_t row = -1;
  const char* end = target.data() + target.size();
  const auto [stop, code] = std::from_chars(target.data() + colon + 1, end, row);
  if (code != std::errc() || stop != end) return -1;
  shard = target.substr(0, colon);
  return row;
}

// A record was gathered for no model yet: each action is asked about for one that stays in the
// house.
Result<void> explain_record(const TermsArguments& arguments, const std::string& shard,
                            int64_t row) {
  RETORT_TRY(auto log, open_ledger(arguments.ledger));
  RETORT_TRY(const auto deciders, terms::load_deciders(arguments.deciders));
  Background of;
  RETORT_TRY(of.terms, corpus::logged_terms(*log, deciders));
  of.purpose = {.actions = terms::all_actions(), .model_id = "any model"};
  RETORT_TRY(const auto uses, corpus::uses_of_record(*log, shard, row));
  explain_all(uses, of);
  return {};
}

corpus::LoggedUse base_weights(const lineage::RunManifest& run) {
  corpus::LoggedUse use;
  use.label = "the weights of " + run.base->model;
  use.facts.object = terms::Object::weights;
  use.facts.models.push_back(run.base->model);
  use.facts.captured_ms = use.until_ms = run.time_ms;
  for (const auto& id : run.base->terms) {
    use.facts.terms.push_back({id, terms::Object::weights});
  }
  return use;
}

Result<void> explain_model(const TermsArguments& arguments, const std::string& model) {
  RETORT_TRY(const auto digest, lineage::logged_digest(model));
  RETORT_TRY(auto log, open_ledger_of(arguments.ledger, model, digest));
  RETORT_TRY(const auto entry, lineage::find_model(*log, digest));
  if (entry.run < 0) {
    return base::not_found("no run of this log made this model", model,
                           "name its log with --ledger");
  }
  RETORT_TRY(const auto run, lineage::find_run(*log, entry.run));
  RETORT_TRY(const auto deciders, terms::load_deciders(arguments.deciders));
  Background of;
  RETORT_TRY(of.terms, corpus::logged_terms(*log, deciders));
  RETORT_TRY(of.purpose,
             corpus::purpose_from_json(run.purpose, fmt::format("entry {}", run.entry)));
  RETORT_TRY(of.declarations, declarations_in(*log, deciders));
  RETORT_TRY(auto uses, corpus::uses_of_shards(*log, run.shards));
  if (run.base) uses.push_back(base_weights(run));
  put(fmt::format("{}, of the run of entry {} ({})\n\n", run.model_id, run.entry,
                  base::iso_date(run.time_ms)));
  explain_all(uses, of);
  return {};
}

}  // namespace

Result<void> explain(const TermsArguments& arguments) {
  if (arguments.files.size() != 1) {
    return base::usage_error("explain takes one run file, model or SHARD:ROW", "FILE");
  }
  const std::string& target = arguments.files[0];
  if (target.ends_with(".toml")) return explain_run(target);
  std::string shard;
  const int64_t row = row_of(target, shard);
  if (row >= 0 && !base::exists(target)) return explain_record(arguments, shard, row);
  return explain_model(arguments, target);
}

}  // namespace retort::cli
