#include <fmt/core.h>

#include "corpus/record_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

json::Value terms_json(const std::vector<terms::Reference>& references) {
  json::Array items;
  for (const auto& reference : references) {
    items.push_back(
        json::Value::object({{"id", reference.id}, {"object", terms::name(reference.object)}}));
  }
  return json::Value(std::move(items));
}

json::Value origin_json(const Origin& origin) {
  return json::Value::object({{"kind", name(origin.kind)},
                              {"provider", origin.door.provider},
                              {"endpoint", origin.door.endpoint},
                              {"plan", origin.door.plan},
                              {"model", origin.model},
                              {"model_answered", origin.model_answered},
                              {"terms", terms_json(origin.terms)},
                              {"captured_ms", origin.captured_ms},
                              {"preference", static_cast<int64_t>(origin.preference)},
                              {"features", int64_t{origin.features}}});
}

void add_lineage(const Record& record, json::Value& out) {
  if (!record.split.empty()) out.set("split", record.split);
  if (!record.parents.empty()) {
    json::Array parents;
    for (const auto& parent : record.parents) {
      parents.push_back(json::Value::object(
          {{"shard", parent.shard}, {"row", parent.row}, {"leaf", parent.leaf}}));
    }
    out.set("parents", json::Value(std::move(parents)));
  }
  if (!record.origins.empty()) {
    json::Array origins;
    for (const auto& origin : record.origins) origins.push_back(origin_json(origin));
    out.set("origins", json::Value(std::move(origins)));
  }
}

Error wrong(const char* what) {
  return base::bad_input(fmt::format("a record's {} is wrong", what));
}

Result<std::vector<terms::Reference>> read_terms(const json::Value& value) {
  std::vector<terms::Reference> out;
  const auto* items = value.find("terms");
  if (items == nullptr || !items->is_array()) return wrong("terms");
  for (const auto& item : items->as_array()) {
    RETORT_TRY(auto id, item.string_at("id"));
    RETORT_TRY(const auto word, item.string_at("object"));
    const auto object = terms::parse_object(word);
    if (!object) return wrong("terms");
    out.push_back({std::move(id), *object});
  }
  return out;
}

Result<terms::Preference> read_preference(const json::Value& value) {
  RETORT_TRY(const auto code, value.int_at("preference", 0));
  if (code < 0 || code > 2) return wrong("preference");
  return static_cast<terms::Preference>(code);
}

Result<uint16_t> read_features(const json::Value& value) {
  RETORT_TRY(const auto code, value.int_at("features", 0));
  if (code < 0 || code > 0xffff) return wrong("features");
  return static_cast<uint16_t>(code);
}

Result<Kind> read_kind(const json::Value& value) {
  RETORT_TRY(const auto word, value.string_at("kind"));
  for (const Kind kind : {Kind::teacher, Kind::human, Kind::derived, Kind::merged}) {
    if (word == name(kind)) return kind;
  }
  return wrong("kind");
}

Result<Door> read_door(const json::Value& value) {
  Door door;
  RETORT_TRY(door.provider, value.string_at("provider", ""));
  RETORT_TRY(door.endpoint, value.string_at("endpoint", ""));
  RETORT_TRY(door.plan, value.string_at("plan", ""));
  return door;
}

Result<Origin> read_origin(const json::Value& value) {
  Origin origin;
  RETORT_TRY(origin.kind, read_kind(value));
  RETORT_TRY(origin.door, read_door(value));
  RETORT_TRY(origin.model, value.string_at("model", ""));
  RETORT_TRY(origin.model_answered, value.string_at("model_answered", ""));
  RETORT_TRY(origin.terms, read_terms(value));
  RETORT_TRY(origin.captured_ms, value.int_at("captured_ms"));
  RETORT_TRY(origin.preference, read_preference(value));
  RETORT_TRY(origin.features, read_features(value));
  return origin;
}

Result<Sampling> read_sampling(const json::Value& value) {
  Sampling sampling;
  RETORT_TRY(sampling.temperature, value.number_at("temperature", 1));
  RETORT_TRY(sampling.top_p, value.number_at("top_p", 1));
  RETORT_TRY(sampling.top_k, value.int_at("top_k", 0));
  RETORT_TRY(sampling.repetition_penalty, value.number_at("repetition_penalty", 1));
  RETORT_TRY(sampling.max_tokens, value.int_at("max_tokens", 0));
  if (value.find("seed") != nullptr) {
    RETORT_TRY(sampling.seed, value.int_at("seed"));
  }
  RETORT_TRY(sampling.top_logprobs, value.int_at("top_logprobs", 0));
  if (sampling.top_logprobs < 0) return wrong("sampling");
  if (const auto* stops = value.find("stop"); stops != nullptr) {
    if (!stops->is_array()) return wrong("sampling");
    for (const auto& stop : stops->as_array()) {
      if (!stop.is_string()) return wrong("sampling");
      sampling.stop.push_back(stop.as_string());
    }
  }
  return sampling;
}

Result<void> read_lineage(const json::Value& value, Record& record) {
  RETORT_TRY(record.split, value.string_at("split", ""));
  if (const auto* parents = value.find("parents"); parents != nullptr) {
    if (!parents->is_array() || parents->as_array().size() > kMaxParents) return wrong("parents");
    for (const auto& item : parents->as_array()) {
      ParentLink link;
      RETORT_TRY(link.shard, item.string_at("shard"));
      RETORT_TRY(link.row, item.int_at("row"));
      RETORT_TRY(link.leaf, item.string_at("leaf"));
      record.parents.push_back(std::move(link));
    }
  }
  if (const auto* origins = value.find("origins"); origins != nullptr) {
    if (!origins->is_array()) return wrong("origins");
    for (const auto& item : origins->as_array()) {
      RETORT_TRY(auto origin, read_origin(item));
      record.origins.push_back(std::move(origin));
    }
  }
  const bool made = record.kind == Kind::derived || record.kind == Kind::merged;
  if (made == record.parents.empty()) return wrong("parents");
  return {};
}

Result<void> read_slots(const json::Value& value, Record& record) {
  RETORT_TRY(record.template_index, value.int_at("template", -1));
  const auto* slots = value.find("slots");
  if (slots == nullptr) return {};
  if (!slots->is_object()) return wrong("slots");
  for (const auto& [slot, word] : slots->as_object()) {
    if (!word.is_string()) return wrong("slots");
    record.slots[slot] = word.as_string();
  }
  return {};
}

Result<void> read_answer(const json::Value& value, Record& record) {
  RETORT_TRY(record.model_answered, value.string_at("model_answered", ""));
  RETORT_TRY(record.finish_reason, value.string_at("finish_reason", ""));
  RETORT_TRY(record.request_id, value.string_at("request_id", ""));
  RETORT_TRY(record.captured_ms, value.int_at("captured_ms", 0));
  RETORT_TRY(record.preference, read_preference(value));
  RETORT_TRY(record.preference_text, value.string_at("preference_text", ""));
  RETORT_TRY(record.features, read_features(value));
  RETORT_TRY(record.currency, value.string_at("currency", "USD"));
  RETORT_TRY(const auto cost, value.string_at("cost", "0.00"));
  RETORT_TRY(record.cost_micros, parse_micros(cost));
  RETORT_TRY(record.principal, value.string_at("principal", ""));
  RETORT_TRY(record.logprob_tokens, value.int_at("logprob_tokens", 0));
  if (record.logprob_tokens < 0) return wrong("logprob_tokens");
  if (const auto* usage = value.find("usage"); usage != nullptr) {
    RETORT_TRY(record.usage.prompt_tokens, usage->int_at("prompt_tokens", 0));
    RETORT_TRY(record.usage.completion_tokens, usage->int_at("completion_tokens", 0));
  }
  return {};
}

Result<dialog::Messages> read_messages(const json::Value& value) {
  const auto* items = value.find("messages");
  if (items == nullptr || !items->is_array()) return wrong("messages");
  dialog::Messages messages;
  for (const auto& item : items->as_array()) {
    RETORT_TRY(const auto word, item.string_at("role"));
    const auto role = dialog::parse_role(word);
    if (!role) return wrong("role");
    RETORT_TRY(auto content, item.string_at("content"));
    messages.push_back({*role, std::move(content)});
  }
  return messages;
}

Result<Record> read(const json::Value& value) {
  const auto* meta = value.find("retort");
  if (meta == nullptr) return base::bad_input("this line is no record: it has no “retort” object");
  RETORT_TRY(const auto schema, meta->string_at("schema"));
  if (schema != kRecordSchema) {
    return base::bad_input(
        fmt::format("a record of schema “{}”; this program reads {}", schema, kRecordSchema), "",
        "use a newer program");
  }
  Record record;
  RETORT_TRY(record.kind, read_kind(*meta));
  RETORT_TRY(record.messages, read_messages(value));
  RETORT_TRY(const bool answered, meta->bool_at("answered", true));
  if (answered) {
    if (record.messages.empty() || record.messages.back().role != dialog::Role::assistant) {
      return wrong("answer");
    }
    record.answer = std::move(record.messages.back().content);
    record.messages.pop_back();
  }
  RETORT_TRY(record.key, meta->string_at("key"));
  RETORT_TRY(record.door, read_door(*meta));
  RETORT_TRY(record.model, meta->string_at("model", ""));
  RETORT_TRY(record.sample, meta->int_at("sample", 0));
  RETORT_TRY(record.terms, read_terms(*meta));
  if (const auto* sampling = meta->find("sampling"); sampling != nullptr) {
    RETORT_TRY(record.sampling, read_sampling(*sampling));
  }
  RETORT_TRY_VOID(read_slots(*meta, record));
  RETORT_TRY_VOID(read_answer(*meta, record));
  if (answered && record.captured_ms == 0) return wrong("captured_ms");
  RETORT_TRY_VOID(read_lineage(*meta, record));
  RETORT_TRY(const auto salt, meta->string_at("salt"));
  RETORT_TRY(const auto bytes, crypto::from_hex(salt));
  if (bytes.size() != record.salt.size()) return wrong("salt");
  std::copy(bytes.begin(), bytes.end(), record.salt.begin());
  if (record.key != record_key(record)) {
    return base::bad_input(fmt::format("the record {} does not fit its key", record.key));
  }
  return record;
}

}  // namespace

json::Value to_json(const Record& record) {
  json::Value messages = messages_json(record.messages);
  // A request that has no answer yet keeps its messages as they are.
  const bool answered = record.captured_ms != 0;
  if (answered) {
    messages.push(json::Value::object({{"role", "assistant"}, {"content", record.answer}}));
  }
  json::Value meta = json::Value::object({{"schema", kRecordSchema},
                                          {"key", record.key},
                                          {"kind", name(record.kind)},
                                          {"provider", record.door.provider},
                                          {"endpoint", record.door.endpoint},
                                          {"plan", record.door.plan},
                                          {"model", record.model},
                                          {"sampling", sampling_json(record.sampling)},
                                          {"sample", record.sample},
                                          {"terms", terms_json(record.terms)}});
  if (!answered) meta.set("answered", false);
  if (record.template_index >= 0) meta.set("template", record.template_index);
  if (!record.slots.empty()) {
    json::Value slots = json::Value::object();
    for (const auto& [slot, word] : record.slots) slots.set(slot, word);
    meta.set("slots", std::move(slots));
  }
  if (answered) {
    meta.set("model_answered", record.model_answered)
        .set("finish_reason", record.finish_reason)
        .set("usage", json::Value::object({{"prompt_tokens", record.usage.prompt_tokens},
                                           {"completion_tokens", record.usage.completion_tokens}}))
        .set("request_id", record.request_id)
        .set("captured_ms", record.captured_ms)
        .set("preference", static_cast<int64_t>(record.preference))
        .set("preference_text", record.preference_text)
        .set("features", int64_t{record.features})
        .set("cost", format_micros(record.cost_micros))
        .set("currency", record.currency)
        .set("principal", record.principal);
    if (record.logprob_tokens > 0) meta.set("logprob_tokens", record.logprob_tokens);
  }
  add_lineage(record, meta);
  const std::string_view salt(reinterpret_cast<const char*>(record.salt.data()),
                              record.salt.size());
  meta.set("salt", crypto::to_hex(salt));
  return json::Value::object({{"messages", std::move(messages)}, {"retort", std::move(meta)}});
}

Result<Record> record_from_json(const json::Value& value, std::string_view where) {
  auto record = read(value);
  if (!record) return record.error().at(where);
  return record;
}

}  // namespace retort::corpus
