// Curation of sealed records: reads them through the corpus view, writes those worth learning from
// into shards of their own (split "train" or "held_out", each naming its parent), and the funnel:
// how many were left out, why, and an example of each.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/clearance.h"
#include "corpus/terms_part.h"
#include "curate/funnel.h"
#include "curate/options.h"
#include "curate/sift.h"
#include "json/value.h"
#include "ledger/ledger.h"

namespace retort::curate {

struct Place {
  std::string shards;   // OUT/shards, sealed
  std::string curated;  // OUT/curated, made new
};

struct Summary {
  int64_t records = 0;  // read
  int64_t train = 0;
  int64_t held_out = 0;
  std::vector<FunnelStep> funnel;  // in - dropped of a step is in of the next
  std::vector<std::string> held_out_values;
  std::vector<std::string> notes;
  corpus::SealReport sealed;
};

// Which records count, and in what order.
struct Wanted {
  // Of the records that this run asked for (collect::planned_keys); null: all that are sealed.
  const std::set<std::string>* keys = nullptr;
  // Where they will be learnt part by part; null where they will not.
  corpus::TermsPartOf part_of = nullptr;
  Parts parts = Parts::in_order;  // apart: each is learnt by itself
};

// Refused when the terms do not allow to store; bad_input when nothing is left to
// train on. OUT/curated/funnel.json is written last.
Result<Summary> curate(corpus::Clearance& clearance, ledger::Ledger& ledger, const Options& options,
                       const Place& place, const Wanted& wanted);

// OUT/curated/funnel.json.
json::Value to_json(const Summary& summary, const Options& options);

}  // namespace retort::curate
