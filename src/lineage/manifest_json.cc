// Bodies of "run" and "model", both ways.
#include <fmt/core.h>

#include "crypto/hash.h"
#include "lineage/manifest.h"
#include "lineage/read_internal.h"

namespace retort::lineage {
namespace {

constexpr const char* kRunSchema = "retort.run/1";
constexpr const char* kModelSchema = "retort.model/1";
constexpr const char* kServedSchema = "retort.served/1";

template <class T>
json::Value list(const std::vector<T>& items) {
  json::Value out = json::Value::array();
  for (const auto& item : items) out.push(item);
  return out;
}

json::Value files_json(const std::vector<ModelFile>& files) {
  json::Value out = json::Value::array();
  for (const auto& file : files) {
    out.push(
        json::Value::object({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}}));
  }
  return out;
}

Result<std::vector<ModelFile>> files_from(const json::Value& body) {
  std::vector<ModelFile> out;
  RETORT_TRY_VOID(for_each_of(body, "files", [&](const json::Value& item) -> Result<void> {
    ModelFile file;
    RETORT_TRY(file.name, item.string_at("name"));
    RETORT_TRY(file.bytes, item.int_at("bytes"));
    RETORT_TRY(file.sha256, item.string_at("sha256"));
    out.push_back(std::move(file));
    return {};
  }));
  return out;
}

json::Value weights_json(const WeightsUsed& weights) {
  return json::Value::object({{"digest", weights.digest},
                              {"model", weights.model},
                              {"verdict", weights.verdict},
                              {"terms", list(weights.terms)},
                              {"files", files_json(weights.files)}});
}

Result<WeightsUsed> weights_from(const json::Value& value) {
  WeightsUsed out;
  RETORT_TRY(out.digest, value.string_at("digest"));
  RETORT_TRY(out.model, value.string_at("model", ""));
  RETORT_TRY(out.verdict, value.int_at("verdict", -1));
  RETORT_TRY(out.terms, strings_at(value, "terms"));
  RETORT_TRY(out.files, files_from(value));
  return out;
}

json::Value by_terms_json(const std::vector<TermsShare>& shares) {
  json::Value out = json::Value::array();
  for (const auto& share : shares) {
    out.push(json::Value::object({{"terms", list(share.terms)}, {"records", share.records}}));
  }
  return out;
}

json::Value by_door_json(const std::vector<DoorShare>& shares) {
  json::Value out = json::Value::array();
  for (const auto& share : shares) {
    out.push(json::Value::object({{"door", share.door}, {"records", share.records}}));
  }
  return out;
}

Result<void> read_shares(const json::Value& body, RunManifest& run) {
  RETORT_TRY_VOID(for_each_of(body, "by_terms", [&](const json::Value& item) -> Result<void> {
    TermsShare share;
    RETORT_TRY(share.terms, strings_at(item, "terms"));
    RETORT_TRY(share.records, item.int_at("records"));
    run.by_terms.push_back(std::move(share));
    return {};
  }));
  return for_each_of(body, "by_door", [&](const json::Value& item) -> Result<void> {
    DoorShare share;
    RETORT_TRY(share.door, item.int_at("door"));
    RETORT_TRY(share.records, item.int_at("records"));
    run.by_door.push_back(share);
    return {};
  });
}

Result<void> read_weights(const json::Value& body, RunManifest& run) {
  if (const auto* base = body.find("base"); base != nullptr) {
    RETORT_TRY(run.base, weights_from(*base));
  }
  return for_each_of(body, "teachers", [&](const json::Value& item) -> Result<void> {
    RETORT_TRY(auto teacher, weights_from(item));
    run.teachers.push_back(std::move(teacher));
    return {};
  });
}

Result<void> read_asked(const json::Value& body, RunManifest& run) {
  if (body.find("asked") == nullptr) return {};
  return for_each_of(body, "asked", [&](const json::Value& item) -> Result<void> {
    DoorAsked asked;
    RETORT_TRY(asked.door, item.int_at("door"));
    RETORT_TRY(asked.verdict, item.int_at("verdict"));
    RETORT_TRY(asked.terms, strings_at(item, "terms"));
    run.asked.push_back(std::move(asked));
    return {};
  });
}

json::Value asked_json(const std::vector<DoorAsked>& all) {
  json::Value out = json::Value::array();
  for (const auto& asked : all) {
    out.push(json::Value::object(
        {{"door", asked.door}, {"verdict", asked.verdict}, {"terms", list(asked.terms)}}));
  }
  return out;
}

Result<void> read_evaluation(const json::Value& body, RunManifest& run) {
  const auto* value = body.find("evaluation");
  if (value == nullptr) return {};
  Evaluation out;
  RETORT_TRY(out.shards, integers_at(*value, "shards"));
  RETORT_TRY(out.split, value->string_at("split", ""));
  RETORT_TRY(out.records, value->int_at("records"));
  run.evaluation = std::move(out);
  return {};
}

Result<RunManifest> read_run(const json::Value& body) {
  RETORT_TRY_VOID(check_schema(body, kRunSchema));
  RunManifest run;
  RETORT_TRY(run.model_id, body.string_at("model_id"));
  RETORT_TRY(run.program, body.string_at("program", ""));
  if (const auto* purpose = body.find("purpose"); purpose != nullptr) run.purpose = *purpose;
  RETORT_TRY(run.shards, integers_at(body, "shards"));
  RETORT_TRY(run.split, body.string_at("split"));
  RETORT_TRY(run.records, body.int_at("records"));
  RETORT_TRY(run.selection, body.string_at("selection"));
  RETORT_TRY_VOID(read_shares(body, run));
  RETORT_TRY(run.verdicts, integers_at(body, "verdicts"));
  RETORT_TRY_VOID(read_weights(body, run));
  RETORT_TRY_VOID(read_asked(body, run));
  RETORT_TRY(run.tokenizer, body.string_at("tokenizer", ""));
  RETORT_TRY(run.objective, body.string_at("objective", ""));
  RETORT_TRY(run.options, body.string_at("options", ""));
  RETORT_TRY(run.seed, body.int_at("seed", 0));
  RETORT_TRY_VOID(read_evaluation(body, run));
  RETORT_TRY(run.declarations, integers_at(body, "declarations"));
  if (const auto* isolated = body.find("isolated"); isolated != nullptr) run.isolated = *isolated;
  return run;
}

Result<ModelEntry> read_model(const json::Value& body) {
  RETORT_TRY_VOID(check_schema(body, kModelSchema));
  ModelEntry model;
  RETORT_TRY(model.model_id, body.string_at("model_id"));
  RETORT_TRY(model.form, body.string_at("form"));
  RETORT_TRY(model.run, body.int_at("run", -1));
  RETORT_TRY(model.made_from, strings_at(body, "made_from"));
  RETORT_TRY(model.files, files_from(body));
  if (const auto* kept = body.find("kept"); kept != nullptr) model.kept = *kept;
  return model;
}

Result<ServedEntry> read_served(const ledger::Entry& entry) {
  const json::Value& body = entry.body;
  RETORT_TRY_VOID(check_schema(body, kServedSchema));
  ServedEntry out;
  out.entry = entry.index;
  RETORT_TRY(out.at.door.provider, body.string_at("provider"));
  RETORT_TRY(out.at.door.endpoint, body.string_at("endpoint"));
  RETORT_TRY(out.at.door.plan, body.string_at("plan"));
  RETORT_TRY(out.at.model, body.string_at("model"));
  RETORT_TRY(out.files, files_from(body));
  return out;
}

// The read body with the entry's own place, name and time.
template <class T>
Result<T> placed(const ledger::Entry& entry, Result<T> read) {
  if (!read) return read.error().at(fmt::format("entry {} of the log", entry.index));
  read->entry = entry.index;
  read->name = entry.name;
  read->time_ms = entry.time_ms;
  return read;
}

void without(json::Value& object, std::string_view key) {
  std::erase_if(object.as_object(),
                [key](const json::Member& member) { return member.first == key; });
}

}  // namespace

json::Value to_json(const RunManifest& run) {
  json::Value body = json::Value::object({{"schema", kRunSchema},
                                          {"model_id", run.model_id},
                                          {"program", run.program},
                                          {"purpose", run.purpose},
                                          {"shards", list(run.shards)},
                                          {"split", run.split},
                                          {"records", run.records},
                                          {"selection", run.selection},
                                          {"by_terms", by_terms_json(run.by_terms)},
                                          {"by_door", by_door_json(run.by_door)},
                                          {"verdicts", list(run.verdicts)}});
  if (run.base) body.set("base", weights_json(*run.base));
  json::Value teachers = json::Value::array();
  for (const auto& teacher : run.teachers) teachers.push(weights_json(teacher));
  body.set("teachers", std::move(teachers))
      .set("tokenizer", run.tokenizer)
      .set("objective", run.objective)
      .set("options", run.options)
      .set("seed", run.seed);
  if (run.evaluation) {
    body.set("evaluation", json::Value::object({{"shards", list(run.evaluation->shards)},
                                                {"split", run.evaluation->split},
                                                {"records", run.evaluation->records}}));
  }
  if (!run.asked.empty()) body.set("asked", asked_json(run.asked));
  body.set("declarations", list(run.declarations));
  if (!run.isolated.is_null()) body.set("isolated", run.isolated);
  return body;
}

json::Value to_json(const ModelEntry& model) {
  json::Value body = json::Value::object({{"schema", kModelSchema},
                                          {"model_id", model.model_id},
                                          {"form", model.form},
                                          {"made_from", list(model.made_from)},
                                          {"files", files_json(model.files)}});
  if (model.run >= 0) body.set("run", model.run);
  if (!model.kept.is_null()) body.set("kept", model.kept);
  return body;
}

json::Value to_json(const ServedEntry& served) {
  return json::Value::object({{"schema", kServedSchema},
                              {"provider", served.at.door.provider},
                              {"endpoint", served.at.door.endpoint},
                              {"plan", served.at.door.plan},
                              {"model", served.at.model},
                              {"files", files_json(served.files)}});
}

std::string run_name(const json::Value& body) {
  json::Value same = body;
  without(same, "verdicts");
  if (auto* base = same.find("base"); base != nullptr) without(*base, "verdict");
  if (auto* teachers = same.find("teachers"); teachers != nullptr) {
    for (auto& teacher : teachers->as_array()) without(teacher, "verdict");
  }
  if (auto* asked = same.find("asked"); asked != nullptr) {
    for (auto& door : asked->as_array()) without(door, "verdict");
  }
  return crypto::sha256_hex(json::canonical(same));
}

Result<RunManifest> run_from_entry(const ledger::Entry& entry) {
  return placed(entry, read_run(entry.body));
}

Result<ModelEntry> model_from_entry(const ledger::Entry& entry) {
  return placed(entry, read_model(entry.body));
}

Result<ServedEntry> served_from_entry(const ledger::Entry& entry) {
  auto read = read_served(entry);
  if (!read) return read.error().at(fmt::format("entry {} of the log", entry.index));
  return read;
}

}  // namespace retort::lineage
