// A user's own texts, sealed as records of kind human.
#include <fmt/core.h>

#include <set>

#include "base/files.h"
#include "base/random.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {
namespace {

constexpr const char* kShapes =
    R"(a line is {"messages": [...]} ending with the assistant, or {"prompt", "completion"}, )"
    R"(or {"text"})";

Error malformed(std::string what) {
  return base::bad_input(std::move(what), "", kShapes);
}

Result<std::string> text_of(const json::Value& value, const char* key) {
  const auto* found = value.find(key);
  if (found == nullptr || !found->is_string() || found->as_string().empty()) {
    return malformed(fmt::format("“{}” is not a text", key));
  }
  return found->as_string();
}

Result<void> read_messages(const json::Value& items, Record& record) {
  if (!items.is_array()) return malformed("“messages” is not a list");
  for (const auto& item : items.as_array()) {
    RETORT_TRY(const auto word, text_of(item, "role"));
    const auto role = dialog::parse_role(word);
    if (!role) return malformed(fmt::format("there is no role “{}”", word));
    const auto* content = item.find("content");
    if (content == nullptr || !content->is_string()) return malformed("a message has no content");
    record.messages.push_back({*role, content->as_string()});
  }
  if (record.messages.empty() || record.messages.back().role != dialog::Role::assistant ||
      record.messages.back().content.empty()) {
    return malformed("the last message is not an answer of the assistant");
  }
  record.answer = std::move(record.messages.back().content);
  record.messages.pop_back();
  return {};
}

Result<Record> read_own(const json::Value& value) {
  Record record;
  record.kind = Kind::human;
  // Sealed records that are passed off as own texts would lose the terms they came under.
  if (value.find("retort") != nullptr) {
    return base::bad_input("this line is a record with an origin of its own, no text of yours", "",
                           "use the shard that it came from");
  }
  if (const auto* messages = value.find("messages"); messages != nullptr) {
    RETORT_TRY_VOID(read_messages(*messages, record));
  } else if (value.find("prompt") != nullptr) {
    RETORT_TRY(auto prompt, text_of(value, "prompt"));
    RETORT_TRY(record.answer, text_of(value, "completion"));
    record.messages.push_back({dialog::Role::user, std::move(prompt)});
  } else if (value.find("text") != nullptr) {
    RETORT_TRY(record.answer, text_of(value, "text"));
  } else {
    return malformed("there is nothing to learn from in this line");
  }
  return record;
}

Result<std::vector<Record>> read_lines(const std::string& path) {
  RETORT_TRY(const auto text, base::read_file(path));
  std::vector<Record> records;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const auto line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", path, number);
    RETORT_TRY(const auto value, json::parse(line, where));
    auto record = read_own(value);
    if (!record) return record.error().at(where);
    records.push_back(std::move(*record));
  }
  if (records.empty()) return base::bad_input("the file has no texts", path, kShapes);
  return records;
}

// Keys of what earlier imports left in the folder.
Result<std::set<std::string>> imported_keys(const std::string& folder, ledger::Ledger& ledger,
                                            CodeBook& codes) {
  std::set<std::string> keys;
  const auto shards = list_shards(folder);
  if (!shards && shards.error().code == ErrorCode::not_found) return keys;
  if (!shards) return shards.error();
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  for (const auto& shard : *shards) {
    const auto* entry = index.by_name(shard_name(shard.path()));
    if (entry == nullptr || entry->source != "import") continue;
    RETORT_TRY(const auto read, read_shard(shard, index, codes));
    for (const auto& record : read.records) keys.insert(record.key);
  }
  return keys;
}

}  // namespace

Result<SealReport> import_jsonl(const std::string& path, ledger::Ledger& ledger,
                                const ImportOptions& options) {
  if (options.terms.empty()) {
    return base::usage_error("the run does not say under which terms these texts stand", path,
                             "name a terms file, \"terms/own-work.toml\" for texts of your own");
  }
  RETORT_TRY(const auto terms, terms::load_terms_set(options.terms));
  RETORT_TRY(auto read, read_lines(path));
  RETORT_TRY_VOID(base::make_directories(options.seal.folder));
  RETORT_TRY_VOID(mend_folder(options.seal.folder, ledger));
  CodeBook codes(ledger);
  RETORT_TRY_VOID(codes.log_terms(terms));
  RETORT_TRY(auto keys, imported_keys(options.seal.folder, ledger, codes));

  auto& clock = options.clock != nullptr ? *options.clock : base::system_clock();
  const int64_t now_ms = clock.wall_ms();
  SealReport report;
  std::vector<Record> records;
  for (auto& record : read) {
    for (const auto* one : terms.all()) record.terms.push_back({one->id, terms::Object::texts});
    record.key = record_key(record);
    record.captured_ms = now_ms;
    base::secure_random(record.salt.data(), record.salt.size());
    if (keys.insert(record.key).second) {
      records.push_back(std::move(record));
    } else {
      ++report.already;
    }
  }
  const auto most = static_cast<size_t>(std::max<int64_t>(options.seal.records_per_shard, 1));
  for (size_t at = 0; at < records.size(); at += most) {
    const std::span<const Record> batch(records.data() + at, std::min(most, records.size() - at));
    RETORT_TRY(const auto written,
               write_shard(batch, ledger, codes, options.seal, {.source = "import"}));
    report.records += static_cast<int64_t>(batch.size());
    report.shards.push_back(written.path);
  }
  return report;
}

}  // namespace retort::corpus
