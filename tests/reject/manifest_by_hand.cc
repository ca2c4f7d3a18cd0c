// Only the log's own function makes the manifest that training needs, and from cleared records.
// rejected: is private within this context
#include "lineage/manifest.h"

namespace retort {

bool log(ledger::Ledger& ledger, const lineage::RunInput& input) {
#ifdef RETORT_FORBIDDEN
  (void)ledger;
  (void)input;
  const lineage::LoggedRun run{lineage::RunManifest()};
  return run.manifest().entry >= 0;
#else
  return lineage::log_run(ledger, input).ok();
#endif
}

}  // namespace retort
