#include "pipeline/permission.h"

#include "base/clock.h"
#include "base/files.h"
#include "collect/wire.h"
#include "corpus/door.h"
#include "pipeline/run.h"
#include "terms/reading.h"
#include "train/objective.h"

namespace retort::pipeline {

std::vector<std::string> terms_paths(const RunOptions& options) {
  std::vector<std::string> paths;
  for (const auto* list : {&options.teacher.terms, &options.collect.prompt_terms,
                           &options.own_terms, &options.student_terms}) {
    paths.insert(paths.end(), list->begin(), list->end());
  }
  return paths;
}

Result<terms::TermsSet> terms_of(const RunOptions& options) {
  return terms::load_terms_set(terms_paths(options));
}

collect::Teacher teacher_of(const RunOptions& options) {
  collect::Teacher teacher = options.teacher;
  if (!options.serve.empty()) {
    teacher.base_url = "http://127.0.0.1:1/v1";
    teacher.raw_logprobs = true;
  }
  return teacher;
}

namespace {

Result<void> add_references(std::vector<terms::Reference>& out,
                            const std::vector<std::string>& paths, terms::Object object) {
  for (const auto& path : paths) {
    RETORT_TRY(const auto terms, terms::load_terms(path));
    out.push_back({terms.id, object});
  }
  return {};
}

}  // namespace

namespace {

Result<PlannedUse> teachers_answers(const RunOptions& options) {
  corpus::Record record;
  record.door = collect::door_of(teacher_of(options));
  record.model = options.teacher.model;
  record.model_answered = options.teacher.model;
  record.captured_ms = base::system_clock().wall_ms();
  if (options.collect.top_logprobs > 0) record.features = corpus::kLogprobs;
  RETORT_TRY_VOID(add_references(record.terms, options.teacher.terms, terms::Object::outputs));
  RETORT_TRY_VOID(add_references(record.terms, options.collect.prompt_terms, terms::Object::texts));
  return PlannedUse{options.teacher.model, corpus::facts_of(record).at(0)};
}

// Of the student's own answers, while it learns.
Result<PlannedUse> teachers_scores(const RunOptions& options) {
  corpus::Record record;
  record.door = corpus::door_at(options.teacher.base_url, kScoringRoute);
  record.model = options.teacher.model;
  record.model_answered = options.teacher.model;
  record.captured_ms = base::system_clock().wall_ms();
  record.features = corpus::kLogprobs;
  RETORT_TRY_VOID(add_references(record.terms, options.teacher.terms, terms::Object::outputs));
  return PlannedUse{options.teacher.model + " on the student's answers",
                    corpus::facts_of(record).at(0)};
}

Result<PlannedUse> own_data(const RunOptions& options) {
  corpus::Record record;
  record.kind = corpus::Kind::human;
  record.captured_ms = base::system_clock().wall_ms();
  RETORT_TRY_VOID(add_references(record.terms, options.own_terms, terms::Object::texts));
  return PlannedUse{"your own data", corpus::facts_of(record).at(0)};
}

Result<PlannedUse> base_weights(const RunOptions& options) {
  PlannedUse use{"the weights of " + options.student.from, {}};
  use.facts.object = terms::Object::weights;
  use.facts.captured_ms = base::system_clock().wall_ms();
  if (!options.student_model.empty()) use.facts.models.push_back(options.student_model);
  RETORT_TRY_VOID(add_references(use.facts.terms, options.student_terms, terms::Object::weights));
  return use;
}

}  // namespace

Result<std::vector<PlannedUse>> planned_uses(const RunOptions& options) {
  std::vector<PlannedUse> uses;
  const auto add = [&uses](Result<PlannedUse> use) -> Result<void> {
    if (!use) return use.error();
    uses.push_back(std::move(*use));
    return {};
  };
  if (asks_for_answers(options) || !options.serve.empty()) {
    RETORT_TRY_VOID(add(teachers_answers(options)));
  }
  if (train::asks_door(options.train)) RETORT_TRY_VOID(add(teachers_scores(options)));
  if (!options.own_data.empty()) RETORT_TRY_VOID(add(own_data(options)));
  if (options.student.from != "scratch") RETORT_TRY_VOID(add(base_weights(options)));
  return uses;
}

namespace {

terms::Verdict verdict_without_log(const terms::Facts& facts, const terms::TermsSet& terms,
                                   const terms::Purpose& purpose) {
  terms::Verdict all;
  for (const auto action : purpose.actions) {
    if (!corpus::asks_about(facts.object, action)) continue;
    all = terms::meet(std::move(all), terms::evaluate(facts, terms, purpose, action));
  }
  return all;
}

}  // namespace

Result<PlannedVerdicts> plan_verdicts(const RunOptions& options) {
  RETORT_TRY(const auto purpose, to_purpose(options.purpose));
  RETORT_TRY(const auto uses, planned_uses(options));
  RETORT_TRY(auto deciders, terms::load_deciders(options.purpose.deciders));
  PlannedVerdicts out;
  RETORT_TRY(out.terms, terms_of(options));
  const auto log = ledger::Ledger::open(ledger_folder(options), {.create = false});
  if (log) {
    const corpus::Clearance clearance(**log, std::move(out.terms), purpose, nullptr,
                                      std::move(deciders));
    for (const auto& use : uses) out.verdicts.push_back({use, clearance.preview(use.facts)});
    out.terms = clearance.known_terms();
    return out;
  }
  if (log.error().code != ErrorCode::not_found) return log.error();
  out.terms.for_each([&](terms::Terms& one) { terms::check_signature(one, deciders); });
  for (const auto& use : uses) {
    out.verdicts.push_back({use, verdict_without_log(use.facts, out.terms, purpose)});
  }
  return out;
}

Result<std::string> draft_declaration(const RunOptions& options, terms::DeclarationDraft draft) {
  RETORT_TRY(const auto planned, plan_verdicts(options));
  draft.model_id = options.purpose.model_id;
  std::vector<const terms::Terms*> asking;
  for (const auto& [use, verdict] : planned.verdicts) {
    for (const auto& finding : verdict.findings) {
      if (finding.decision != terms::Decision::needs_declaration) continue;
      const auto* terms = planned.terms.find(finding.terms_id);
      if (terms != nullptr) asking.push_back(terms);
    }
  }
  return terms::draft_declaration(draft, asking);
}

Result<Permission> Permission::open(const RunOptions& options, const std::string& ledger_folder) {
  RETORT_TRY(auto terms, terms_of(options));
  RETORT_TRY(auto purpose, to_purpose(options.purpose));
  RETORT_TRY(auto deciders, terms::load_deciders(options.purpose.deciders));
  Permission permission;
  RETORT_TRY(permission.log, ledger::Ledger::open(ledger_folder));
  permission.clearance = std::make_unique<corpus::Clearance>(
      *permission.log, std::move(terms), std::move(purpose), nullptr, std::move(deciders));
  return permission;
}

Result<void> Permission::write(const std::string& out) const {
  RETORT_TRY_VOID(base::make_directories(base::join(out, "summary")));
  return clearance->write_permission(base::join(out, "summary/permission.json"));
}

}  // namespace retort::pipeline
