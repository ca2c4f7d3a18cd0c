#include "lineage/trace.h"
#include "lineage/read_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "lineage/graph_internal.h"
#include "lineage/records_internal.h"
#include "lineage/walk_internal.h"

namespace retort::lineage {
namespace {

using Kind = Question::Kind;

// All nodes of that name, or of the only name that begins so; none when there is none.
Result<std::vector<NodeId>> named(const Graph::Names& names, const std::string& text) {
  std::vector<NodeId> out;
  auto [begin, end] = names.equal_range(text);
  if (begin == end && text.size() >= kShortestPrefix) {
    begin = end = names.lower_bound(text);
    for (; end != names.end() && end->first.starts_with(text); ++end) {
      if (end->first == begin->first) continue;
      return base::usage_error(fmt::format("{} and {} both begin so", begin->first, end->first),
                               text, "give more of its digits");
    }
  }
  for (auto it = begin; it != end; ++it) out.push_back(it->second);
  return out;
}

bool is_place(const std::string& record) {
  return record.find(':') != std::string::npos;
}

// "SHARD:ROW".
Result<Rows> rows_at(const Graph& graph, const std::string& id) {
  const size_t colon = id.find(':');
  RETORT_TRY(const auto shards, named(graph.shards(), id.substr(0, colon)));
  const char* end = id.data() + id.size();
  uint32_t row = 0;
  const auto read = std::from_chars(id.data() + colon + 1, end, row);
  if (read.ec != std::errc() || read.ptr != end) {
    return base::usage_error("a record is named as SHARD:ROW", id);
  }
  Rows out;
  for (const NodeId shard : shards) {
    const int64_t records = graph.at(graph.shard_of(shard)).records;
    if (row >= records) {
      return base::not_found(fmt::format("the shard has {} records, counted from 0", records), id);
    }
    out[shard] = {row};
  }
  return out;
}

// The record's shards, as the log alone knows them.
Result<std::vector<NodeId>> shards_of_record(const Graph& graph, const std::string& id) {
  std::vector<NodeId> out;
  if (is_place(id)) {
    RETORT_TRY(const auto rows, rows_at(graph, id));
    for (const auto& [shard, row] : rows) out.push_back(shard);
    return out;
  }
  const auto [begin, end] = graph.erased().equal_range(id);
  for (auto it = begin; it != end; ++it) out.push_back(it->second.records);
  if (!out.empty()) return out;
  return base::not_found("the log alone does not say which shard holds this record", id,
                         "ask with the index of the records, or name it as SHARD:ROW");
}

Result<std::vector<NodeId>> seeds_of(const Graph& graph, const Question& question) {
  switch (question.kind) {
    case Kind::kTerms: {
      // A series that is spelt like an id takes nothing from it.
      RETORT_TRY(const auto version, named(graph.terms(), question.id));
      return version.empty() ? named(graph.series(), question.id) : version;
    }
    case Kind::kDoor:
      return named(graph.doors(), question.id);
    case Kind::kRecord:
      return shards_of_record(graph, question.id);
    case Kind::kDeclaration:
      return named(graph.declarations(), question.id);
    case Kind::kWeights:
      return named(graph.weights(), question.id);
  }
  return std::vector<NodeId>();
}

Error unknown(const Question& question) {
  return base::not_found(fmt::format("the log knows no {} of that name", name(question.kind)),
                         question.id, "retort ledger show lists what it holds");
}

// Rows of shards that were followed one by one. Where the walk came to such a shard as well, all of
// it is the answers of a student.
void add_rows(const Graph& graph, const FollowedRows& followed, Trace& out) {
  for (const auto& [shard, rows] : followed.rows) {
    const auto entry = static_cast<uint64_t>(graph.at(shard).entry);
    const auto from = static_cast<uint64_t>(graph.at(followed.from.at(shard)).entry);
    if (out.reasons.contains(entry)) {
      out.students_records -= rows.size();
    } else {
      out.shards.push_back(entry);
    }
    out.reasons[entry] = {.because = from, .generation = 0, .assumed = false};
    out.records += rows.size();
    out.rows[entry] = rows;
  }
}

// Everything that the walk came to, by kind and number.
Trace result_of(const Graph& graph, const Walk& walk, const FollowedRows& followed) {
  Trace out;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const auto& place = graph.at(id);
    if (!walk.reached(id) || place.entry < 0) continue;
    const auto entry = static_cast<uint64_t>(place.entry);
    const Reason reason = walk.reason(id);
    const auto put = [&](std::vector<uint64_t>& list) {
      list.push_back(entry);
      out.reasons[entry] = reason;
    };
    if (place.kind == Node::shard) {
      put(out.shards);
      (reason.generation == 0 ? out.records : out.students_records) +=
          static_cast<uint64_t>(place.records);
    }
    if (place.kind == Node::run) put(out.runs);
    if (place.kind == Node::model) put(out.models);
    if (place.kind == Node::door) put(out.doors);
    if (place.kind == Node::declaration) put(out.declared);
  }
  add_rows(graph, followed, out);
  for (auto* list : {&out.shards, &out.runs, &out.models, &out.doors, &out.declared}) {
    std::sort(list->begin(), list->end());
  }
  return out;
}

}  // namespace

const char* name(Question::Kind kind) {
  switch (kind) {
    case Kind::kTerms:
      return "terms";
    case Kind::kDoor:
      return "door";
    case Kind::kRecord:
      return "record";
    case Kind::kDeclaration:
      return "declaration";
    case Kind::kWeights:
      return "weights";
  }
  return "";
}

struct Lineage::Impl {
  Graph graph;
  uint64_t log_size = 0;
};

Lineage::Lineage() : impl_(std::make_unique<Impl>()) {}
Lineage::Lineage(Lineage&&) noexcept = default;
Lineage& Lineage::operator=(Lineage&&) noexcept = default;
Lineage::~Lineage() = default;

uint64_t Lineage::log_size() const {
  return impl_->log_size;
}

Result<void> Lineage::add(const ledger::Entry& entry) {
  auto added = impl_->graph.add(entry);
  if (!added) return added.error().at(fmt::format("entry {} of the log", entry.index));
  impl_->log_size = static_cast<uint64_t>(entry.index) + 1;
  return {};
}

Result<Lineage> Lineage::read(ledger::Ledger& log) {
  Lineage out;
  RETORT_TRY_VOID(out.update(log));
  return out;
}

// Another process may append meanwhile: entries are of one moment, up to the size seen first.
Result<void> Lineage::update(ledger::Ledger& log) {
  RETORT_TRY(const auto head, log.head());
  const auto from = static_cast<int64_t>(impl_->log_size);
  // An entry may name earlier ones of its own kind and of those before it here.
  for (const char* kind : {"terms", "termset", "door", "weights", "declaration", "shard", "run",
                           "model", "served", "erasure"}) {
    RETORT_TRY_VOID(log.for_each(kind, [&](const ledger::Entry& entry) -> Result<void> {
      if (entry.index < from || entry.index >= head.size) return {};
      return add(entry);
    }));
  }
  impl_->log_size = static_cast<uint64_t>(head.size);
  return {};
}

Result<Trace> Lineage::trace(const Question& question, const corpus::RecordIndex* index) const {
  const Graph& graph = impl_->graph;
  const bool by_row = question.kind == Kind::kRecord && index != nullptr;
  Walk walk(graph);
  FollowedRows followed;
  if (by_row) {
    RETORT_TRY(auto rows, is_place(question.id) ? rows_at(graph, question.id)
                                                : rows_named(graph, *index, question.id));
    if (rows.empty()) return unknown(question);
    RETORT_TRY(followed, follow(graph, *index, std::move(rows)));
    RETORT_TRY_VOID(seed_runs(graph, *index, followed.rows, walk));
  } else {
    RETORT_TRY(const auto seeds, seeds_of(graph, question));
    if (seeds.empty()) return unknown(question);
    for (const NodeId seed : seeds) walk.seed(seed);
  }
  walk.run();
  Trace out = result_of(graph, walk, followed);
  out.log_size = impl_->log_size;
  out.whole_shards = question.kind == Kind::kRecord && !by_row;
  return out;
}

Trace Lineage::trace_runs(const std::vector<int64_t>& runs) const {
  const Graph& graph = impl_->graph;
  Walk walk(graph);
  for (const int64_t run : runs) {
    const NodeId node = graph.of_run(run);
    if (node != Graph::kNone) walk.seed(node);
  }
  walk.run();
  Trace out = result_of(graph, walk, {});
  out.log_size = impl_->log_size;
  return out;
}

Result<Trace> trace(ledger::Ledger& log, const Question& question,
                    const corpus::RecordIndex* index) {
  RETORT_TRY(const auto lineage, Lineage::read(log));
  return lineage.trace(question, index);
}

}  // namespace retort::lineage
