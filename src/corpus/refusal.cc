// Refusals that a person can act on.
#include <fmt/core.h>

#include <algorithm>

#include "base/progress.h"
#include "corpus/clearance_internal.h"

namespace retort::corpus {
namespace {

constexpr size_t kKeysShown = 3;
constexpr size_t kReasonsLogged = 16;
constexpr size_t kClauseBytes = 500;

}  // namespace

void Tally::add(const terms::Verdict& verdict) {
  total_ = terms::meet(std::move(total_), verdict);
  for (const auto& finding : verdict.findings) {
    reasons_.try_emplace(finding.sentence(), Reason{finding, 0, {}});
  }
}

void Tally::add(const terms::Verdict& verdict, const std::string& key) {
  if (!verdict.permits()) ++refused_;
  // Most records add nothing that is not known.
  if (verdict.decision < total_.decision || !verdict.findings.empty() || !verdict.duties.empty() ||
      !verdict.declared.empty()) {
    total_ = terms::meet(std::move(total_), verdict);
  }
  std::set<std::string> declarations;
  for (const auto& reliance : verdict.declared) declarations.insert(reliance.declaration_id);
  for (const auto& id : declarations) {
    Relying& relying = relying_[id];
    ++relying.records;
    if (relying.keys.size() < kKeysShown) relying.keys.push_back(key);
  }
  for (const auto& finding : verdict.findings) {
    auto& reason = reasons_.try_emplace(finding.sentence(), Reason{finding, 0, {}}).first->second;
    ++reason.records;
    if (reason.keys.size() < kKeysShown) reason.keys.push_back(key);
  }
}

void Tally::add_alike(const terms::Verdict& verdict, int64_t records) {
  if (!verdict.permits()) refused_ += records;
  total_ = terms::meet(std::move(total_), verdict);
  std::set<std::string> declarations;
  for (const auto& reliance : verdict.declared) declarations.insert(reliance.declaration_id);
  for (const auto& id : declarations) relying_[id].records += records;
  for (const auto& finding : verdict.findings) {
    reasons_.try_emplace(finding.sentence(), Reason{finding, 0, {}}).first->second.records +=
        records;
  }
}

std::map<std::string, int64_t> Tally::declared() const {
  std::map<std::string, int64_t> out;
  for (const auto& [id, relying] : relying_) out[id] = relying.records;
  for (const auto& reliance : total_.declared) out.try_emplace(reliance.declaration_id, 0);
  return out;
}

void Tally::hold_to_limits(const std::vector<terms::Declaration>& declarations) {
  for (const auto& one : declarations) {
    const auto relying = relying_.find(one.id);
    if (relying == relying_.end() || relying->second.records <= one.max_records) continue;
    for (const auto& reliance : total_.declared) {
      if (reliance.declaration_id != one.id) continue;
      terms::Finding finding = reliance.question;
      finding.reason +=
          fmt::format("; the {} counts for at most {} records, and {} rely on it", one.label(),
                      base::grouped(one.max_records), base::grouped(relying->second.records));
      total_.decision = std::min(total_.decision, finding.decision);
      total_.findings.push_back(finding);
      reasons_[finding.sentence()] = {finding, relying->second.records, relying->second.keys};
    }
    refused_ = std::max(refused_, relying->second.records);
  }
}

std::vector<const Tally::Reason*> Tally::by_frequency() const {
  std::vector<const Reason*> out;
  for (const auto& [sentence, reason] : reasons_) out.push_back(&reason);
  std::stable_sort(out.begin(), out.end(), [](const Reason* a, const Reason* b) {
    return std::pair(a->finding.decision, -a->records) <
           std::pair(b->finding.decision, -b->records);
  });
  return out;
}

Error Tally::error(terms::Action action, int64_t records) const {
  Error out;
  out.code = ErrorCode::refused_by_terms;
  if (records == 0) {
    out.message = fmt::format("the terms do not permit {}", terms::name(action));
  } else {
    out.message =
        fmt::format("the terms do not permit {} of {} of {} records", terms::name(action),
                    base::grouped(refused_ > 0 ? refused_ : records), base::grouped(records));
  }
  std::vector<std::string> keys;
  for (const auto* reason : by_frequency()) {
    out.message += fmt::format("; {}", base::clipped(reason->finding.sentence(), kClauseBytes));
    if (reason->records > 0 && reason->records != refused_) {
      out.message += fmt::format(" ({} records)", base::grouped(reason->records));
    }
    if (out.hint.empty()) out.hint = reason->finding.need;
    if (keys.empty()) keys = reason->keys;
  }
  if (out.hint.empty())
    out.hint = "leave these records out, or use them for what their terms allow";
  for (const auto& key : keys) {
    out.where +=
        fmt::format("{}{}", out.where.empty() ? "records " : ", ", key.substr(0, kNameDigits));
  }
  const auto more = refused_ - static_cast<int64_t>(keys.size());
  if (!keys.empty() && more > 0) out.where += fmt::format(" and {} more", base::grouped(more));
  return out;
}

json::Value Tally::to_json() const {
  json::Value out = json::Value::array();
  for (const auto* reason : by_frequency()) {
    if (out.as_array().size() == kReasonsLogged) break;
    json::Value keys = json::Value::array();
    for (const auto& key : reason->keys) keys.push(key);
    out.push(
        json::Value::object({{"decision", terms::name(reason->finding.decision)},
                             {"terms", reason->finding.terms_id},
                             {"sentence", base::clipped(reason->finding.sentence(), kClauseBytes)},
                             {"records", reason->records},
                             {"first_keys", std::move(keys)}}));
  }
  return out;
}

json::Value declared_json(const std::map<std::string, int64_t>& declared) {
  json::Value out = json::Value::array();
  for (const auto& [id, records] : declared) {
    out.push(json::Value::object({{"id", id}, {"records", records}}));
  }
  return out;
}

json::Value purpose_json(const terms::Purpose& purpose) {
  json::Value actions = json::Value::array();
  for (const auto action : purpose.actions) actions.push(terms::name(action));
  json::Value out = json::Value::object({{"actions", std::move(actions)},
                                         {"model_id", purpose.model_id},
                                         {"distributed", purpose.distributed},
                                         {"commercial", purpose.commercial}});
  if (purpose.competing) out.set("competing", *purpose.competing);
  return out;
}

terms::Verdict purpose_verdict(const terms::Purpose& purpose, terms::Action action) {
  terms::Verdict out;
  const auto deny = [&](std::string reason, std::string need) {
    terms::Finding finding;
    finding.action = action;
    finding.reason = std::move(reason);
    finding.need = std::move(need);
    out.decision = terms::Decision::deny;
    out.findings.push_back(std::move(finding));
  };
  if (!purpose.allows(action)) {
    deny(fmt::format("the purpose does not name {}", terms::name(action)),
         "add it to the actions in [purpose] if that is what the model is for");
  }
  if (purpose.model_id.empty()) {
    deny("the purpose names no model", "set model_id in [purpose]");
  }
  return out;
}

}  // namespace retort::corpus
