// A file of log-probabilities: what is read can be written, and says the same again.
#include <cmath>

#include "corpus/logprob_file_internal.h"
#include "target.h"

namespace {

using retort::corpus::LogprobFile;
using retort::corpus::TokenLogprobs;

bool same(const std::vector<TokenLogprobs>& a, const std::vector<TokenLogprobs>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].entries.size() != b[i].entries.size() || a[i].chosen != b[i].chosen ||
        a[i].tail != b[i].tail) {
      return false;
    }
    for (size_t j = 0; j < a[i].entries.size(); ++j) {
      const auto& [bytes, logprob] = a[i].entries[j];
      const auto& other = b[i].entries[j];
      const bool equal =
          logprob == other.logprob || (std::isnan(logprob) && std::isnan(other.logprob));
      if (bytes != other.bytes || !equal) return false;
    }
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = LogprobFile::parse(std::string(retort::fuzz::text_of(data, size)), "input");
  if (!file) return 0;
  retort::corpus::LogprobWriter writer;
  for (int64_t row = 0; row < (*file)->records(); ++row) {
    writer.add(std::string(64, 'a'), (*file)->read(row));
  }
  const auto again = LogprobFile::parse(writer.finish(), "again");
  if (!again || (*again)->records() != (*file)->records()) __builtin_trap();
  for (int64_t row = 0; row < (*file)->records(); ++row) {
    if (!same((*file)->read(row), (*again)->read(row))) __builtin_trap();
  }
  return 0;
}
