// Writing the student out.
#include "base/files.h"
#include "lineage/state.h"
#include "pipeline/adapters.h"
#include "pipeline/licence_texts.h"
#include "pipeline/lineage_entries.h"
#include "pipeline/stages_internal.h"
#include "release/export.h"

namespace retort::pipeline {
namespace {

release::ModelFacts facts_of(const RunContext& context) {
  release::ModelFacts facts;
  facts.teacher = context.options.teacher.model;
  facts.program = "retort " RETORT_VERSION;
  facts.command = context.command;
  for (const char* stage : {"curate", "train"}) {
    const auto summary = read_summary(context.options.out, stage);
    if (!summary) continue;
    for (const auto& [name, value] : summary->counts) {
      if (name == "train" || name == "parameters" || name == "tokens") {
        facts.counts.emplace_back(name == "train" ? "records learnt from" : name,
                                  static_cast<int64_t>(value));
      }
    }
  }
  if (const auto evaluated = read_summary(context.options.out, "evaluate")) {
    facts.notes = evaluated->notes;
  }
  return facts;
}

Result<void> add_terms_facts(const RunContext& context, release::ModelFacts& facts,
                             int64_t records) {
  RETORT_TRY(const auto all, terms_of(context.options));
  for (const auto* terms : all.all()) {
    release::TermsFact fact;
    fact.series = terms->series;
    fact.version = terms->version;
    fact.id = terms->id;
    fact.basis = terms::name(terms->basis);
    fact.reader = terms->reader;
    fact.source_url = terms->url;
    for (const auto& rule : terms->rules) {
      if (rule.action == terms::Action::train_generative) fact.clause = rule.text;
    }
    fact.records = records;
    facts.terms.push_back(std::move(fact));
  }
  return {};
}

// A model owes what its records ask for, and what the weights ask for that it started from.
Result<corpus::ExportPermit> permit_export(const RunContext& context,
                                           corpus::Clearance& clearance) {
  const auto learnt_from = selection(context, "train", "export");
  RETORT_TRY(const auto base_weights, clear_base_weights(context, clearance));
  if (!base_weights) return clearance.permit_export(learnt_from);
  return clearance.permit_export(learnt_from, *base_weights, context.options.student_terms);
}

}  // namespace

// Also where everything is exported already: who asks for it is to hear that it may not be used.
Result<void> check_student(RunContext& context) {
  const std::string trained = context.path("train/final");
  if (!base::exists(trained)) return {};
  RETORT_TRY(const auto log, ledger::Ledger::open(context.ledger));
  return lineage::check_usable(*log, trained, "export");
}

Result<void> run_export(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY_VOID(check_student(context));
  RETORT_TRY(const auto permit, permit_export(context, *permission.clearance));
  RETORT_TRY_VOID(permission.write(context.options.out));
  RETORT_TRY(const auto tokenizer, student_tokenizer(context));
  RETORT_TRY(const auto checkpoint, logged_checkpoint(context, *permission.log));
  RETORT_TRY(const auto student, load_student(context.path("train/final")));
  RETORT_TRY(const auto adapter,
             load_student_adapter(context.path("train/final"), student.config()));
  RETORT_TRY(auto texts, licence_texts(context.options, permit.duties()));
  RETORT_TRY(const auto apart, load_part_adapters(context, *permission.log, student.config()));
  release::ModelFacts facts = facts_of(context);
  RETORT_TRY_VOID(add_terms_facts(context, facts, permit.permit().records));
  std::vector<release::AdapterOut> adapters = exported_adapters(apart, facts);
  if (adapter) adapters.push_back({.folder = "adapter", .adapter = &*adapter});
  release::ExportInput input{.weights = student,
                             .adapters = std::move(adapters),
                             .base_name = base_name(context),
                             .tokenizer = tokenizer,
                             .out_folder = context.options.out,
                             .options = context.options.exporting,
                             .facts = std::move(facts),
                             .licence_texts = std::move(texts),
                             .questions = {},
                             .on_written = nullptr,
                             .before_publish = [&](const std::string& folder) -> Result<void> {
                               RETORT_TRY_VOID(log_exported(checkpoint, *permission.log, folder));
                               return log_exported_adapters(apart, *permission.log, folder);
                             }};
  RETORT_TRY(const auto report, release::export_model(permit, input));
  RETORT_TRY_VOID(remove_other_adapters(context, apart));
  count(summary, "bytes", report.size_bytes);
  count(summary, "checks", static_cast<int64_t>(report.checks.size()));
  for (const auto& check : report.checks) summary.notes.push_back(release::sentence(check));
  for (const auto& duty : report.duties) summary.notes.push_back(duty);
  return {};
}

}  // namespace retort::pipeline
