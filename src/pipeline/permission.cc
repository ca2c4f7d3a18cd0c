#include "pipeline/permission.h"

#include "base/clock.h"
#include "base/files.h"
#include "collect/wire.h"

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

Result<corpus::Origin> teacher_origin(const RunOptions& options) {
  corpus::Origin origin;
  origin.kind = corpus::Kind::teacher;
  origin.door = collect::door_of(teacher_of(options));
  origin.model = options.teacher.model;
  origin.model_answered = options.teacher.model;
  origin.captured_ms = base::system_clock().wall_ms();
  if (options.collect.top_logprobs > 0) origin.features = corpus::kLogprobs;
  RETORT_TRY_VOID(add_references(origin.terms, options.teacher.terms, terms::Object::outputs));
  RETORT_TRY_VOID(add_references(origin.terms, options.collect.prompt_terms, terms::Object::texts));
  return origin;
}

Result<corpus::Origin> own_origin(const RunOptions& options) {
  corpus::Origin origin;
  origin.kind = corpus::Kind::human;
  origin.captured_ms = base::system_clock().wall_ms();
  RETORT_TRY_VOID(add_references(origin.terms, options.own_terms, terms::Object::texts));
  return origin;
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
