#include "pipeline/isolation.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "pipeline/adapters.h"

namespace retort::pipeline {
namespace {

using corpus::Clearance;
using terms::TrainGenerative;

json::Value list(const auto& texts) {
  json::Value out = json::Value::array();
  for (const std::string& text : texts) out.push(text);
  return out;
}

}  // namespace

corpus::TermsPartOf parts_of(const RunContext& context, const Clearance& clearance) {
  if (context.options.train.isolate_by.empty()) return nullptr;
  return [&clearance](const corpus::Record& record) {
    return corpus::terms_part(record, clearance.known_terms());
  };
}

Result<std::string> isolation_of(RunContext& context) {
  const std::string& by = context.options.train.isolate_by;
  if (by.empty()) return std::string();
  return "isolated by " + by + (has_adapters_apart(context.options) ? ", apart" : "");
}

json::Value isolated_json(const corpus::Cleared<TrainGenerative>& data,
                          const corpus::TermsPartOf& part_of) {
  if (!part_of) return {};
  std::map<std::string, std::pair<corpus::TermsPart, int64_t>> parts;
  for (const corpus::Record& record : data.records()) {
    corpus::TermsPart part = part_of(record);
    auto& [first, records] = parts[part.order];
    first = std::move(part);
    ++records;
  }
  json::Value out = json::Value::array();
  for (const auto& [order, part] : parts) {
    out.push(json::Value::object({{"terms", list(part.first.ids)}, {"records", part.second}}));
  }
  return json::Value::object({{"by", "terms"}, {"parts", std::move(out)}});
}

json::Value kept_json(const std::vector<train::KeptCheckpoint>& kept) {
  if (kept.empty()) return {};
  json::Value out = json::Value::array();
  for (const auto& checkpoint : kept) {
    std::set<std::string> terms;
    for (const std::string& part : checkpoint.parts) {
      std::istringstream words(part);  // a part is named by its order: how firm it is, and the ids
      std::string id;
      words >> id;
      while (words >> id) terms.insert(id);
    }
    out.push(json::Value::object(
        {{"step", checkpoint.step}, {"weights", checkpoint.weights}, {"terms", list(terms)}}));
  }
  return out;
}

terms::ClearedText<TrainGenerative> tokenizer_texts(const corpus::Cleared<TrainGenerative>& data,
                                                    const corpus::TermsPartOf& part_of) {
  if (!part_of || data.size() == 0) return Clearance::text(data);
  std::string first = part_of(data[0]).order;
  for (const corpus::Record& record : data.records()) {
    first = std::min(first, part_of(record).order);
  }
  return Clearance::text(data, Clearance::Part::all, [&](const corpus::Record& record) {
    return part_of(record).order == first;
  });
}

}  // namespace retort::pipeline
