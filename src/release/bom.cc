#include "release/bom.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "crypto/hash.h"
#include "terms/statement.h"

namespace retort::release {
namespace {

using lineage::RunManifest;

std::string text_at(const json::Value& body, const char* key) {
  return body.string_at(key, "").value_or("");
}

int64_t number_at(const json::Value& body, const char* key) {
  return body.int_at(key, 0).value_or(0);
}

struct Bound {
  int64_t records = 0;
  bool weights = false;
};

Result<BomTerms> read_terms(ledger::Ledger& ledger, const std::string& id, const Bound& bound) {
  RETORT_TRY(const auto entry, ledger.find("terms", id));
  RETORT_TRY(const auto text, entry.body.string_at("text"));
  BomTerms out;
  RETORT_TRY(out.terms, terms::parse_terms(text, fmt::format("entry {}", entry.index)));
  out.entry = entry.index;
  out.records = bound.records;
  out.of_weights = bound.weights;
  return out;
}

// Everything that binds the model: its records' terms, and those of weights it came from.
Result<void> add_terms(ledger::Ledger& ledger, const RunManifest& run, Bom& bom) {
  std::map<std::string, Bound> bounds;
  for (const auto& share : run.by_terms) {
    for (const auto& id : share.terms) bounds[id].records += share.records;
  }
  const auto add_weights = [&bounds](const lineage::WeightsUsed& weights) {
    for (const auto& id : weights.terms) bounds[id].weights = true;
  };
  if (run.base) add_weights(*run.base);
  for (const auto& teacher : run.teachers) add_weights(teacher);
  for (const auto& asked : run.asked) {
    for (const auto& id : asked.terms) bounds.try_emplace(id);
  }
  for (const auto& [id, bound] : bounds) {
    RETORT_TRY(auto one, read_terms(ledger, id, bound));
    bom.terms.push_back(std::move(one));
  }
  return {};
}

// Those that gave records, and one that was asked about the student's answers and gave none.
Result<void> add_doors(ledger::Ledger& ledger, const RunManifest& run, Bom& bom) {
  std::vector<lineage::DoorShare> doors = run.by_door;
  for (const auto& asked : run.asked) doors.push_back({asked.door, 0});
  for (const auto& share : doors) {
    RETORT_TRY(const auto entry, ledger.entry(share.door));
    bom.doors.push_back({.entry = entry.index,
                         .provider = text_at(entry.body, "provider"),
                         .endpoint = text_at(entry.body, "endpoint"),
                         .plan = text_at(entry.body, "plan"),
                         .model = text_at(entry.body, "model"),
                         .records = share.records});
  }
  return {};
}

Result<void> add_shards(ledger::Ledger& ledger, const RunManifest& run, Bom& bom) {
  for (const int64_t index : run.shards) {
    RETORT_TRY(const auto entry, ledger.entry(index));
    bom.shards.push_back({.entry = index,
                          .digest = entry.name,
                          .root = text_at(entry.body, "root"),
                          .source = text_at(entry.body, "source"),
                          .records = number_at(entry.body, "records"),
                          .from_ms = number_at(entry.body, "captured_from_ms"),
                          .to_ms = number_at(entry.body, "captured_to_ms")});
  }
  return {};
}

Result<void> add_verdicts(ledger::Ledger& ledger, const RunManifest& run, Bom& bom) {
  for (const int64_t index : run.verdicts) {
    RETORT_TRY(const auto entry, ledger.entry(index));
    bom.verdicts.push_back({.entry = index,
                            .path = text_at(entry.body, "path"),
                            .action = text_at(entry.body, "action"),
                            .decision = text_at(entry.body, "decision"),
                            .records = number_at(entry.body, "records"),
                            .refused = number_at(entry.body, "refused")});
  }
  return {};
}

Result<void> add_declarations(ledger::Ledger& ledger, const RunManifest& run, Bom& bom) {
  for (const int64_t index : run.declarations) {
    RETORT_TRY(const auto entry, ledger.entry(index));
    const auto* value = entry.body.find("envelope");
    if (value == nullptr) {
      return base::bad_input("a declaration without its envelope", fmt::format("entry {}", index));
    }
    RETORT_TRY(const auto envelope,
               terms::envelope_from_json(*value, fmt::format("entry {}", index)));
    bom.declarations.push_back({index, envelope.payload});
  }
  return {};
}

// What records bring is owed for answers and texts alike: which of both a terms file bound is not
// in the manifest.
bool is_owed(const terms::Duty& duty, const BomTerms& by) {
  return (by.of_weights && duty.binds(terms::Object::weights)) ||
         (by.records > 0 && duty.object != terms::Object::weights);
}

void add_duties(Bom& bom) {
  std::vector<terms::OwedDuty> owed;
  for (const auto& one : bom.terms) {
    for (const auto& duty : one.terms.duties) {
      if (is_owed(duty, one)) owed.push_back({one.terms.id, one.terms.label(), duty});
    }
  }
  bom.duties = duties_of(owed);
}

}  // namespace

Result<Bom> bom_of(ledger::Ledger& ledger, const std::string& digest, const std::string& program) {
  Bom bom;
  RETORT_TRY(bom.model, lineage::find_model(ledger, digest));
  RETORT_TRY(const auto standings, lineage::Standings::read(ledger));
  RETORT_TRY(const auto* standing, standings.find(bom.model.name));
  bom.standing = *standing;
  RETORT_TRY(const auto head, ledger.head());
  bom.origin = ledger.origin();
  bom.size = head.size;
  bom.root = crypto::to_hex(head.root);
  bom.program = program;
  if (bom.model.run < 0) return bom;
  RETORT_TRY(bom.run, lineage::find_run(ledger, bom.model.run));
  RETORT_TRY_VOID(add_terms(ledger, *bom.run, bom));
  RETORT_TRY_VOID(add_doors(ledger, *bom.run, bom));
  RETORT_TRY_VOID(add_shards(ledger, *bom.run, bom));
  RETORT_TRY_VOID(add_verdicts(ledger, *bom.run, bom));
  RETORT_TRY_VOID(add_declarations(ledger, *bom.run, bom));
  add_duties(bom);
  return bom;
}

int64_t version_of(const Bom& bom) {
  const auto& standing = bom.standing;
  return 1 + std::ssize(standing.moves) + (standing.logged() == standing.state ? 0 : 1);
}

int64_t records_of(const Bom& bom) {
  return bom.run ? bom.run->records : 0;
}

std::pair<int64_t, int64_t> captured(const Bom& bom) {
  std::pair<int64_t, int64_t> out{0, 0};
  for (const auto& shard : bom.shards) {
    if (out.first == 0 || shard.from_ms < out.first) out.first = shard.from_ms;
    out.second = std::max(out.second, shard.to_ms);
  }
  return out;
}

}  // namespace retort::release
