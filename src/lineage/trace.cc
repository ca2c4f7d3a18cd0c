#include "lineage/trace.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "lineage/graph_internal.h"
#include "lineage/walk_internal.h"

namespace retort::lineage {
namespace {

using Kind = Question::Kind;

constexpr size_t kShortestPrefix = 8;

const char* what(Kind kind) {
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

// "SHARD:ROW", or the key of a record that was erased.
Result<std::vector<NodeId>> shards_of_record(const Graph& graph, const std::string& id) {
  const size_t colon = id.find(':');
  if (colon == std::string::npos) {
    RETORT_TRY(auto out, named(graph.erased(), id));
    if (!out.empty()) return out;
    return base::not_found("the log alone does not say which shard holds this record", id,
                           "ask with the index of the records, or name it as SHARD:ROW");
  }
  RETORT_TRY(auto out, named(graph.shards(), id.substr(0, colon)));
  const char* end = id.data() + id.size();
  int64_t row = -1;
  const auto read = std::from_chars(id.data() + colon + 1, end, row);
  if (read.ec != std::errc() || read.ptr != end || row < 0) {
    return base::usage_error("a record is named as SHARD:ROW", id);
  }
  for (const NodeId shard : out) {
    const int64_t records = graph.at(graph.shard_of(shard)).records;
    if (row < records) continue;
    return base::not_found(fmt::format("the shard has {} records, counted from 0", records), id);
  }
  return out;
}

Result<std::vector<NodeId>> seeds_of(const Graph& graph, const Question& question) {
  switch (question.kind) {
    case Kind::kTerms:
      return named(graph.terms(), question.id);
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

// Everything that the walk came to, by kind and number.
Trace result_of(const Graph& graph, const Walk& walk) {
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
  for (auto* list : {&out.shards, &out.runs, &out.models, &out.doors, &out.declared}) {
    std::sort(list->begin(), list->end());
  }
  return out;
}

}  // namespace

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

Result<Trace> Lineage::trace(const Question& question, const corpus::RecordIndex* /*index*/) const {
  RETORT_TRY(const auto seeds, seeds_of(impl_->graph, question));
  if (seeds.empty()) {
    return base::not_found(fmt::format("the log knows no {} of that name", what(question.kind)),
                           question.id, "retort ledger show lists what it holds");
  }
  Walk walk(impl_->graph);
  for (const NodeId seed : seeds) walk.seed(seed);
  walk.run();
  Trace out = result_of(impl_->graph, walk);
  out.log_size = impl_->log_size;
  out.whole_shards = question.kind == Kind::kRecord;
  return out;
}

Result<Trace> trace(ledger::Ledger& log, const Question& question,
                    const corpus::RecordIndex* index) {
  RETORT_TRY(const auto lineage, Lineage::read(log));
  return lineage.trace(question, index);
}

}  // namespace retort::lineage
