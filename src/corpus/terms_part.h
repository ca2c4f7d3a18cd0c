// Records in parts of equal terms, for a training that goes through them part by part
// (train.isolate_by): what permission is likeliest to stay for comes first. Pure functions of one
// record and the known terms, so that the order of two parts does not depend on a third.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/record.h"
#include "ledger/ledger.h"
#include "terms/terms.h"

namespace retort::corpus {

struct TermsPart {
  // Parts sort by it as bytes: how firmly permission was given under the least firm of its terms
  // (irrevocable, on-breach, prospective, then unstated and unknown ones); how many
  // terms there are, as each of them may end; then the ids, each behind a space.
  std::string order;
  std::vector<std::string> ids;  // sorted, each once
  std::string label;             // series and versions, for people
};
TermsPart terms_part(const Record& record, const terms::TermsSet& known);

using TermsPartOf = std::function<TermsPart(const Record&)>;

// The sealed shards of a folder by the part of their records, as the log has it: a shard has one
// set of terms. In the order of the parts; bad_input for a shard that the log does not know.
struct PartShards {
  TermsPart part;
  std::vector<std::string> shards;  // digests
};
Result<std::vector<PartShards>> shards_by_part(ledger::Ledger& ledger, const std::string& folder,
                                               const terms::TermsSet& known);

}  // namespace retort::corpus
