#include "pipeline/licence_texts.h"

#include <algorithm>

#include "base/files.h"
#include "pipeline/permission.h"

namespace retort::pipeline {
namespace {

constexpr int64_t kTextBytesMax = int64_t{1} << 20;

struct TermsFile {
  std::string id, folder;
};

Result<std::vector<TermsFile>> terms_files(const RunOptions& options) {
  std::vector<TermsFile> files;
  for (const auto& path : terms_paths(options)) {
    RETORT_TRY(const auto terms, terms::load_terms(path));
    files.push_back({terms.id, base::parent(path)});
  }
  return files;
}

// The name may stem from somebody else's file and must not lead out of the folder.
std::string text_path(const std::string& folder, const std::string& licence) {
  return base::join(base::join(folder, "LICENSES"), base::base_name(licence) + ".txt");
}

// Two terms may call different texts by one name; both are owed then.
Result<void> add_text(std::string& text, const std::string& path) {
  if (!base::exists(path)) return {};
  RETORT_TRY(const auto found, base::read_file(path, kTextBytesMax));
  if (text.find(found) == std::string::npos) text += (text.empty() ? "" : "\n") + found;
  return {};
}

}  // namespace

Result<std::map<std::string, std::string>> licence_texts(
    const RunOptions& options, const std::vector<terms::OwedDuty>& duties) {
  RETORT_TRY(const auto files, terms_files(options));
  std::map<std::string, std::string> texts;
  for (const auto& owed : duties) {
    const std::string& licence = owed.duty.licence_copy;
    if (licence.empty()) continue;
    const auto owes = [&owed](const TermsFile& file) { return file.id == owed.terms_id; };
    // An earlier version that only the ledger knows has no folder of its own.
    const bool named = std::any_of(files.begin(), files.end(), owes);
    for (const auto& file : files) {
      if (named && !owes(file)) continue;
      RETORT_TRY_VOID(add_text(texts[licence], text_path(file.folder, licence)));
    }
  }
  return texts;
}

}  // namespace retort::pipeline
