#include "corpus/declarations.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "corpus/withdrawals.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr const char* kDeclarationSchema = "retort.declaration/1";
constexpr const char* kRevocationSchema = "retort.revocation/1";

Result<LoggedDeclaration> read_envelope(const json::Value& value, const terms::Deciders& deciders,
                                        const std::string& where) {
  RETORT_TRY(const auto envelope, terms::envelope_from_json(value, where));
  if (envelope.payload_type != crypto::kInTotoPayload) {
    return base::bad_input("the envelope holds no in-toto statement", where + " payloadType");
  }
  LoggedDeclaration out;
  RETORT_TRY(out.declaration, terms::parse_declaration(envelope.payload, where));
  out.statement = envelope.payload;
  if (const auto* key = terms::signer(envelope, deciders)) out.key = key->id();
  return out;
}

std::string void_reason(const LoggedDeclaration& one, const std::string& revoked, bool any_deciders,
                        int64_t now_ms) {
  const auto& declaration = one.declaration;
  if (!any_deciders) return "no deciders are named in [purpose]";
  if (one.key.empty()) return "it is signed by no key among the deciders";
  if (!revoked.empty()) return revoked;
  if (declaration.ends_ms > one.logged_ms + (terms::kDeclarationDaysMax + 1) * base::kDay_ms) {
    return fmt::format("it is to last until {}, more than a year after it was logged on {}",
                       declaration.valid_until, base::iso_date(one.logged_ms));
  }
  if (now_ms >= declaration.ends_ms)
    return fmt::format("it ended with {}", declaration.valid_until);
  return "";
}

// By the declaration's id, "it was revoked on 2026-05-01 by NAME (entry 12)".
Result<std::map<std::string, std::string>> read_revocations(ledger::Ledger& ledger) {
  std::map<std::string, std::string> out;
  RETORT_TRY_VOID(ledger.for_each("revocation", [&](const ledger::Entry& entry) -> Result<void> {
    const auto by = entry.body.string_at("by");
    out.emplace(entry.name,
                fmt::format("it was revoked on {} by {} (entry {})", base::iso_date(entry.time_ms),
                            by ? *by : std::string("somebody"), entry.index));
    return {};
  }));
  RETORT_TRY(const auto withdrawals, read_withdrawals(ledger));
  for (const auto& one : withdrawals) {
    if (one.kind == SubjectKind::declaration) out.emplace(one.id, one.sentence());
  }
  return out;
}

// A clock that was set back does not bring an ended declaration to life.
Result<int64_t> latest_time(ledger::Ledger& ledger, int64_t now_ms) {
  RETORT_TRY(const auto head, ledger.head());
  if (head.size == 0) return now_ms;
  RETORT_TRY(const auto last, ledger.entry(head.size - 1));
  return std::max(now_ms, last.time_ms);
}

}  // namespace

Result<LoggedDeclaration> log_declaration(ledger::Ledger& ledger, const json::Value& envelope,
                                          const terms::Deciders& deciders,
                                          const std::string& where) {
  RETORT_TRY(auto one, read_envelope(envelope, deciders, where));
  if (one.key.empty()) {
    return base::bad_input("the declaration is signed by no key among the deciders", where,
                           "name the signer's public key as a decider, or have a decider sign it");
  }
  RETORT_TRY(one.leaf, ledger.append("declaration", crypto::sha256_hex(json::canonical(envelope)),
                                     json::Value::object({{"schema", kDeclarationSchema},
                                                          {"id", one.declaration.id},
                                                          {"envelope", envelope}})));
  RETORT_TRY(const auto entry, ledger.entry(one.leaf));
  one.logged_ms = entry.time_ms;
  RETORT_TRY(const auto revoked, read_revocations(ledger));
  const auto found = revoked.find(one.declaration.id);
  one.declaration.void_reason =
      void_reason(one, found == revoked.end() ? "" : found->second, true, one.logged_ms);
  return one;
}

Result<int64_t> revoke_declaration(ledger::Ledger& ledger, const Revocation& revocation) {
  RETORT_TRY(const auto known, read_declarations(ledger, {}, 0));
  const auto same = [&](const LoggedDeclaration& one) {
    return one.declaration.id == revocation.declaration;
  };
  if (std::none_of(known.begin(), known.end(), same)) {
    return base::not_found("the log holds no such declaration", revocation.declaration,
                           "retort terms declarations lists them");
  }
  return ledger.append(
      "revocation", revocation.declaration,
      json::Value::object(
          {{"schema", kRevocationSchema}, {"by", revocation.by}, {"reason", revocation.reason}}));
}

Result<std::vector<LoggedDeclaration>> read_declarations(ledger::Ledger& ledger,
                                                         const terms::Deciders& deciders,
                                                         int64_t now_ms) {
  RETORT_TRY(const auto revoked, read_revocations(ledger));
  RETORT_TRY(const int64_t now, latest_time(ledger, now_ms));
  std::vector<LoggedDeclaration> out;
  RETORT_TRY_VOID(ledger.for_each("declaration", [&](const ledger::Entry& entry) -> Result<void> {
    const auto* envelope = entry.body.find("envelope");
    if (envelope == nullptr) return {};
    auto one = read_envelope(*envelope, deciders, fmt::format("entry {}", entry.index));
    if (!one) return {};
    one->leaf = entry.index;
    one->logged_ms = entry.time_ms;
    const auto found = revoked.find(one->declaration.id);
    one->declaration.void_reason =
        void_reason(*one, found == revoked.end() ? "" : found->second, !deciders.empty(), now);
    out.push_back(std::move(*one));
    return {};
  }));
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.declaration.max_records > b.declaration.max_records;
  });
  return out;
}

}  // namespace retort::corpus
