// A model's bill of materials: what it learnt from, through which doors, under which terms, and
// what they ask of it, gathered from the log alone. Two writers print it: CycloneDX 1.6
// (cyclonedx.h) and SPDX 3.0.1 (spdx.h). docs/reference/bom.md says which field comes from where.
// The same log gives the same bytes.
//
// Errors: not_found for a model that the log does not know, bad_input for entries that are not what
// they should be.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "lineage/manifest.h"
#include "lineage/state.h"
#include "release/duties.h"
#include "terms/terms.h"

namespace retort::release {

// A version of terms that binds a part of what the model came from.
struct BomTerms {
  terms::Terms terms;
  int64_t entry = -1;
  int64_t records = 0;  // that were learnt from under it; 0 where it binds weights alone
  bool of_weights = false;
};

// A way that answers came.
struct BomDoor {
  int64_t entry = -1;
  std::string provider, endpoint, plan, model;
  int64_t records = 0;
};

struct BomShard {
  int64_t entry = -1;
  std::string digest, root, source;
  int64_t records = 0;
  int64_t from_ms = 0, to_ms = 0;  // captured
};

struct BomVerdict {
  int64_t entry = -1;
  std::string path, action, decision;
  int64_t records = 0, refused = 0;
};

struct BomDeclaration {
  int64_t entry = -1;
  std::string statement;  // the signed bytes, verbatim
};

struct Bom {
  lineage::ModelEntry model;
  lineage::Standing standing;               // of the model, as the log has it now
  std::optional<lineage::RunManifest> run;  // none: made by no run of this log
  std::vector<BomTerms> terms;              // by id
  std::vector<BomDoor> doors;
  std::vector<BomShard> shards;
  std::vector<BomVerdict> verdicts;
  std::vector<BomDeclaration> declarations;
  std::vector<Duty> duties;  // of a model that is distributed
  std::string origin, root;  // of the log, whose root is that of its first `size` entries
  int64_t size = 0;
  std::string program;
};

// Of the model whose entry in the log is named `digest`.
Result<Bom> bom_of(ledger::Ledger& ledger, const std::string& digest, const std::string& program);

int64_t records_of(const Bom& bom);
// 1 for a model that was always clear; one more for every change of its state: the later document
// takes the place of the earlier one.
int64_t version_of(const Bom& bom);
// First and last capture; 0 and 0 without records.
std::pair<int64_t, int64_t> captured(const Bom& bom);

// JSON of CycloneDX 1.6 (ECMA-424), and JSON-LD of SPDX 3.0.1.
json::Value cyclonedx(const Bom& bom);
json::Value spdx(const Bom& bom);
// Section 2.5 of the EU template for general-purpose models' training content (C(2025) 8311), and
// California's AB 2013, as Markdown: what the log can answer, and what it cannot.
std::string disclosures(const Bom& bom);

}  // namespace retort::release
