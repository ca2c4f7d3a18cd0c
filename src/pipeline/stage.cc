#include "pipeline/stage.h"

#include <fmt/core.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "pipeline/run_file.h"

namespace retort::pipeline {
namespace {

Result<std::map<std::string, std::string>> digests(const RunContext& context,
                                                   const std::vector<std::string>& names) {
  std::map<std::string, std::string> out;
  for (const auto& name : names) {
    RETORT_TRY(out[name], digest_of(context.path(name)));
  }
  return out;
}

Result<std::string> stage_fingerprint(RunContext& context, const Stage& stage,
                                      const std::map<std::string, std::string>& inputs) {
  const base::Options table = describe(context.options);
  std::vector<std::pair<std::string, std::string>> parts{{"stage", stage.name}};
  for (const auto& name : stage.tables) parts.emplace_back("[" + name + "]", to_toml(table, name));
  for (const auto& [name, digest] : inputs) parts.emplace_back(name, digest);
  RETORT_TRY(const auto files, option_file_digests(context.options, stage.name));
  parts.insert(parts.end(), files.begin(), files.end());
  if (stage.depends_on) {
    RETORT_TRY(const auto more, stage.depends_on(context));
    if (!more.empty()) parts.emplace_back("depends on", more);
  }
  return fingerprint(parts);
}

// Notes what begins now. When something else had begun, that is forgotten first: its half-done work
// belongs to other options.
Result<void> begin(RunContext& context, const Stage& stage, const std::string& wanted) {
  const std::string path = context.path("summary/" + stage.name + ".begun");
  const auto before = base::read_file(path, 256);
  if (before && *before == wanted) return {};
  if (before && stage.forget) {
    base::log_info("{}: options or inputs changed; it begins anew", stage.name);
    RETORT_TRY_VOID(stage.forget(context));
  }
  RETORT_TRY_VOID(base::make_directories(context.path("summary")));
  return base::write_file_atomic(path, wanted);
}

// Options may choose among a stage's outputs; what is there counts, and one must be.
Result<std::map<std::string, std::string>> written(const RunContext& context, const Stage& stage) {
  std::vector<std::string> there;
  for (const auto& name : stage.outputs) {
    if (base::exists(context.path(name))) there.push_back(name);
  }
  return digests(context, there.empty() ? stage.outputs : there);
}

bool outputs_unchanged(const RunContext& context, const Summary& summary) {
  for (const auto& [name, digest] : summary.outputs) {
    const auto now = digest_of(context.path(name));
    if (!now || *now != digest) {
      base::log_warning("{} changed since it was written; its stage runs again",
                        context.path(name));
      return false;
    }
  }
  return true;
}

}  // namespace

std::string RunContext::path(const std::string& name) const {
  return base::join(options.out, name);
}

Result<Summary> run_stage(RunContext& context, const Stage& stage) {
  if (base::cancelled()) return base::cancelled_error(stage.name.c_str());
  auto inputs = digests(context, stage.inputs);
  if (!inputs) {
    Error error = inputs.error();
    error.message = fmt::format("the stage {} needs what an earlier stage writes: {}", stage.name,
                                error.message);
    error.hint = "retort run FILE runs all stages in order";
    return error;
  }
  RETORT_TRY(const auto wanted, stage_fingerprint(context, stage, *inputs));
  const auto present = read_summary(context.options.out, stage.name);
  if (present && present->fingerprint == wanted && outputs_unchanged(context, *present)) {
    if (stage.check) RETORT_TRY_VOID(stage.check(context));
    base::log_info("{}: done before, nothing changed", stage.name);
    return *present;
  }

  RETORT_TRY_VOID(begin(context, stage, wanted));
  Summary summary;
  summary.stage = stage.name;
  summary.fingerprint = wanted;
  summary.inputs = std::move(*inputs);
  summary.started_ms = base::system_clock().wall_ms();
  const double started_s = base::monotonic_seconds();
  RETORT_TRY_VOID(stage.run(context, summary));
  summary.seconds += base::monotonic_seconds() - started_s;
  summary.finished_ms = base::system_clock().wall_ms();
  RETORT_TRY(summary.outputs, written(context, stage));
  RETORT_TRY_VOID(write_summary(context.options.out, summary));
  return summary;
}

}  // namespace retort::pipeline
