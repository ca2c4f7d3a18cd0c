#include "cli/ledger_trace.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "corpus/record_index.h"
#include "lineage/evidence.h"
#include "lineage/manifest.h"

namespace retort::cli {
namespace {

using lineage::Question;
using lineage::Trace;
using Kind = Question::Kind;

constexpr size_t kDigitsShown = 16;

Result<Question> question_of(const TraceArguments& arguments) {
  std::vector<Question> asked;
  const auto put = [&asked](Kind kind, const std::string& id) {
    if (!id.empty()) asked.push_back({kind, id});
  };
  put(Kind::kTerms, arguments.terms);
  put(Kind::kDoor, arguments.door);
  put(Kind::kRecord, arguments.record);
  put(Kind::kDeclaration, arguments.declaration);
  put(Kind::kWeights, arguments.model);
  if (asked.size() != 1) {
    return base::usage_error("trace from what?", "trace",
                             "one of --terms, --door, --record, --declaration, --model");
  }
  Question question = asked.front();
  if (question.kind == Kind::kWeights && base::exists(question.id)) {
    RETORT_TRY(question.id, lineage::logged_digest(question.id));
  }
  return question;
}

std::string text_of(const ledger::Entry& entry, const char* member) {
  return entry.body.string_at(member, "").value_or("");
}
int64_t number_of(const ledger::Entry& entry, const char* member) {
  return entry.body.int_at(member, -1).value_or(-1);
}

std::string date(int64_t time_ms) {
  return time_ms < 0 ? "" : base::iso_date(time_ms);
}

// One line of what is shown of an entry, behind its number and date.
std::string words_of(const ledger::Entry& entry) {
  const std::string digits = entry.name.substr(0, kDigitsShown);
  if (entry.kind == "shard") {
    return fmt::format("{}  {} records, {}, captured {} to {}", digits,
                       base::grouped(number_of(entry, "records")), text_of(entry, "source"),
                       date(number_of(entry, "captured_from_ms")),
                       date(number_of(entry, "captured_to_ms")));
  }
  if (entry.kind == "run") {
    return fmt::format("{}  {}, {} records, {}", digits, text_of(entry, "model_id"),
                       base::grouped(number_of(entry, "records")), text_of(entry, "objective"));
  }
  if (entry.kind == "model") {
    return fmt::format("{}  {}, {}", digits, text_of(entry, "model_id"), text_of(entry, "form"));
  }
  if (entry.kind == "door") {
    return fmt::format("{}  {} {}", digits, text_of(entry, "endpoint"), text_of(entry, "model"));
  }
  return digits;
}

std::string because_of(const ledger::Entry& entry, const lineage::Reason& reason) {
  std::string out;
  if (reason.because != static_cast<uint64_t>(entry.index)) {
    out = fmt::format(", by entry {}", reason.because);
  }
  if (reason.generation > 1) out += fmt::format(", generation {}", reason.generation);
  if (reason.assumed) out += ", assumed";
  return out;
}

Result<void> print_list(ledger::Ledger& log, const char* title,
                        const std::vector<uint64_t>& entries, const Trace& trace) {
  if (entries.empty()) return {};
  std::printf("%s\n", title);
  for (const uint64_t number : entries) {
    RETORT_TRY(const auto entry, log.entry(static_cast<int64_t>(number)));
    std::printf("  %8s  %s  %s%s\n", base::grouped(entry.index).c_str(),
                base::iso_date(entry.time_ms).c_str(), words_of(entry).c_str(),
                because_of(entry, trace.reasons.at(number)).c_str());
  }
  return {};
}

Result<void> print(ledger::Ledger& log, const Question& question, const Trace& trace) {
  std::printf("%s: %zu models, %zu runs, %s records%s in %zu shards\n", question.id.c_str(),
              trace.models.size(), trace.runs.size(),
              base::grouped(static_cast<int64_t>(trace.records)).c_str(),
              trace.whole_shards ? " at most" : "", trace.shards.size());
  if (trace.students_records > 0) {
    std::printf("and %s records that came of these models\n",
                base::grouped(static_cast<int64_t>(trace.students_records)).c_str());
  }
  RETORT_TRY_VOID(print_list(log, "doors", trace.doors, trace));
  RETORT_TRY_VOID(print_list(log, "declarations", trace.declared, trace));
  RETORT_TRY_VOID(print_list(log, "shards", trace.shards, trace));
  RETORT_TRY_VOID(print_list(log, "runs", trace.runs, trace));
  RETORT_TRY_VOID(print_list(log, "models", trace.models, trace));
  std::printf("The log had %s entries.\n",
              base::grouped(static_cast<int64_t>(trace.log_size)).c_str());
  return {};
}

// The entries that the answer names by number, with what a person calls them.
Result<json::Value> described(ledger::Ledger& log, const std::vector<uint64_t>& entries) {
  json::Value out = json::Value::array();
  for (const uint64_t number : entries) {
    RETORT_TRY(const auto entry, log.entry(static_cast<int64_t>(number)));
    json::Value one = json::Value::object(
        {{"entry", entry.index}, {"name", entry.name}, {"time_ms", entry.time_ms}});
    for (const char* member : {"model_id", "form", "source", "endpoint", "model", "records",
                               "captured_from_ms", "captured_to_ms"}) {
      const auto* value = entry.body.find(member);
      if (value != nullptr) one.set(member, *value);
    }
    out.push(std::move(one));
  }
  return out;
}

Result<void> print_as_json(ledger::Ledger& log, const Question& question, const Trace& trace) {
  json::Value out = lineage::to_json(question, trace);
  RETORT_TRY(auto shards, described(log, trace.shards));
  RETORT_TRY(auto runs, described(log, trace.runs));
  RETORT_TRY(auto models, described(log, trace.models));
  RETORT_TRY(auto doors, described(log, trace.doors));
  out.set("shards", std::move(shards));
  out.set("runs", std::move(runs));
  out.set("models", std::move(models));
  out.set("doors", std::move(doors));
  print_json(out);
  return {};
}

// "KEY SHARD:ROW" for each record concerned: of generation 0, since what came of a model is not
// the question's own.
Result<void> write_ids(ledger::Ledger& log, const corpus::RecordIndex& index, const Trace& trace,
                       const std::string& path) {
  RETORT_TRY(auto file, base::FileWriter::create(path));
  for (const uint64_t number : trace.shards) {
    if (trace.reasons.at(number).generation > 0) continue;
    RETORT_TRY(const auto entry, log.entry(static_cast<int64_t>(number)));
    const auto rows = trace.rows.find(number);
    Result<void> written;
    RETORT_TRY_VOID(index.for_each(entry.name, [&](const crypto::Digest& key, uint32_t row) {
      const bool wanted = rows == trace.rows.end() ||
                          std::binary_search(rows->second.begin(), rows->second.end(), row);
      if (!wanted || !written) return;
      written = file.write(fmt::format("{} {}:{}\n", crypto::to_hex(key), entry.name, row));
    }));
    if (!written) return written.error();
  }
  return file.finish();
}

}  // namespace

Result<void> trace(ledger::Ledger& log, const TraceArguments& arguments) {
  RETORT_TRY(const auto question, question_of(arguments));
  const bool by_row = question.kind == Kind::kRecord && !arguments.whole_shards;
  std::optional<corpus::RecordIndex> index;
  if (by_row || !arguments.ids.empty()) {
    RETORT_TRY(index, corpus::RecordIndex::open(log.folder()));
  }
  RETORT_TRY(const auto found, lineage::trace(log, question, by_row ? &*index : nullptr));
  if (!arguments.ids.empty()) RETORT_TRY_VOID(write_ids(log, *index, found, arguments.ids));
  if (!arguments.proofs.empty()) {
    RETORT_TRY_VOID(lineage::write_evidence(log, question, found, arguments.proofs));
  }
  return globals().json ? print_as_json(log, question, found) : print(log, question, found);
}

Result<void> make_index(ledger::Ledger& log, const std::vector<std::string>& folders) {
  RETORT_TRY(const auto report, corpus::update_index(log, folders));
  if (globals().json) {
    json::Value missing = json::Value::array();
    for (const auto& shard : report.missing) missing.push(shard);
    print_json(json::Value::object({{"present", report.present},
                                    {"written", report.written},
                                    {"missing", std::move(missing)}}));
    return {};
  }
  std::printf("%s shards were indexed, %s are new\n", base::grouped(report.present).c_str(),
              base::grouped(report.written).c_str());
  for (const auto& shard : report.missing) {
    std::printf("  %s was not found\n", shard.substr(0, kDigitsShown).c_str());
  }
  return {};
}

}  // namespace retort::cli
