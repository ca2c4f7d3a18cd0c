#include "provider/audit_pages.h"

#include <fmt/core.h>

#include "json/value.h"
#include "provider/audit_internal.h"
#include "provider/segments_internal.h"

namespace retort::provider {
namespace {

// What one page looks through, whether or not its filter finds anything there.
constexpr int64_t kEntriesAtOnce = 64;
constexpr int64_t kLinesAtOnce = 20'000;

bool is(const json::Value& line, const char* key, const std::string& wanted) {
  if (wanted.empty()) return true;
  const json::Value* value = line.find(key);
  return value != nullptr && value->is_string() && value->as_string() == wanted;
}

bool fits(const AuditFilter& filter, std::string_view text) {
  if (filter.kind.empty() && filter.account.empty() && filter.case_id.empty()) return true;
  const auto line = json::parse(text);
  if (!line || !is(*line, "kind", filter.kind) || !is(*line, "account", filter.account)) {
    return false;
  }
  // A decision stands in the account's history with the case as its subject.
  return is(*line, "case", filter.case_id) || is(*line, "subject", filter.case_id);
}

std::vector<std::string_view> lines_of(std::string_view content) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < content.size();) {
    const size_t end = std::min(content.find('\n', at), content.size());
    out.push_back(content.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<AuditPages>> AuditPages::open(const std::string& folder) {
  RETORT_TRY(auto log, ledger::Ledger::open(log_folder(folder), {.create = false}));
  return std::unique_ptr<AuditPages>(new AuditPages(folder, std::move(log)));
}

Result<AuditPage> AuditPages::page(const AuditFilter& filter, const AuditPlace& before,
                                   int64_t most) {
  RETORT_TRY(const auto head, log_->head());
  AuditPage out;
  out.next = before.entry < head.size ? before : AuditPlace{head.size, 0};
  int64_t looked_at = 0;
  for (int64_t i = 0; i < kEntriesAtOnce && !out.over(); ++i) {
    // Line 0 of an entry is behind all lines of the entry before it.
    const bool whole = out.next.line == 0;
    const int64_t index = whole ? out.next.entry - 1 : out.next.entry;
    RETORT_TRY(const auto entry, log_->entry(index));
    if (entry.kind != kAuditKind) {
      out.next = {index, 0};
      continue;
    }
    RETORT_TRY(const std::string content, segment(index));
    const auto lines = lines_of(content);
    const int64_t count = std::ssize(lines);
    for (int64_t at = (whole ? count : std::min(out.next.line, count)) - 1; at >= 0; --at) {
      const auto text = lines[static_cast<size_t>(at)];
      if (fits(filter, text)) out.lines.push_back({index, at, std::string(text)});
      out.next = {index, at};
      if (std::ssize(out.lines) >= most || ++looked_at >= kLinesAtOnce) return out;
    }
    out.next = {index, 0};
  }
  return out;
}

Result<std::string> AuditPages::segment(int64_t index) {
  RETORT_TRY(const auto entry, log_->entry(index));
  if (entry.kind != kAuditKind) {
    return base::not_found(fmt::format("entry {} of the log is no segment of the audit", index));
  }
  return segment_content(audit_folder(folder_), kAuditKind, entry);
}

Result<ledger::Proof> AuditPages::prove(int64_t index) {
  RETORT_TRY_VOID(segment(index));
  RETORT_TRY(auto proof, log_->prove(index));
  RETORT_TRY_VOID(ledger::verify_proof(proof, origin(), public_key()));
  return proof;
}

Result<AuditPages::Growth> AuditPages::prove_growth(int64_t old_size) {
  while (true) {
    RETORT_TRY(const auto head, log_->head());
    if (old_size < 1 || old_size > head.size) {
      return base::not_found(fmt::format("the log never had {} entries", old_size), folder_,
                             "it was rolled back, or the number is of another log");
    }
    Growth out;
    RETORT_TRY(out.path, log_->prove_consistency(old_size));
    RETORT_TRY(out.checkpoint, log_->checkpoint());
    RETORT_TRY(const auto still, log_->head());
    if (still.size == head.size) return out;  // else it grew between the two
  }
}

Result<std::string> AuditPages::checkpoint() {
  return log_->checkpoint();
}

}  // namespace retort::provider
