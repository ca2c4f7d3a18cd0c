#include "corpus/record.h"

#include "base/check.h"
#include "corpus/bytes_internal.h"
#include "corpus/record_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

json::Value door_json(const Door& door) {
  return json::Value::object(
      {{"endpoint", door.endpoint}, {"plan", door.plan}, {"provider", door.provider}});
}

std::string_view salt_of(const Record& record) {
  return {reinterpret_cast<const char*>(record.salt.data()), record.salt.size()};
}

// Own texts have no door that bound them; the model of weights and texts is not asked for.
terms::Facts facts_from(const Origin& origin) {
  terms::Facts facts;
  facts.terms = origin.terms;
  facts.object = origin.kind == Kind::human ? terms::Object::texts : terms::Object::outputs;
  facts.endpoint = origin.door.endpoint;
  facts.plan = origin.door.plan;
  if (!origin.model.empty()) facts.models.push_back(origin.model);
  if (!origin.model_answered.empty() && origin.model_answered != origin.model) {
    facts.models.push_back(origin.model_answered);
  }
  facts.features = feature_names(origin.features);
  facts.captured_ms = origin.captured_ms;
  facts.preference = origin.preference;
  return facts;
}

}  // namespace

const char* name(Kind kind) {
  switch (kind) {
    case Kind::teacher:
      return "teacher";
    case Kind::human:
      return "human";
    case Kind::derived:
      return "derived";
    case Kind::merged:
      return "merged";
  }
  return "?";
}

std::vector<std::string> feature_names(uint16_t features) {
  static const std::vector<std::pair<Feature, const char*>> kNames = {
      {kStreamed, "streamed"}, {kLogprobs, "logprobs"},    {kJsonMode, "json_mode"},
      {kTools, "tools"},       {kWebSearch, "web_search"}, {kImages, "images"}};
  std::vector<std::string> out;
  for (const auto& [bit, text] : kNames) {
    if ((features & bit) != 0) out.emplace_back(text);
  }
  return out;
}

json::Value messages_json(const dialog::Messages& messages) {
  json::Array items;
  for (const auto& message : messages) {
    items.push_back(
        json::Value::object({{"role", dialog::name(message.role)}, {"content", message.content}}));
  }
  return json::Value(std::move(items));
}

json::Value sampling_json(const Sampling& sampling) {
  json::Value value = json::Value::object({{"temperature", sampling.temperature},
                                           {"top_p", sampling.top_p},
                                           {"top_k", sampling.top_k},
                                           {"repetition_penalty", sampling.repetition_penalty},
                                           {"max_tokens", sampling.max_tokens}});
  if (sampling.seed) value.set("seed", *sampling.seed);
  if (sampling.top_logprobs > 0) value.set("top_logprobs", sampling.top_logprobs);
  json::Array stops;
  for (const auto& stop : sampling.stop) stops.emplace_back(stop);
  if (!stops.empty()) value.set("stop", json::Value(std::move(stops)));
  return value;
}

std::string record_key(const Record& record) {
  json::Value value = json::Value::object({{"door", door_json(record.door)},
                                           {"model", record.model},
                                           {"messages", messages_json(record.messages)},
                                           {"sampling", sampling_json(record.sampling)},
                                           {"sample", record.sample}});
  if (record.kind != Kind::teacher) {
    value.set("answer", record.answer);
    json::Array parents;
    for (const auto& parent : record.parents) {
      parents.push_back(json::Value::array({parent.shard, parent.row}));
    }
    value.set("kind", name(record.kind)).set("parents", json::Value(std::move(parents)));
  }
  return crypto::sha256_hex(json::canonical(value));
}

Origin origin_of(const Record& record) {
  Origin origin;
  origin.kind = record.model.empty() ? Kind::human : Kind::teacher;
  if (record.kind == Kind::human) origin.kind = Kind::human;
  if (record.kind == Kind::teacher) origin.kind = Kind::teacher;
  origin.door = record.door;
  origin.model = record.model;
  origin.model_answered = record.model_answered;
  origin.terms = record.terms;
  origin.captured_ms = record.captured_ms;
  origin.preference = record.preference;
  origin.features = record.features;
  return origin;
}

terms::Facts facts_of_origin(const Origin& origin) {
  return facts_from(origin);
}

std::vector<terms::Facts> facts_of(const Record& record) {
  if (record.origins.empty()) return {facts_from(origin_of(record))};
  std::vector<terms::Facts> all;
  for (const auto& origin : record.origins) all.push_back(facts_from(origin));
  return all;
}

void put_leaf_facts(std::string& out, const LeafCodes& codes, const LeafFacts& facts) {
  RETORT_CHECK(facts.parents <= kMaxParents, "{} parents", facts.parents);
  put(out, codes.terms_set, 4);
  put(out, codes.door, 4);
  put(out, 0, 4);  // principal: a dictionary of them comes with accounts
  put(out, static_cast<uint64_t>(facts.captured_ms), 8);
  put(out, facts.preference, 1);
  put(out, facts.features, 2);
  put(out, facts.parents, 2);
}

std::string leaf_bytes(const Record& record, const LeafCodes& codes) {
  std::string out;
  put(out, 1, 1);
  put(out, static_cast<uint64_t>(record.kind), 1);
  const std::string prompt = json::canonical(messages_json(record.messages));
  out += crypto::as_bytes(crypto::hmac_sha256(salt_of(record), prompt));
  out += crypto::as_bytes(crypto::hmac_sha256(salt_of(record), record.answer));
  put_leaf_facts(out, codes,
                 {record.captured_ms, static_cast<uint64_t>(record.preference), record.features,
                  record.parents.size()});
  // A parent is named by the first 8 bytes of its leaf hash; its own shard commits to that.
  for (const auto& parent : record.parents) {
    const auto leaf = crypto::from_hex(parent.leaf.substr(0, 16));
    out += leaf ? *leaf : std::string(8, '\0');
  }
  return out;
}

}  // namespace retort::corpus
