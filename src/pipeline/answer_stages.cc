// Gathering the teacher's answers and curating them.
#include <fmt/core.h>

#include <optional>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "collect/collect.h"
#include "corpus/shard.h"
#include "curate/curate.h"
#include "pipeline/adapters.h"
#include "pipeline/child.h"
#include "pipeline/isolation.h"
#include "pipeline/lineage_entries.h"
#include "pipeline/stages_internal.h"

namespace retort::pipeline {
namespace {

constexpr int64_t kLogprobsServed = 20;  // as a server offers them by itself

// The teacher of this run as a child process; its port goes into `teacher`.
Result<Child> start_teacher(const RunContext& context, collect::Teacher& teacher) {
  if (!base::exists(context.options.serve)) {
    return base::bad_input("the teacher's file is not there", context.options.serve,
                           "put it there; ./dev quickstart fetches that of the example");
  }
  const std::string folder = context.path("teacher");
  RETORT_TRY_VOID(base::make_directories(folder));
  const std::string ready = base::join(folder, "port");
  base::log_info("serving {} on loopback for this run", context.options.serve);
  Child::Start start;
  start.arguments = {
      own_program(), "serve", "--model", context.options.serve, "--model-id", teacher.model,
      "--port", "0", "--port-file", ready, "--max-batch",
      std::to_string(context.options.serve_batch),
      // A key in the environment is for the user's own door, not for this one.
      "--api-key", "", "--max-logprobs",
      std::to_string(std::max(context.options.collect.top_logprobs, kLogprobsServed))};
  start.log_path = base::join(folder, "serve.log");
  start.ready_path = ready;
  RETORT_TRY(auto child, Child::start(start));
  teacher.base_url = fmt::format("http://127.0.0.1:{}/v1", child.port());
  return child;
}

Result<void> import_own_data(RunContext& context, Permission& permission, Summary& summary) {
  RETORT_TRY(const auto sealed, corpus::import_jsonl(context.options.own_data, *permission.log,
                                                     {.terms = context.options.own_terms,
                                                      .seal = {.folder = context.path("shards")}}));
  count(summary, "imported", sealed.records + sealed.already);
  return {};
}

Result<void> ask_teacher(RunContext& context, Permission& permission, Summary& summary) {
  const std::string database = context.path("corpus.db");
  collect::Teacher teacher = teacher_of(context.options);
  RETORT_TRY(const auto expected, collect::estimate(teacher, context.options.collect, database, 0));
  RETORT_TRY_VOID(log_served(context, *permission.log));
  // A finished collection needs no teacher: starting one would cost seconds for nothing.
  std::optional<Child> child;
  if (expected.done < expected.requests) {
    RETORT_TRY(const auto uses, planned_uses(context.options));
    RETORT_TRY_VOID(permission.clearance->refuse_withdrawn(uses.at(0).facts));
    if (!context.options.serve.empty()) {
      RETORT_TRY(auto started, start_teacher(context, teacher));
      child.emplace(std::move(started));
    }
  }
  RETORT_TRY(const auto gathered, collect::collect(teacher, context.options.collect,
                                                   {.database = database,
                                                    .shards = context.path("shards"),
                                                    .principal = "retort run"},
                                                   *permission.log));
  count(summary, "planned", gathered.planned);
  count(summary, "done", gathered.done);
  count(summary, "failed", gathered.failed);
  count(summary, "requests", gathered.requests);
  count(summary, "retries", gathered.retries);
  count(summary, "resent", gathered.resent);
  count(summary, "prompt_tokens", gathered.spend.prompt_tokens);
  count(summary, "completion_tokens", gathered.spend.completion_tokens);
  count(summary, "cost_microusd", gathered.spend.cost_micros);
  for (const auto& [reason, times] : gathered.finish_reasons) {
    count(summary, "finish." + reason, times);
  }
  summary.notes = gathered.notes;
  return {};
}

// A database may hold answers to an earlier version of the run file; only what is asked for now
// counts. Own data is wanted whole.
Result<std::optional<std::set<std::string>>> wanted_keys(const RunOptions& options) {
  if (!options.own_data.empty()) return std::optional<std::set<std::string>>{};
  RETORT_TRY(auto keys, collect::planned_keys(teacher_of(options), options.collect));
  return std::optional(std::move(keys));
}

}  // namespace

Result<void> run_collect(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  if (!context.options.own_data.empty()) {
    RETORT_TRY_VOID(import_own_data(context, permission, summary));
  }
  if (!asks_for_answers(context.options)) return {};
  return ask_teacher(context, permission, summary);
}

Result<std::string> curation_basis(RunContext& context) {
  RETORT_TRY(const auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY(const std::string withdrawn,
             permission.clearance->withdrawn_of(
                 {.folder = context.path("shards"), .split = "", .path_label = "curate"}));
  RETORT_TRY(const std::string isolation, isolation_of(context));
  return withdrawn + isolation;
}

Result<void> run_curate(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY(const auto wanted, wanted_keys(context.options));
  const auto curated =
      curate::curate(*permission.clearance, *permission.log, context.options.curate,
                     {.shards = context.path("shards"), .curated = context.path("curated")},
                     {.keys = wanted ? &*wanted : nullptr,
                      .part_of = parts_of(context, *permission.clearance),
                      .parts = has_adapters_apart(context.options) ? curate::Parts::apart
                                                                   : curate::Parts::in_order});
  RETORT_TRY_VOID(permission.write(context.options.out));
  if (!curated) return curated.error();
  count(summary, "records", curated->records);
  count(summary, "train", curated->train);
  count(summary, "held_out", curated->held_out);
  summary.notes = curated->notes;
  return {};
}

}  // namespace retort::pipeline
