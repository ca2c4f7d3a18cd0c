// `retort terms lint`, `hash` and `export`.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "base/files.h"
#include "cli/terms_verbs.h"
#include "crypto/hash.h"
#include "pipeline/run.h"
#include "terms/clause.h"
#include "terms/formats.h"
#include "terms/lint.h"

namespace retort::cli {
namespace {

constexpr int64_t kFileBytesMax = int64_t{16} << 20;

}  // namespace

Result<void> lint_files(const TermsArguments& arguments) {
  std::vector<terms::LintInput> files;
  for (const auto& file : arguments.files) {
    RETORT_TRY(auto text, base::read_file(pipeline::shipped(file), kFileBytesMax));
    files.push_back({file, std::move(text)});
  }
  const auto remarks = terms::lint(files);
  for (const auto& remark : remarks) std::printf("%s\n", remark.sentence().c_str());
  const auto errors = std::count_if(remarks.begin(), remarks.end(), [](const auto& remark) {
    return remark.severity == terms::Severity::error;
  });
  std::printf("%zu files: %td errors, %td warnings\n", files.size(), errors,
              static_cast<std::ptrdiff_t>(remarks.size()) - errors);
  if (errors == 0) return {};
  return base::bad_input(fmt::format("{} of what stands above is wrong, not only doubtful", errors),
                         "", "correct the lines that say error");
}

Result<void> hash_files(const TermsArguments& arguments) {
  for (const auto& file : arguments.files) {
    RETORT_TRY(const auto text, base::read_file(file, kFileBytesMax));
    std::printf("# %s\ndoc_sha256 = \"%s\"\nclause_sha256 = \"%s\"\nnormalise = \"clause/1\"\n",
                file.c_str(), crypto::sha256_hex(text).c_str(), terms::clause_sha256(text).c_str());
  }
  return {};
}

Result<void> export_file(const TermsArguments& arguments) {
  if (arguments.files.size() != 1) return base::usage_error("export takes one terms file", "FILE");
  if (arguments.format.empty()) {
    return base::usage_error("in which format?", "--format", "odrl, aipref, rsl or tdmrep");
  }
  RETORT_TRY(const auto terms, terms::load_terms(pipeline::shipped(arguments.files[0])));
  RETORT_TRY(const auto exported, terms::export_terms(terms, arguments.format));
  for (const auto& line : exported.unsaid) {
    std::fprintf(stderr, "%s does not say: %s\n", arguments.format.c_str(), line.c_str());
  }
  if (!arguments.out.empty()) return base::write_file_atomic(arguments.out, exported.text);
  std::fputs(exported.text.c_str(), stdout);
  return {};
}

}  // namespace retort::cli
