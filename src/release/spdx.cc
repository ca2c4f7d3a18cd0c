// SPDX 3.0.1 as JSON-LD: an AI package, the dataset it was trained on, the agents that generated
// the dataset, terms as licensing texts. SPDX has no word for "distilled from" or for contract
// terms of a service: a teacher is an agent that the dataset originated from, and terms are the
// dataset's declared licences.
#include <fmt/core.h>

#include "base/clock.h"
#include "crypto/hash.h"
#include "release/bom.h"

namespace retort::release {
namespace {

using json::Value;

constexpr const char* kCreation = "_:creationinfo";

class Graph {
 public:
  explicit Graph(const Bom& bom)
      : bom_(bom), base_("https://spdx.org/spdxdocs/retort-" + bom.model.name) {}

  std::string id(const std::string& name) const { return base_ + "#" + name; }

  // An element of this document, for more members.
  Value element(const std::string& type, const std::string& name_in_document) const {
    return Value::object(
        {{"type", type}, {"spdxId", id(name_in_document)}, {"creationInfo", kCreation}});
  }
  void add(Value value) {
    if (const auto* its_id = value.find("spdxId")) elements_.push(*its_id);
    items_.push(std::move(value));
  }
  void relate(const std::string& from, const std::string& type,
              const std::vector<std::string>& to) {
    if (to.empty()) return;
    Value targets = Value::array();
    for (const auto& one : to) targets.push(one);
    Value out = element("Relationship", fmt::format("relationship-{}", ++relations_));
    out.set("from", from).set("relationshipType", type).set("to", std::move(targets));
    add(std::move(out));
  }
  Value take() {
    Value out = Value::array();
    Value created_by = Value::array();
    created_by.push(id("maker"));
    Value using_tool = Value::array();
    using_tool.push(id("tool"));
    out.push(Value::object({{"type", "CreationInfo"},
                            {"@id", kCreation},
                            {"specVersion", "3.0.1"},
                            {"created", base::iso_time(bom_.model.time_ms)},
                            {"createdBy", std::move(created_by)},
                            {"createdUsing", std::move(using_tool)}}));
    Value profiles = Value::array();
    for (const char* profile : {"core", "software", "simpleLicensing", "ai", "dataset"}) {
      profiles.push(profile);
    }
    Value root = Value::array();
    root.push(id("model"));
    Value document = element("SpdxDocument", "document");
    document.set("name", bom_.model.model_id + " bill of materials")
        .set("rootElement", std::move(root))
        .set("element", elements_)
        .set("profileConformance", std::move(profiles));
    out.push(std::move(document));
    for (auto& item : items_.as_array()) out.push(std::move(item));
    return out;
  }

 private:
  const Bom& bom_;
  std::string base_;
  Value items_ = Value::array(), elements_ = Value::array();
  int relations_ = 0;
};

Value hashes(const std::string& sha256) {
  Value out = Value::array();
  out.push(Value::object({{"type", "Hash"}, {"algorithm", "sha256"}, {"hashValue", sha256}}));
  return out;
}

std::string door_name(const BomDoor& door) {
  return fmt::format("door-{}", door.entry);
}

void add_agents(Graph& graph, const Bom& bom) {
  Value maker = graph.element("SoftwareAgent", "maker");
  maker.set("name", "the log " + bom.origin);
  graph.add(std::move(maker));
  Value tool = graph.element("Tool", "tool");
  tool.set("name", bom.program);
  graph.add(std::move(tool));
  for (const auto& door : bom.doors) {
    Value agent = graph.element("SoftwareAgent", door_name(door));
    agent.set("name", door.model.empty() ? "unnamed model" : door.model)
        .set("description",
             fmt::format("asked at {}{}{}; {} records",
                         door.endpoint.empty() ? "its weights" : door.endpoint,
                         door.plan.empty() ? "" : ", plan ", door.plan, door.records));
    graph.add(std::move(agent));
  }
}

std::string training_words(const Bom& bom) {
  std::string out = fmt::format(
      "objective {}; run sha256:{} (entry {} of the log {}); options "
      "sha256:{}; seed {}",
      bom.run->objective, bom.run->name, bom.run->entry, bom.origin, bom.run->options,
      bom.run->seed);
  for (const auto& duty : bom.duties) {
    out += fmt::format("; owes {}: {} ({})", name(duty.kind), duty.value, duty.terms);
  }
  for (const auto& one : bom.declarations) {
    out += fmt::format("; declared in entry {}: {}", one.entry, one.statement);
  }
  return out;
}

void add_model(Graph& graph, const Bom& bom) {
  Value types = Value::array();
  types.push("transformer");
  Value out = graph.element("ai_AIPackage", "model");
  out.set("name", bom.model.model_id)
      .set("software_packageVersion", bom.model.name.substr(0, 16))
      .set("software_primaryPurpose", "model")
      .set("software_downloadLocation", "urn:sha256:" + bom.model.name)
      .set("suppliedBy", graph.id("maker"))
      .set("releaseTime", base::iso_time(bom.model.time_ms))
      .set("ai_typeOfModel", std::move(types))
      .set("verifiedUsing", hashes(bom.model.name));
  if (bom.run) out.set("ai_informationAboutTraining", training_words(bom));
  if (bom.standing.since_ms != 0) {
    out.set("comment",
            fmt::format("version {} of this document, in place of the earlier ones: the model is "
                        "{} since {}: {}",
                        version_of(bom), lineage::name(bom.standing.state),
                        base::iso_time(bom.standing.since_ms), bom.standing.why));
  }
  graph.add(std::move(out));
}

void add_dataset(Graph& graph, const Bom& bom) {
  const auto [from_ms, to_ms] = captured(bom);
  Value kinds = Value::array();
  kinds.push("text");
  Value agents = Value::array();
  for (const auto& door : bom.doors) agents.push(graph.id(door_name(door)));
  if (bom.doors.empty()) agents.push(graph.id("maker"));
  int64_t refused = 0;
  for (const auto& verdict : bom.verdicts) refused += verdict.refused;
  Value out = graph.element("dataset_DatasetPackage", "records");
  out.set("name", bom.model.model_id + " training records")
      .set("software_primaryPurpose", "data")
      .set("software_downloadLocation", "urn:sha256:" + bom.run->selection)
      .set("builtTime", base::iso_time(to_ms))
      .set("releaseTime", base::iso_time(bom.run->time_ms))
      .set("originatedBy", std::move(agents))
      .set("dataset_datasetType", std::move(kinds))
      .set("dataset_datasetSize", records_of(bom))
      .set("dataset_datasetAvailability", "query")
      .set("dataset_dataCollectionProcess",
           fmt::format("answers of models and texts of people, captured from {} to {}, each under "
                       "the terms of its door at that time; {} records refused",
                       base::iso_time(from_ms), base::iso_time(to_ms), refused))
      .set("verifiedUsing", hashes(bom.run->selection));
  graph.add(std::move(out));
}

void add_terms(Graph& graph, const Bom& bom) {
  std::vector<std::string> all;
  for (const auto& one : bom.terms) {
    const std::string name = "terms-" + one.terms.id.substr(0, 16);
    Value out = graph.element("simplelicensing_SimpleLicensingText", name);
    out.set("name", one.terms.label())
        .set("comment", fmt::format("entry {} of the log; binds {} records; read by {}", one.entry,
                                    one.records, one.terms.reader))
        .set("simplelicensing_licenseText", one.terms.text);
    graph.add(std::move(out));
    all.push_back(graph.id(name));
  }
  graph.relate(graph.id("records"), "hasDeclaredLicense", all);
}

void add_base(Graph& graph, const lineage::WeightsUsed& base) {
  Value types = Value::array();
  types.push("transformer");
  Value out = graph.element("ai_AIPackage", "base");
  out.set("name", base.model.empty() ? "base weights" : base.model)
      .set("software_packageVersion", base.digest.substr(0, 16))
      .set("software_primaryPurpose", "model")
      .set("software_downloadLocation", "urn:sha256:" + base.digest)
      .set("suppliedBy", graph.id("maker"))
      .set("releaseTime", "1970-01-01T00:00:00Z")
      .set("comment", "the time of its release is not in the log")
      .set("ai_typeOfModel", std::move(types))
      .set("verifiedUsing", hashes(base.digest));
  graph.add(std::move(out));
  graph.relate(graph.id("model"), "descendantOf", {graph.id("base")});
}

}  // namespace

json::Value spdx(const Bom& bom) {
  Graph graph(bom);
  add_agents(graph, bom);
  add_model(graph, bom);
  if (bom.run) {
    add_dataset(graph, bom);
    graph.relate(graph.id("model"), "trainedOn", {graph.id("records")});
    add_terms(graph, bom);
    if (bom.run->base) add_base(graph, *bom.run->base);
  }
  return Value::object(
      {{"@context", "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}, {"@graph", graph.take()}});
}

}  // namespace retort::release
