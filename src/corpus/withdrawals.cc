#include "corpus/withdrawals.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "corpus/retraction.h"
#include "corpus/shard_internal.h"
#include "crypto/ecdsa.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr const char* kSchema = "retort.withdrawal/1";
constexpr size_t kDigitsShown = 16;

template <class Enum>
struct Named {
  Enum value;
  const char* name;
};
constexpr std::array kCases = {
    Named<WithdrawalCase>{WithdrawalCase::terms_changed, "terms-changed"},
    Named<WithdrawalCase>{WithdrawalCase::account_ended, "account-ended"},
    Named<WithdrawalCase>{WithdrawalCase::reading_corrected, "reading-corrected"},
    Named<WithdrawalCase>{WithdrawalCase::record, "record"},
    Named<WithdrawalCase>{WithdrawalCase::declaration_ended, "declaration-ended"}};
constexpr std::array kKinds = {Named<SubjectKind>{SubjectKind::terms, "terms"},
                               Named<SubjectKind>{SubjectKind::door, "door"},
                               Named<SubjectKind>{SubjectKind::record, "record"},
                               Named<SubjectKind>{SubjectKind::declaration, "declaration"}};

template <class Table, class Enum>
const char* name_in(const Table& table, Enum value) {
  for (const auto& one : table) {
    if (one.value == value) return one.name;
  }
  return "?";
}

bool fits(WithdrawalCase why, SubjectKind kind) {
  switch (why) {
    case WithdrawalCase::terms_changed:
    case WithdrawalCase::account_ended:
      return kind == SubjectKind::terms || kind == SubjectKind::door;
    case WithdrawalCase::reading_corrected:
      return kind == SubjectKind::terms;
    case WithdrawalCase::record:
      return kind == SubjectKind::record;
    case WithdrawalCase::declaration_ended:
      return kind == SubjectKind::declaration;
  }
  return false;
}

Result<void> check_known(ledger::Ledger& ledger, const Withdrawal& one) {
  switch (one.kind) {
    case SubjectKind::terms:
    case SubjectKind::door: {
      const auto known = ledger.find(name(one.kind), one.id);
      if (known) return {};
      return known.error();
    }
    case SubjectKind::record: {
      const auto known = ledger.find("shard", one.id.substr(0, one.id.find(':')));
      if (!known) return known.error();
      return {};
    }
    case SubjectKind::declaration:
      break;
  }
  bool known = false;
  RETORT_TRY_VOID(ledger.for_each("declaration", [&](const ledger::Entry& entry) -> Result<void> {
    known = known || entry.body.string_at("id", "").value_or("") == one.id;
    return {};
  }));
  if (known) return {};
  return base::not_found("the log holds no such declaration", one.id,
                         "retort terms declarations lists them");
}

}  // namespace

const char* name(WithdrawalCase one) {
  return name_in(kCases, one);
}

const char* name(SubjectKind kind) {
  return name_in(kKinds, kind);
}

std::optional<WithdrawalCase> parse_withdrawal_case(std::string_view text) {
  for (const auto& one : kCases) {
    if (text == one.name) return one.value;
  }
  return std::nullopt;
}

std::string Withdrawal::words() const {
  const std::string& shown = kind == SubjectKind::record && !key.empty() ? key : id;
  std::string what = name(why);
  std::replace(what.begin(), what.end(), '-', ' ');
  if (why == WithdrawalCase::record) what = "one record";
  if (why == WithdrawalCase::terms_changed) what += " from " + base::iso_date(from_ms) + " on";
  return fmt::format("the {} {} {} withdrawn by {}: {}{}{}", name(kind),
                     shown.substr(0, kDigitsShown), kind == SubjectKind::terms ? "were" : "was", by,
                     what, reason.empty() ? "" : ", ", reason);
}

std::string Withdrawal::sentence() const {
  return fmt::format("{} (entry {}, of {})", words(), entry, base::iso_date(time_ms));
}

json::Value to_json(const Withdrawal& one) {
  json::Value subject = json::Value::object({{"kind", name(one.kind)}, {"id", one.id}});
  if (!one.key.empty()) subject.set("key", one.key);
  json::Value body = json::Value::object({{"schema", kSchema},
                                          {"case", name(one.why)},
                                          {"subject", std::move(subject)},
                                          {"reason", one.reason},
                                          {"by", one.by}});
  if (!one.corrected_by.empty()) body.set("corrected_by", one.corrected_by);
  if (one.why == WithdrawalCase::terms_changed) body.set("from_ms", one.from_ms);
  if (one.follows >= 0) body.set("follows", one.follows);
  if (!one.holder.empty()) body.set("holder", one.holder);
  if (one.again >= 0) body.set("again", one.again);
  if (one.runs) {
    json::Value runs = json::Value::array();
    for (const int64_t run : *one.runs) runs.push(run);
    body.set("runs", std::move(runs));
  }
  return body;
}

// Which runs there are is found out when it is logged, and no part of what is said.
std::string name_of(const Withdrawal& withdrawal) {
  Withdrawal said = withdrawal;
  said.runs.reset();
  return crypto::sha256_hex(json::canonical(to_json(said)));
}

namespace {

Result<Withdrawal> read(const json::Value& body) {
  Withdrawal out;
  RETORT_TRY(const auto schema, body.string_at("schema"));
  if (schema != kSchema) {
    return base::bad_input("a withdrawal of the form " + schema + " is not known", "",
                           "a newer program wrote it; use that one");
  }
  RETORT_TRY(const auto why, body.string_at("case"));
  const auto parsed = parse_withdrawal_case(why);
  const auto* subject = body.find("subject");
  if (!parsed || subject == nullptr) {
    return base::bad_input("a withdrawal of the case “" + why + "” is not known", "",
                           "a newer program wrote it; use that one");
  }
  out.why = *parsed;
  RETORT_TRY(const auto kind, subject->string_at("kind"));
  const auto found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& one) { return kind == one.name; });
  if (found == kKinds.end()) {
    return base::bad_input("a withdrawal of a “" + kind + "” is not known", "",
                           "a newer program wrote it; use that one");
  }
  out.kind = found->value;
  RETORT_TRY(out.id, subject->string_at("id"));
  RETORT_TRY(out.key, subject->string_at("key", ""));
  RETORT_TRY(out.corrected_by, body.string_at("corrected_by", ""));
  RETORT_TRY(out.from_ms, body.int_at("from_ms", 0));
  RETORT_TRY(out.follows, body.int_at("follows", -1));
  RETORT_TRY(out.holder, body.string_at("holder", ""));
  RETORT_TRY(out.again, body.int_at("again", -1));
  RETORT_TRY(out.reason, body.string_at("reason", ""));
  RETORT_TRY(out.by, body.string_at("by", ""));
  const auto* runs = body.find("runs");
  if (runs == nullptr) return out;
  if (!runs->is_array()) return base::bad_input("must be a list of entries", "runs");
  out.runs.emplace();
  for (const auto& run : runs->as_array()) {
    if (!run.is_int()) return base::bad_input("must be a list of entries", "runs");
    out.runs->push_back(run.as_int());
  }
  return out;
}

}  // namespace

// A withdrawal that cannot be read must not pass for none: the log is refused with it.
Result<Withdrawal> withdrawal_from_entry(const ledger::Entry& entry) {
  auto out = read(entry.body);
  if (!out) return out.error().at(fmt::format("entry {} of the log", entry.index));
  out->entry = entry.index;
  out->time_ms = entry.time_ms;
  return out;
}

Result<void> check(ledger::Ledger& ledger, const Withdrawal& one) {
  if (!fits(one.why, one.kind)) {
    return base::usage_error(
        fmt::format("the case {} is not about a {}", name(one.why), name(one.kind)), "--case",
        "terms: terms-changed, account-ended, reading-corrected; door: terms-changed, "
        "account-ended; record and declaration have no other case than their own");
  }
  if (one.by.empty()) return base::usage_error("who withdraws it?", "--by", "give a name");
  if (!one.holder.empty()) {
    RETORT_TRY_VOID(crypto::EcPublicKey::from_pem(one.holder, "the holder's key"));
  }
  RETORT_TRY_VOID(check_known(ledger, one));
  if (one.why != WithdrawalCase::reading_corrected) return {};
  if (one.corrected_by.empty() || one.corrected_by == one.id) {
    return base::usage_error("which reading is the right one?", "--corrected-by",
                             "name the corrected terms file");
  }
  RETORT_TRY_VOID(ledger.find("terms", one.corrected_by));
  return {};
}

Result<void> log_reading(ledger::Ledger& ledger, const terms::Terms& reading) {
  terms::TermsSet one;
  one.add(reading);
  return CodeBook(ledger).log_terms(one);
}

Result<std::vector<Withdrawal>> read_all_withdrawals(ledger::Ledger& ledger) {
  std::vector<Withdrawal> out;
  RETORT_TRY_VOID(ledger.for_each("withdrawal", [&](const ledger::Entry& entry) -> Result<void> {
    RETORT_TRY(auto one, withdrawal_from_entry(entry));
    out.push_back(std::move(one));
    return {};
  }));
  RETORT_TRY_VOID(mark_taken_back(ledger, out));
  return out;
}

Result<std::vector<Withdrawal>> read_withdrawals(ledger::Ledger& ledger) {
  RETORT_TRY(auto all, read_all_withdrawals(ledger));
  std::erase_if(all, [](const Withdrawal& one) { return one.taken_back >= 0; });
  return all;
}

}  // namespace retort::corpus
