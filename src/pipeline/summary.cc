#include "pipeline/summary.h"

#include <fmt/core.h>

#include "base/files.h"
#include "crypto/hash.h"
#include "json/value.h"

namespace retort::pipeline {
namespace {

constexpr const char* kSchema = "retort.summary/1";

json::Value to_object(const std::map<std::string, std::string>& entries) {
  json::Value out = json::Value::object();
  for (const auto& [name, text] : entries) out.set(name, text);
  return out;
}

Result<std::map<std::string, std::string>> to_map(const json::Value& value, const char* key) {
  std::map<std::string, std::string> out;
  const json::Value* table = value.find(key);
  if (table == nullptr || !table->is_object()) {
    return base::bad_input(fmt::format("\"{}\" must be an object", key));
  }
  for (const auto& [name, text] : table->as_object()) {
    RETORT_TRY(out[name], table->string_at(name));
  }
  return out;
}

Result<Summary> from_json(const json::Value& value) {
  RETORT_TRY(const auto schema, value.string_at("schema"));
  if (schema != kSchema) {
    return base::bad_input(fmt::format("schema \"{}\" is not known to this program", schema), "",
                           "it was written by a newer retort: use that one");
  }
  Summary out;
  RETORT_TRY(out.stage, value.string_at("stage"));
  RETORT_TRY(out.fingerprint, value.string_at("fingerprint"));
  RETORT_TRY(out.inputs, to_map(value, "inputs"));
  RETORT_TRY(out.outputs, to_map(value, "outputs"));
  if (const json::Value* counts = value.find("counts"); counts != nullptr && counts->is_object()) {
    for (const auto& [name, number] : counts->as_object()) {
      RETORT_TRY(const double count, counts->number_at(name));
      out.counts.emplace_back(name, count);
    }
  }
  RETORT_TRY(out.seconds, value.number_at("seconds"));
  RETORT_TRY(out.started_ms, value.int_at("started_ms"));
  RETORT_TRY(out.finished_ms, value.int_at("finished_ms"));
  return out;
}

}  // namespace

std::string summary_path(const std::string& out, const std::string& stage) {
  return base::join(base::join(out, "summary"), stage + ".json");
}

Result<void> write_summary(const std::string& out, const Summary& summary) {
  json::Value counts = json::Value::object();
  for (const auto& [name, count] : summary.counts) {
    const auto whole = static_cast<int64_t>(count);
    const bool is_whole = static_cast<double>(whole) == count;
    counts.set(name, is_whole ? json::Value(whole) : json::Value(count));
  }
  json::Value notes = json::Value::array();
  for (const auto& note : summary.notes) notes.push(note);
  json::Value value = json::Value::object({{"schema", kSchema},
                                           {"stage", summary.stage},
                                           {"fingerprint", summary.fingerprint},
                                           {"inputs", to_object(summary.inputs)},
                                           {"outputs", to_object(summary.outputs)},
                                           {"counts", std::move(counts)},
                                           {"seconds", summary.seconds},
                                           {"started_ms", summary.started_ms},
                                           {"finished_ms", summary.finished_ms},
                                           {"notes", std::move(notes)}});
  RETORT_TRY_VOID(base::make_directories(base::join(out, "summary")));
  return base::write_file_atomic(summary_path(out, summary.stage), json::dump(value, 2) + "\n");
}

Result<Summary> read_summary(const std::string& out, const std::string& stage) {
  const std::string path = summary_path(out, stage);
  RETORT_TRY(const auto text, base::read_file(path, int64_t{1} << 20));
  RETORT_TRY(const auto value, json::parse(text, path));
  auto summary = from_json(value);
  if (!summary) return summary.error().at(path);
  return summary;
}

std::string fingerprint(const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string all;
  for (const auto& [name, text] : parts) {
    all += fmt::format("{}:{}{}:{}", name.size(), name, text.size(), text);
  }
  return crypto::sha256_hex(all);
}

Result<std::string> digest_of(const std::string& path) {
  if (!base::is_directory(path)) {
    RETORT_TRY(const auto size, base::file_size(path));
    if (size == 0) return crypto::sha256_hex("");
    RETORT_TRY(const auto file, base::MappedFile::open(path));
    return crypto::sha256_hex(file.view());
  }
  RETORT_TRY(const auto names, base::list_directory(path));
  std::vector<std::pair<std::string, std::string>> parts;
  for (const auto& name : names) {
    RETORT_TRY(auto digest, digest_of(base::join(path, name)));
    parts.emplace_back(name, std::move(digest));
  }
  return fingerprint(parts);
}

}  // namespace retort::pipeline
