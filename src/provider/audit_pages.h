// Looking into the audit (audit.h) while it is written: its sealed lines from the newest backwards,
// and what lets somebody else check one of them without trusting this server: the segment's bytes,
// the proof that the log holds their digest, the proof that the log only grew.
//
// From one thread at a time. Errors: not_found, bad_input (what does not fit the log), storage.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::provider {

struct AuditLine {
  int64_t entry = 0;  // of the log, whose name is the digest of the segment
  int64_t line = 0;   // of the segment, from 0
  std::string text;   // as it stands there, without the line's end
};

// Empty members ask for everything.
struct AuditFilter {
  std::string kind{}, account{}, case_id{};
};

// Lines before this one; the default: the newest.
struct AuditPlace {
  int64_t entry = INT64_MAX, line = 0;
};

struct AuditPage {
  std::vector<AuditLine> lines;  // newest first
  AuditPlace next;               // where to go on; entry 0 and line 0: there is no more
  bool over() const { return next.entry == 0 && next.line == 0; }
};

class AuditPages {
 public:
  // not_found where nothing was audited yet.
  static Result<std::unique_ptr<AuditPages>> open(const std::string& folder);

  // At most `most` lines, and fewer where much had to be looked through for them: go on at `next`.
  Result<AuditPage> page(const AuditFilter& filter, const AuditPlace& before, int64_t most);
  // Whose digest is the name of an entry; checked against it.
  Result<std::string> segment(int64_t entry);
  // Checked before it is given.
  Result<ledger::Proof> prove(int64_t entry);
  // That the log as it is now continues the one of `old_size` entries, and the checkpoint of now.
  struct Growth {
    std::vector<ledger::Digest> path;
    std::string checkpoint;
  };
  Result<Growth> prove_growth(int64_t old_size);
  Result<std::string> checkpoint();
  const std::string& origin() const { return log_->origin(); }
  const crypto::PublicKey& public_key() const { return log_->public_key(); }

 private:
  AuditPages(std::string folder, std::unique_ptr<ledger::Ledger> log)
      : folder_(std::move(folder)), log_(std::move(log)) {}
  std::string folder_;
  std::unique_ptr<ledger::Ledger> log_;
};

}  // namespace retort::provider
