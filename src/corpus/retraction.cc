#include "corpus/retraction.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "crypto/dsse.h"
#include "crypto/hash.h"
#include "terms/statement.h"

namespace retort::corpus {
namespace {

constexpr const char* kSchema = "retort.retraction/1";
constexpr const char* kKind = "retraction";

json::Value predicate_of(const ledger::Ledger& ledger, const Withdrawal& withdrawal,
                         const RetractionDraft& draft) {
  return json::Value::object({{"log", ledger.origin()},
                              {"withdrawal", withdrawal.entry},
                              {"reason", draft.reason},
                              {"by", draft.by}});
}

Error refused(const Withdrawal& withdrawal, std::string what) {
  return {
      ErrorCode::refused_by_gate, "the withdrawal is not taken back: " + std::move(what),
      fmt::format("entry {}", withdrawal.entry),
      "whoever holds the key that it names signs a statement about it: retort ledger take-back"};
}

// Whether the envelope takes this withdrawal back, in every point.
Result<void> check_envelope(const ledger::Ledger& ledger, const Withdrawal& withdrawal,
                            const json::Value& value) {
  if (withdrawal.holder.empty()) return refused(withdrawal, "it names no key");
  RETORT_TRY(const auto key, crypto::EcPublicKey::from_pem(withdrawal.holder, "the holder's key"));
  RETORT_TRY(const auto envelope, terms::envelope_from_json(value, "the retraction"));
  if (envelope.payload_type != crypto::kInTotoPayload || !crypto::verify_envelope(envelope, key)) {
    return refused(withdrawal, "the statement is not signed with the key that it names");
  }
  RETORT_TRY(const auto statement, terms::parse_statement(envelope.payload, "the retraction"));
  if (statement.predicate_type != kRetractionType) {
    return refused(withdrawal, "the statement is about something else");
  }
  const std::map<std::string, std::string> subject{{name_of(withdrawal), "withdrawal"}};
  const auto& said = statement.predicate;
  if (statement.subjects != subject ||
      said.int_at("withdrawal", -1).value_or(-1) != withdrawal.entry) {
    return refused(withdrawal, "the statement is about another withdrawal");
  }
  if (said.string_at("log", "").value_or("") != ledger.origin()) {
    return refused(withdrawal, "the statement is about another log");
  }
  if (said.string_at("by", "").value_or("").empty()) {
    return refused(withdrawal, "the statement does not say who takes it back");
  }
  return {};
}

// An edited row is not under the root that the log signed.
Result<void> check_in_tree(ledger::Ledger& ledger, int64_t entry) {
  RETORT_TRY(const auto proof, ledger.prove(entry));
  return ledger::verify_proof(proof, ledger.origin(), ledger.public_key());
}

Withdrawal* find_entry(std::vector<Withdrawal>& all, int64_t entry) {
  const auto found = std::ranges::find(all, entry, &Withdrawal::entry);
  return found == all.end() ? nullptr : &*found;
}

// Nothing where the entry takes nothing back.
Withdrawal* taken_back_by(const ledger::Ledger& ledger, const ledger::Entry& entry,
                          std::vector<Withdrawal>& all) {
  const auto schema = entry.body.string_at("schema", "");
  const auto* envelope = entry.body.find("envelope");
  const int64_t index = entry.body.int_at("withdrawal", -1).value_or(-1);
  if (!schema || *schema != kSchema || envelope == nullptr || index >= entry.index) return nullptr;
  Withdrawal* const withdrawal = find_entry(all, index);
  if (withdrawal == nullptr || withdrawal->follows >= 0) return nullptr;
  return check_envelope(ledger, *withdrawal, *envelope) ? withdrawal : nullptr;
}

}  // namespace

std::string retraction_text(const ledger::Ledger& ledger, const Withdrawal& withdrawal,
                            const RetractionDraft& draft) {
  return terms::statement_text({.subjects = {{name_of(withdrawal), "withdrawal"}},
                                .predicate_type = kRetractionType,
                                .predicate = predicate_of(ledger, withdrawal, draft)});
}

Result<Withdrawal> withdrawal_to_take_back(ledger::Ledger& ledger, int64_t entry) {
  RETORT_TRY(auto all, read_all_withdrawals(ledger));
  const Withdrawal* const found = find_entry(all, entry);
  if (found == nullptr) {
    return base::not_found("the log has no withdrawal of that number",
                           fmt::format("entry {}", entry), "retort ledger show lists its entries");
  }
  if (found->taken_back >= 0) {
    return base::usage_error(fmt::format("it was taken back by entry {}", found->taken_back),
                             fmt::format("entry {}", entry));
  }
  if (found->follows >= 0) {
    return base::usage_error(
        fmt::format("it follows from the withdrawal of entry {}, and goes with that",
                    found->follows),
        fmt::format("entry {}", entry), fmt::format("take entry {} back", found->follows));
  }
  if (found->holder.empty()) {
    return refused(*found,
                   "it names no key, so nobody can; a provider that permits again does so "
                   "by a new version of its terms");
  }
  return *found;
}

Result<ledger::Draft> retraction_entry(const ledger::Ledger& ledger, const Withdrawal& withdrawal,
                                       const json::Value& envelope) {
  RETORT_TRY_VOID(check_envelope(ledger, withdrawal, envelope));
  return ledger::Draft{
      kKind, crypto::sha256_hex(json::canonical(envelope)),
      json::Value::object(
          {{"schema", kSchema}, {"withdrawal", withdrawal.entry}, {"envelope", envelope}})};
}

Result<void> mark_taken_back(ledger::Ledger& ledger, std::vector<Withdrawal>& all) {
  if (all.empty()) return {};
  RETORT_TRY_VOID(ledger.for_each(kKind, [&](const ledger::Entry& entry) -> Result<void> {
    Withdrawal* const withdrawal = taken_back_by(ledger, entry, all);
    if (withdrawal == nullptr || withdrawal->taken_back >= 0) return {};
    withdrawal->taken_back = entry.index;
    return {};
  }));
  for (Withdrawal& one : all) {
    if (one.taken_back >= 0) {
      RETORT_TRY_VOID(check_in_tree(ledger, one.entry));
      RETORT_TRY_VOID(check_in_tree(ledger, one.taken_back));
    }
    // What follows is logged after what it follows from.
    const Withdrawal* const cause =
        one.follows < one.entry ? find_entry(all, one.follows) : nullptr;
    if (cause != nullptr && cause->taken_back >= 0) one.taken_back = cause->taken_back;
  }
  return {};
}

}  // namespace retort::corpus
