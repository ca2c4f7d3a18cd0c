#include "ledger/made_up.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "corpus/record_index.h"
#include "lineage/manifest.h"

namespace retort::bench {
namespace {

constexpr int64_t kTime_ms = 1'780'272'000'000;

// Spreads neighbours far apart.
uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9E3779B97F4A7C15u + b * 0xC2B2AE3D27D4EB4Fu + 1;
  x ^= x >> 31;
  x *= 0xBF58476D1CE4E5B9u;
  x ^= x >> 29;
  return x;
}

int64_t pick(int64_t a, int64_t b, int64_t n) {
  return static_cast<int64_t>(mix(static_cast<uint64_t>(a), static_cast<uint64_t>(b)) %
                              static_cast<uint64_t>(n));
}

std::string name_of(const char* kind, int64_t number) {
  return crypto::sha256_hex(fmt::format("{} {}", kind, number));
}

json::Value numbers(const std::vector<int64_t>& entries) {
  json::Value out = json::Value::array();
  for (const int64_t entry : entries) out.push(entry);
  return out;
}

}  // namespace

std::string MadeUpHouse::shard_digest(int64_t shard) {
  return name_of("shard", shard);
}
std::string MadeUpHouse::model_digest(int64_t model) {
  return name_of("model", model);
}
std::string MadeUpHouse::terms_id(int64_t door) const {
  return name_of("terms", door);
}
std::string MadeUpHouse::door_name(int64_t door) const {
  return name_of("door", door);
}

crypto::Digest MadeUpHouse::key(int64_t shard, int64_t row) {
  std::string text(16, '\0');
  for (size_t i = 0; i < 8; ++i) {
    text[i] = static_cast<char>(shard >> (8 * i) & 255);
    text[8 + i] = static_cast<char>(row >> (8 * i) & 255);
  }
  return crypto::sha256(text);
}

int64_t MadeUpHouse::door_of_any(int64_t shard) const {
  return is_derived(shard) ? pick(shard, 1, size_.doors) : door_of(shard);
}

std::vector<MadeUpHouse::Place> MadeUpHouse::parents(int64_t shard, int64_t row) const {
  if (!is_derived(shard)) return {};
  const int64_t door = door_of_any(shard);
  const int64_t of_door = (size_.shards / 2 - door + size_.doors - 1) / size_.doors;
  std::vector<Place> out;
  for (int64_t i = 0; i < (row % 10 == 0 ? 2 : 1); ++i) {
    // Rows of one block come of one shard, as curation leaves them.
    const int64_t parent = door + size_.doors * pick(shard, row / 4'096 + 100 * i, of_door);
    out.push_back({parent, pick(shard, row * 2 + i + 7, size_.rows)});
  }
  return out;
}

std::vector<int64_t> MadeUpHouse::shards_of_run(int64_t run) const {
  std::set<int64_t> out;
  // Every tenth run learns from a great part of the corpus.
  const int64_t n = run % 10 == 0 ? size_.shards / 4 : 1 + pick(run, 2, 12);
  for (int64_t draw = 0; static_cast<int64_t>(out.size()) < std::min(n, size_.shards); ++draw) {
    out.insert(pick(run, 3 + draw, size_.shards));
  }
  return {out.begin(), out.end()};
}

int64_t MadeUpHouse::model_of_run(int64_t run) const {
  const int64_t every = size_.runs / size_.models;
  return run % every == 0 && run / every < size_.models ? run / every : -1;
}

int64_t MadeUpHouse::base_of_run(int64_t run) const {
  const int64_t every = size_.runs / size_.models;
  const int64_t before = (run + every - 1) / every;  // models that were there
  if (before == 0 || run % 3 != 0) return -1;
  return pick(run, 4, std::min(before, size_.models));
}

json::Value MadeUpHouse::shard_body(int64_t shard, const std::set<int64_t>& parents) const {
  const auto door = static_cast<size_t>(door_of_any(shard));
  return json::Value::object({{"schema", "retort.shard/1"},
                              {"source", is_derived(shard) ? "curate" : "collect"},
                              {"records", size_.rows},
                              {"root", std::string(64, '0')},
                              {"columns", std::string(64, '0')},
                              {"terms_sets", json::Value::array({set_entries_[door]})},
                              {"captured_from_ms", kTime_ms},
                              {"captured_to_ms", kTime_ms},
                              {"doors", json::Value::array({door_entries_[door]})},
                              {"parents", numbers({parents.begin(), parents.end()})}});
}

Result<void> MadeUpHouse::write_dictionaries(ledger::Ledger& log) {
  for (int64_t i = 0; i < size_.doors; ++i) {
    RETORT_TRY_VOID(log.append("terms", terms_id(i), json::Value::object({{"series", "s"}})));
    const auto item = json::Value::object({{"id", terms_id(i)}, {"object", "outputs"}});
    RETORT_TRY(const auto set,
               log.append("termset", name_of("set", i),
                          json::Value::object({{"terms", json::Value::array({item})}})));
    set_entries_.push_back(set);
    RETORT_TRY(const auto door,
               log.append("door", door_name(i),
                          json::Value::object({{"provider", fmt::format("p{}", i)},
                                               {"endpoint", fmt::format("https://p{}/v1", i)},
                                               {"plan", ""},
                                               {"model", "m"}})));
    door_entries_.push_back(door);
  }
  return {};
}

Result<void> MadeUpHouse::write_shards(ledger::Ledger& log, Times& times) {
  for (int64_t shard = 0; shard < size_.shards; ++shard) {
    const std::string digest = shard_digest(shard);
    digests_.push_back(digest);
    double from_s = base::monotonic_seconds();
    corpus::RecordIndexWriter index("made up");
    std::vector<corpus::ParentLink> links;
    std::set<int64_t> of;
    for (int64_t row = 0; row < size_.rows; ++row) {
      links.clear();
      for (const auto& parent : parents(shard, row)) {
        links.push_back({digests_[static_cast<size_t>(parent.shard)], parent.row, ""});
        of.insert(shard_entries[static_cast<size_t>(parent.shard)]);
      }
      const char* split = is_held_out(shard, row) ? "held_out" : "train";
      RETORT_TRY_VOID(index.add(crypto::to_hex(key(shard, row)), split, links));
    }
    const auto door = static_cast<size_t>(door_of_any(shard));
    RETORT_TRY_VOID(index.finish(ledger_folder(), digest, set_entries_[door]));
    times.index_s += base::monotonic_seconds() - from_s;
    from_s = base::monotonic_seconds();
    RETORT_TRY_VOID(log.append("shard", digest, shard_body(shard, of)));
    RETORT_TRY(const auto entry, log.find("shard", digest));
    shard_entries.push_back(entry.index);
    times.log_s += base::monotonic_seconds() - from_s;
  }
  RETORT_TRY(const auto index, corpus::RecordIndex::open(ledger_folder()));
  times.index_bytes = index.size_bytes();
  return {};
}

json::Value MadeUpHouse::run_body(int64_t run) const {
  lineage::RunManifest out;
  out.model_id = fmt::format("m-{}", run);
  out.split = "train";
  out.selection = name_of("selection", run);
  std::vector<int64_t> by_door(static_cast<size_t>(size_.doors));
  for (const int64_t shard : shards_of_run(run)) {
    out.shards.push_back(shard_entries[static_cast<size_t>(shard)]);
    by_door[static_cast<size_t>(door_of_any(shard))] += size_.rows - size_.rows / 20;
  }
  for (size_t door = 0; door < by_door.size(); ++door) {
    if (by_door[door] == 0) continue;
    out.records += by_door[door];
    out.by_terms.push_back({{terms_id(static_cast<int64_t>(door))}, by_door[door]});
    out.by_door.push_back({door_entries_[door], by_door[door]});
  }
  std::sort(out.shards.begin(), out.shards.end());
  const int64_t base = base_of_run(run);
  if (base >= 0) {
    const std::string digest = model_digest(base);
    out.base = lineage::WeightsUsed{.digest = digest,
                                    .model = "m",
                                    .verdict = -1,
                                    .terms = {},
                                    .files = {{"m.gguf", 1, digest}}};
  }
  return lineage::to_json(out);
}

Result<void> MadeUpHouse::write_runs(ledger::Ledger& log) {
  for (int64_t run = 0; run < size_.runs; ++run) {
    RETORT_TRY(const auto entry, log.append("run", name_of("run", run), run_body(run)));
    run_entries.push_back(entry);
    const int64_t model = model_of_run(run);
    if (model < 0) continue;
    lineage::ModelEntry its;
    its.model_id = fmt::format("m-{}", run);
    its.form = "gguf";
    its.run = entry;
    its.files = {{"m.gguf", 1, model_digest(model)}};
    RETORT_TRY(const auto index, log.append("model", model_digest(model), lineage::to_json(its)));
    model_entries.push_back(index);
  }
  return {};
}

Result<MadeUpHouse::Times> MadeUpHouse::write() {
  Times times;
  RETORT_TRY(auto log, ledger::Ledger::open(ledger_folder(), {.create = true, .clock = nullptr}));
  double from_s = base::monotonic_seconds();
  RETORT_TRY_VOID(write_dictionaries(*log));
  times.log_s += base::monotonic_seconds() - from_s;
  RETORT_TRY_VOID(write_shards(*log, times));
  from_s = base::monotonic_seconds();
  RETORT_TRY_VOID(write_runs(*log));
  times.log_s += base::monotonic_seconds() - from_s;
  RETORT_TRY(const auto head, log->head());
  times.entries = head.size;
  return times;
}

Result<void> MadeUpHouse::read() {
  RETORT_TRY(auto log, ledger::Ledger::open(ledger_folder(), {.create = false}));
  const auto read = [&](const char* kind, std::vector<int64_t>& out) {
    return log->for_each(kind, [&out](const ledger::Entry& entry) -> Result<void> {
      out.push_back(entry.index);
      return {};
    });
  };
  RETORT_TRY_VOID(read("shard", shard_entries));
  RETORT_TRY_VOID(read("run", run_entries));
  return read("model", model_entries);
}

}  // namespace retort::bench
