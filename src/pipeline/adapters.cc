#include "pipeline/adapters.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/files.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "lineage/state.h"
#include "pipeline/isolation.h"
#include "pipeline/lineage_entries.h"
#include "pipeline/machine.h"
#include "pipeline/student_inputs.h"
#include "tokenizer/chat.h"
#include "train/remedy.h"
#include "train/start.h"

namespace retort::pipeline {
namespace {

using corpus::Cleared;
using terms::Evaluate;
using terms::TrainGenerative;

constexpr const char* kTraining = "train/adapters";
constexpr const char* kPublished = "adapters";
constexpr size_t kDigits = 8;

std::string final_of(const std::string& folder) {
  return base::join(folder, "final");
}

// "own-work-1-0123abcd": series and versions for people, digits of the ids against likeness.
std::string name_of(const corpus::TermsPart& part) {
  std::string words;
  for (const char c : part.label) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || c == '.' || c == '_') {
      words += c;
    } else if (!words.empty() && words.back() != '-') {
      words += '-';
    }
  }
  constexpr size_t kLongest = 80;
  words.resize(std::min(words.size(), kLongest));
  std::string ids;
  for (const auto& id : part.ids) ids += id + "\n";
  return words + "-" + crypto::sha256_hex(ids).substr(0, kDigits);
}

struct Part {
  corpus::TermsPart terms;
  std::string name;
  Cleared<TrainGenerative> data;
  Cleared<Evaluate> held_out;
};

// The clearance went by shards; whether they hold nothing else is asked of the records.
template <class ActionTag>
Result<void> check_pure(const Cleared<ActionTag>& records, const corpus::TermsPart& part,
                        const corpus::TermsPartOf& part_of) {
  for (const corpus::Record& record : records.records()) {
    if (part_of(record).order == part.order) continue;
    return base::bad_input("a record is under other terms than its shard", record.key,
                           "remove OUT/curated and curate again");
  }
  return {};
}

Result<std::vector<Part>> clear_parts(const RunContext& context, Permission& permission,
                                      const corpus::TermsPartOf& part_of) {
  auto& clearance = *permission.clearance;
  const bool recorded = train::reads_recorded(context.options.train);
  RETORT_TRY(const auto shards, corpus::shards_by_part(*permission.log, context.path("curated"),
                                                       clearance.known_terms()));
  std::vector<Part> out;
  for (const auto& one : shards) {
    auto learnt = selection(context, "train", "optimizer", recorded);
    auto measured = selection(context, "held_out", "held-out loss", recorded);
    learnt.path_label += " of " + one.part.label;
    measured.path_label += " of " + one.part.label;
    learnt.shards = measured.shards = one.shards;
    RETORT_TRY(auto data, clearance.clear<TrainGenerative>(learnt));
    if (data.size() == 0) continue;
    RETORT_TRY(auto held_out, clearance.clear<Evaluate>(measured));
    RETORT_TRY_VOID(check_pure(data, one.part, part_of));
    RETORT_TRY_VOID(check_pure(held_out, one.part, part_of));
    out.push_back({one.part, name_of(one.part), std::move(data), std::move(held_out)});
  }
  if (!out.empty()) return out;
  return base::bad_input("there is nothing to train on: no record is left", context.path("curated"),
                         "see what curation dropped");
}

// What a set of terms would cost, both ways, while it can still be chosen otherwise.
Result<void> tell_costs(const train::FitInput& whole, const std::vector<Part>& parts) {
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*whole.tokenizer));
  const auto& options = whole.options;
  std::vector<train::PartSize> sizes;
  for (const Part& part : parts) {
    train::ExampleBuilder builder(*whole.tokenizer, format, options.batch_tokens);
    for (const corpus::Record& record : part.data.records()) {
      dialog::Messages messages = record.messages;
      messages.push_back({dialog::Role::assistant, record.answer});
      RETORT_TRY_VOID(builder.add(record.key, messages));
    }
    const auto examples = builder.take();
    sizes.push_back(
        {part.terms.label, std::ssize(examples.rows), examples.tokens() * options.epochs});
  }
  for (const auto& line : train::tell_apart(train::remedies(sizes))) base::log_info("{}", line);
  return {};
}

// Of a folder's entries those that are named as none of `kept` is.
template <class Named>
Result<void> remove_others(const std::string& folder, const std::vector<Named>& kept) {
  if (!base::exists(folder)) return {};
  RETORT_TRY(const auto names, base::list_directory(folder));
  for (const auto& name : names) {
    if (std::ranges::find(kept, name, &Named::name) != kept.end()) continue;
    RETORT_TRY_VOID(base::remove_all(base::join(folder, name)));
  }
  return {};
}

struct Learnt {
  std::string name;
  model::Adapter adapter;
  int64_t records = 0;
  lineage::ModelEntry entry;
};

class Apart {
 public:
  Apart(RunContext& context, ledger::Ledger& log, const train::FitInput& whole, Summary& summary)
      : context_(context), log_(log), whole_(whole), summary_(summary) {}

  Result<Learnt> train(const Part& part) {
    const std::string folder = base::join(context_.path(kTraining), part.name);
    base::log_info("the adapter {}", part.name);
    const train::FitInput input{.data = part.data,
                                .held_out = part.held_out.size() > 0 ? &part.held_out : nullptr,
                                .teacher = whole_.teacher,
                                .door = whole_.door,
                                .api_key_env = whole_.api_key_env,
                                .scores = whole_.scores,
                                .base_weights = whole_.base_weights,
                                .tokenizer = whole_.tokenizer,
                                .kept_tokens = {},
                                .options = whole_.options,
                                .student = whole_.student,
                                .part_of = whole_.part_of,
                                .folder = folder};
    RETORT_TRY(const auto run, log_run(context_, log_,
                                       {.data = input.data,
                                        .held_out = input.held_out,
                                        .base = input.base_weights,
                                        .teacher = input.teacher,
                                        .door = input.door,
                                        .isolated = isolated_json(part.data, input.part_of)}));
    RETORT_TRY(auto trained, train::fit(input, run));
    const std::string writing = final_of(folder) + ".writing";
    RETORT_TRY_VOID(base::remove_all(writing));
    RETORT_TRY_VOID(model::save_adapter(*trained.adapter, writing, base_name(context_)));
    RETORT_TRY_VOID(base::publish_directory(writing, final_of(folder)));
    lineage::ModelInput model{.path = final_of(folder),
                              .model_id = run.manifest().model_id,
                              .form = "adapter",
                              .run = run.manifest().entry,
                              .made_from = {}};
    if (input.base_weights != nullptr) model.made_from.push_back(input.base_weights->digest());
    if (input.teacher != nullptr) model.made_from.push_back(input.teacher->digest());
    RETORT_TRY(auto entry, lineage::log_model(log_, model));
    add(trained);
    return Learnt{part.name, std::move(*trained.adapter), trained.records, std::move(entry)};
  }

  void count_all(const model::Config& config, size_t adapters) {
    count(summary_, "parameters", config.parameters());
    count(summary_, "adapters", static_cast<int64_t>(adapters));
    count(summary_, "adapter_parameters", adapter_parameters_);
    count(summary_, "records", records_);
    count(summary_, "too_long", too_long_);
    count(summary_, "steps", steps_);
    if (resumed_step_ > 0) count(summary_, "resumed_step", resumed_step_);
    count(summary_, "epochs", context_.options.train.epochs);
    count(summary_, "tokens", tokens_);
    const auto records = static_cast<double>(std::max<int64_t>(records_, 1));
    count(summary_, "first_loss", first_loss_ / records);
    count(summary_, "loss", loss_ / records);
    count(summary_, "tokens_per_second",
          seconds_ > 0 ? static_cast<double>(tokens_) / seconds_ : 0);
    count(summary_, "limit_tokens_per_second",
          limit_known_ && limit_seconds_ > 0 ? static_cast<double>(tokens_) / limit_seconds_ : 0);
    count(summary_, "refused_steps", refused_steps_);
    count(summary_, "training_seconds", seconds_);
    count(summary_, "peak_memory_bytes", peak_memory_bytes());
  }

 private:
  void add(const train::Outcome& trained) {
    adapter_parameters_ += static_cast<int64_t>(trained.adapter->block().size());
    records_ += trained.records;
    too_long_ += trained.too_long;
    steps_ += trained.state.step;
    resumed_step_ += std::max<int64_t>(trained.resumed_step, 0);
    tokens_ += trained.state.tokens;
    seconds_ += trained.state.seconds;
    // Of both losses each record has its adapter's.
    first_loss_ += trained.state.first_loss * static_cast<double>(trained.records);
    loss_ += trained.state.last_loss * static_cast<double>(trained.records);
    refused_steps_ += trained.refused_steps;
    // Not known of one that was done already; then it is of none of them together.
    limit_known_ = limit_known_ && trained.limit_tokens_per_second > 0;
    if (limit_known_) {
      limit_seconds_ += static_cast<double>(trained.state.tokens) / trained.limit_tokens_per_second;
    }
  }

  RunContext& context_;
  ledger::Ledger& log_;
  const train::FitInput& whole_;
  Summary& summary_;
  int64_t adapter_parameters_ = 0, records_ = 0, too_long_ = 0, steps_ = 0, resumed_step_ = 0;
  int64_t tokens_ = 0, refused_steps_ = 0;
  double seconds_ = 0, first_loss_ = 0, loss_ = 0;
  double limit_seconds_ = 0;  // what the tokens take at their adapters' limits
  bool limit_known_ = true;
};

// weights += share of the adapter's change.
void merge_share(model::Weights& weights, const model::Adapter& adapter, double share) {
  model::Adapter part = adapter;
  for (int64_t layer = 0; layer < part.base().layers; ++layer) {
    for (const auto projection : part.lora().targets) {
      const model::LowRank at = part.at(layer, projection);
      for (float& value : part.block().subspan(static_cast<size_t>(at.b_offset), at.b.size())) {
        value *= static_cast<float>(share);
      }
    }
  }
  model::merge(weights, part);
}

// How many of its records were under each of the terms; none for those of weights and teachers.
std::map<std::string, int64_t> records_by_terms(const lineage::RunManifest& run) {
  std::map<std::string, int64_t> out;
  for (const auto& share : run.by_terms) {
    for (const auto& id : share.terms) out[id] += share.records;
  }
  if (run.base) {
    for (const auto& id : run.base->terms) out.try_emplace(id, 0);
  }
  for (const auto& asked : run.asked) {
    for (const auto& id : asked.terms) out.try_emplace(id, 0);
  }
  for (const auto& one : run.teachers) {
    for (const auto& id : one.terms) out.try_emplace(id, 0);
  }
  return out;
}

// Own texts come through no door that has an address.
Result<bool> learnt_of_a_teacher(ledger::Ledger& log, const lineage::RunManifest& run) {
  if (!run.teachers.empty() || !run.asked.empty()) return true;
  for (const auto& share : run.by_door) {
    RETORT_TRY(const auto door, log.entry(share.door));
    RETORT_TRY(const auto endpoint, door.body.string_at("endpoint", ""));
    if (!endpoint.empty()) return true;
  }
  return false;
}

release::AdapterPart part_facts(const PartAdapter& one, const release::ModelFacts& facts) {
  release::AdapterPart part;
  const auto records = records_by_terms(one.run);
  for (const auto& [id, count] : records) part.terms_ids.push_back(id);
  for (auto fact : facts.terms) {
    const auto found = records.find(fact.id);
    if (found == records.end()) continue;
    fact.records = found->second;
    part.terms.push_back(std::move(fact));
  }
  if (one.has_teacher) part.teacher = facts.teacher;
  part.counts = {{"records learnt from", one.run.records},
                 {"parameters of the adapter", std::ssize(one.adapter.block())}};
  return part;
}

Result<model::Weights> student_of(const train::FitInput& input, const std::vector<Learnt>& all) {
  RETORT_TRY(model::Weights weights, train::start_weights(input));
  int64_t records = 0;
  for (const Learnt& one : all) records += one.records;
  for (const Learnt& one : all) {
    merge_share(weights, one.adapter,
                static_cast<double>(one.records) / static_cast<double>(records));
  }
  return weights;
}

}  // namespace

bool has_adapters_apart(const RunOptions& options) {
  return !options.train.isolate_by.empty() && options.train.lora_rank > 0;
}

Result<void> run_train_apart(RunContext& context, Summary& summary) {
  if (context.collective != nullptr && context.collective->size() > 1) {
    return base::usage_error("adapters apart are trained by one process", "train.isolate_by",
                             "train without mpirun, or leave out lora_rank");
  }
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY(const auto inputs, StudentInputs::clear(context, permission));
  const train::FitInput whole = inputs.fit(context);
  RETORT_TRY(const auto parts, clear_parts(context, permission, whole.part_of));
  RETORT_TRY_VOID(permission.write(context.options.out));
  RETORT_TRY_VOID(tell_costs(whole, parts));
  // The student learns from all of them, and is a run of its own in the log.
  json::Value isolated = isolated_json(whole.data, whole.part_of);
  isolated.set("adapters", true);
  RETORT_TRY(const auto run, log_run(context, *permission.log,
                                     {.data = whole.data,
                                      .held_out = whole.held_out,
                                      .base = whole.base_weights,
                                      .teacher = whole.teacher,
                                      .door = whole.door,
                                      .isolated = std::move(isolated)}));
  RETORT_TRY_VOID(remove_others(context.path(kTraining), parts));  // terms that it has no more
  Apart apart(context, *permission.log, whole, summary);
  std::vector<Learnt> learnt;
  std::vector<std::string> made_from;
  for (const Part& part : parts) {
    RETORT_TRY(auto one, apart.train(part));
    made_from.push_back(one.entry.name);
    learnt.push_back(std::move(one));
  }
  RETORT_TRY(const auto student, student_of(whole, learnt));
  RETORT_TRY_VOID(save_student(student, context.path("train/final")));
  RETORT_TRY_VOID(log_checkpoint(context, *permission.log, run.manifest(), {}, made_from));
  apart.count_all(student.config(), learnt.size());
  return {};
}

Result<std::vector<PartAdapter>> load_part_adapters(const RunContext& context, ledger::Ledger& log,
                                                    const model::Config& config) {
  std::vector<PartAdapter> out;
  const std::string all = context.path(kTraining);
  if (!has_adapters_apart(context.options) || !base::exists(all)) return out;
  RETORT_TRY(const auto names, base::list_directory(all));
  for (const auto& name : names) {
    const std::string folder = final_of(base::join(all, name));
    RETORT_TRY_VOID(lineage::check_usable(log, folder, "export"));
    RETORT_TRY(auto adapter, model::load_adapter(folder, config));
    RETORT_TRY(auto entry, logged_model(context, log, base::join(kTraining, name) + "/final"));
    RETORT_TRY(auto run, lineage::find_run(log, entry.run));
    RETORT_TRY(const bool has_teacher, learnt_of_a_teacher(log, run));
    out.push_back({name, std::move(adapter), std::move(entry), std::move(run), has_teacher});
  }
  return out;
}

std::vector<release::AdapterOut> exported_adapters(const std::vector<PartAdapter>& adapters,
                                                   const release::ModelFacts& facts) {
  std::vector<release::AdapterOut> out;
  for (const auto& one : adapters) {
    out.push_back({base::join(kPublished, one.name), &one.adapter, part_facts(one, facts)});
  }
  return out;
}

Result<void> log_exported_adapters(const std::vector<PartAdapter>& adapters, ledger::Ledger& log,
                                   const std::string& folder) {
  for (const auto& one : adapters) {
    const std::string path = base::join(base::join(folder, kPublished), one.name);
    if (!base::exists(path)) continue;
    lineage::ModelInput model{.path = path,
                              .model_id = one.entry.model_id,
                              .form = "adapter",
                              .run = one.entry.run,
                              .made_from = {one.entry.name}};
    model.made_from.insert(model.made_from.end(), one.entry.made_from.begin(),
                           one.entry.made_from.end());
    RETORT_TRY_VOID(lineage::log_model(log, model));
  }
  return {};
}

Result<void> remove_other_adapters(const RunContext& context,
                                   const std::vector<PartAdapter>& adapters) {
  return remove_others(context.path(kPublished), adapters);
}

}  // namespace retort::pipeline
