// OUT/summary/permission.json: what was decided, for the report and for people.
#include <fmt/core.h>

#include <algorithm>

#include "base/files.h"
#include "corpus/clearance_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr const char* kSchema = "retort.permission/1";

json::Value clauses_json(const terms::Terms& terms, const UsedTerms& used,
                         const terms::Purpose& purpose) {
  json::Value out = json::Value::array();
  for (const auto& rule : terms.rules) {
    const auto binds = [&rule](terms::Object object) {
      return rule.object == terms::Object::any || rule.object == object;
    };
    if (!purpose.allows(rule.action) ||
        std::none_of(used.objects.begin(), used.objects.end(), binds)) {
      continue;
    }
    out.push(json::Value::object({{"effect", terms::name(rule.effect)},
                                  {"action", terms::name(rule.action)},
                                  {"clause", rule.clause},
                                  {"text", rule.text}}));
  }
  return out;
}

json::Value terms_json(const std::string& id, const UsedTerms& used, const terms::TermsSet& set,
                       const terms::Purpose& purpose) {
  json::Value out = json::Value::object({{"id", "sha256:" + id}});
  if (const auto* terms = set.find(id); terms != nullptr) {
    out.set("series", terms->series)
        .set("version", terms->version)
        .set("basis", terms::name(terms->basis))
        .set("source_url", terms->url)
        .set("reader", terms->reader)
        .set("clauses", clauses_json(*terms, used, purpose));
  }
  out.set("records", used.records);
  return out;
}

json::Value check_json(const CheckMade& check) {
  json::Value out = json::Value::object({{"path", check.path},
                                         {"action", terms::name(check.action)},
                                         {"verdict", terms::name(check.decision)},
                                         {"records", check.records},
                                         {"leaf", check.leaf}});
  if (check.refused > 0) out.set("refused", check.refused);
  if (!check.findings.is_null() && !check.findings.as_array().empty()) {
    out.set("findings", check.findings);
  }
  return out;
}

json::Value declaration_json(const LoggedDeclaration& one, int64_t records) {
  const auto& declaration = one.declaration;
  json::Value ids = json::Value::array();
  for (const auto& id : declaration.terms) ids.push("sha256:" + id);
  return json::Value::object({{"id", declaration.id},
                              {"declarant", declaration.declarant},
                              {"role", declaration.role},
                              {"statement", declaration.statement},
                              {"model_id", declaration.model_id},
                              {"terms", std::move(ids)},
                              {"max_records", declaration.max_records},
                              {"valid_until", declaration.valid_until},
                              {"key", one.key},
                              {"leaf", one.leaf},
                              {"records", records}});
}

std::string text_at(const json::Value& value, std::string_view key) {
  return value.string_at(key, "").value_or("");
}

Result<json::Value> read_earlier(const std::string& path) {
  if (!base::exists(path)) return json::Value::object();
  RETORT_TRY(const auto text, base::read_file(path, int64_t{16} << 20));
  RETORT_TRY(auto value, json::parse(text, path));
  if (text_at(value, "schema") != kSchema) {
    return base::bad_input(fmt::format("a file of schema “{}”; this program reads {}",
                                       text_at(value, "schema"), kSchema),
                           path, "use a newer program, or remove the file");
  }
  return value;
}

// Items of the file whose `key` is none of the new ones', then the new ones.
json::Value merged(const json::Value& earlier, const char* member, const char* key,
                   const json::Array& added) {
  json::Value out = json::Value::array();
  const auto* old = earlier.find(member);
  if (old != nullptr && old->is_array()) {
    for (const auto& item : old->as_array()) {
      const auto same = [&](const json::Value& other) {
        return text_at(other, key) == text_at(item, key);
      };
      if (std::none_of(added.begin(), added.end(), same)) out.push(item);
    }
  }
  for (const auto& item : added) out.push(item);
  return out;
}

// A later stage sees some of the records only; the count stays that of the stage that saw most.
json::Value with_most_records(json::Value terms, const json::Value& earlier) {
  const auto* old = earlier.find("terms");
  if (old == nullptr || !old->is_array()) return terms;
  for (const auto& item : old->as_array()) {
    if (text_at(item, "id") != text_at(terms, "id")) continue;
    const int64_t before = item.int_at("records", 0).value_or(0);
    if (before > terms.int_at("records", 0).value_or(0)) terms.set("records", before);
  }
  return terms;
}

// The worst of all checks.
std::string overall(const json::Value& checks) {
  auto worst = terms::Decision::permit;
  for (const auto& check : checks.as_array()) {
    for (const auto decision : {terms::Decision::permit_with_duties,
                                terms::Decision::needs_declaration, terms::Decision::deny}) {
      if (text_at(check, "verdict") == terms::name(decision)) worst = std::min(worst, decision);
    }
  }
  return checks.as_array().empty() ? "unknown" : terms::name(worst);
}

}  // namespace

Result<void> Clearance::write_permission(const std::string& path) const {
  RETORT_TRY(const auto earlier, read_earlier(path));
  json::Array checks;
  for (auto check = impl_->checks.begin(); check != impl_->checks.end(); ++check) {
    // Of one path the last check counts.
    const auto again = [&](const CheckMade& later) { return later.path == check->path; };
    if (std::none_of(check + 1, impl_->checks.end(), again)) checks.push_back(check_json(*check));
  }
  json::Array used;
  for (const auto& [id, one] : impl_->used) {
    json::Value terms = terms_json(id, one, impl_->terms, purpose_);
    used.push_back(with_most_records(std::move(terms), earlier));
  }
  json::Array declared;
  for (const auto& one : impl_->logged) {
    const auto found = impl_->relied.find(one.declaration.id);
    if (found != impl_->relied.end()) declared.push_back(declaration_json(one, found->second));
  }
  json::Value all_checks = merged(earlier, "checks", "path", checks);
  RETORT_TRY(const auto head, impl_->ledger.head());
  const std::string verdict = overall(all_checks);
  json::Value all_declared = merged(earlier, "declarations", "id", declared);
  auto value =
      json::Value::object({{"schema", kSchema},
                           {"purpose", purpose_json(purpose_)},
                           {"terms", merged(earlier, "terms", "id", used)},
                           {"verdict", verdict},
                           {"checks", std::move(all_checks)},
                           {"ledger", json::Value::object({{"origin", impl_->ledger.origin()},
                                                           {"size", head.size},
                                                           {"root", crypto::to_hex(head.root)}})}});
  if (!all_declared.as_array().empty()) value.set("declarations", std::move(all_declared));
  return base::write_file_atomic(path, json::dump(value, 1) + "\n");
}

}  // namespace retort::corpus
