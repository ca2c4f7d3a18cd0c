// The verbs of `retort terms` that ask more of the command line than a file.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace retort::cli {

struct TermsArguments {
  std::string verb;
  std::vector<std::string> files;
  std::string format = {};  // export: odrl, aipref, rsl, tdmrep
  std::string key = {};     // sign
  std::string out = {};     // declare, sign, export
  std::string ledger = {};  // log, declarations, revoke, explain
  std::vector<std::string> deciders = {};
  std::string declarant = {}, role = "counsel", statement = {}, valid_until = {};
  int64_t max_records = 0;
  std::string reason = {};  // revoke
};

Result<void> declare(const TermsArguments& arguments);
Result<void> sign(const TermsArguments& arguments);
Result<void> log_signed(const TermsArguments& arguments);
Result<void> list_declarations(const TermsArguments& arguments);
Result<void> revoke(const TermsArguments& arguments);

// The verbs that read files and say something about them.
Result<void> lint_files(const TermsArguments& arguments);
Result<void> hash_files(const TermsArguments& arguments);
Result<void> export_file(const TermsArguments& arguments);
// Of a run file, of SHARD:ROW, or of a model.
Result<void> explain(const TermsArguments& arguments);

}  // namespace retort::cli
