#include <fmt/core.h>

#include <algorithm>

#include "corpus/record_internal.h"
#include "corpus/withdrawn_internal.h"

namespace retort::corpus {
namespace {

constexpr const char* kNeed =
    "leave these records out: retort curate does so by itself, and what it then writes can be used";

terms::Finding finding_of(const Withdrawal& withdrawal, terms::Action action) {
  terms::Finding out;
  out.decision = terms::Decision::deny;
  if (withdrawal.kind == SubjectKind::terms) out.terms_id = withdrawal.id;
  out.action = action;
  out.reason = withdrawal.sentence();
  out.need = kNeed;
  return out;
}

// A version that begins later leaves what was captured before.
bool reaches(const Withdrawal& withdrawal, int64_t captured_ms) {
  return withdrawal.why != WithdrawalCase::terms_changed || captured_ms >= withdrawal.from_ms;
}

std::vector<Origin> origins_of(const Record& record) {
  return record.origins.empty() ? std::vector<Origin>{origin_of(record)} : record.origins;
}

}  // namespace

Result<Withdrawn> Withdrawn::load(ledger::Ledger& ledger, const terms::TermsSet& terms,
                                  const std::vector<LoggedDeclaration>& declarations) {
  Withdrawn out;
  RETORT_TRY(out.all_, read_withdrawals(ledger));
  for (const auto& one : out.all_) {
    if (one.why == WithdrawalCase::reading_corrected) {
      const auto* right = terms.find(one.corrected_by);
      out.corrections_.push_back({one.id, one.corrected_by, right != nullptr && right->is_signed});
      out.asked_anew_.insert({one.id, one.corrected_by});
    } else if (one.kind == SubjectKind::terms) {
      out.terms_.emplace(one.id, &one);
    } else if (one.kind == SubjectKind::door) {
      RETORT_TRY_VOID(out.add_door(ledger, one));
    } else if (one.kind == SubjectKind::record) {
      out.keys_[one.key] = &one;
      out.places_[one.id] = &one;
    } else {
      for (const auto& logged : declarations) {
        if (logged.declaration.id != one.id) continue;
        out.asked_anew_.insert(logged.declaration.terms.begin(), logged.declaration.terms.end());
      }
    }
  }
  return out;
}

Result<void> Withdrawn::add_door(ledger::Ledger& ledger, const Withdrawal& one) {
  RETORT_TRY(const auto entry, ledger.find("door", one.id));
  DoorSubject door{&one, "", "", "", ""};
  RETORT_TRY(door.provider, entry.body.string_at("provider"));
  RETORT_TRY(door.endpoint, entry.body.string_at("endpoint"));
  RETORT_TRY(door.plan, entry.body.string_at("plan"));
  RETORT_TRY(door.model, entry.body.string_at("model"));
  doors_.push_back(std::move(door));
  return {};
}

std::set<int64_t> Withdrawn::moments() const {
  std::set<int64_t> out;
  for (const auto& one : all_) out.insert(one.from_ms);
  return out;
}

terms::TermsSet Withdrawn::judged_by(const terms::TermsSet& terms) const {
  terms::TermsSet out;
  for (const auto* one : terms.all()) {
    const bool replaced =
        std::any_of(corrections_.begin(), corrections_.end(), [&](const Correction& correction) {
          return correction.replaces && correction.wrong == one->id;
        });
    if (!replaced) out.add(*one);
  }
  return out;
}

terms::Facts Withdrawn::corrected(terms::Facts facts) const {
  for (const auto& correction : corrections_) {
    const size_t named = facts.terms.size();
    for (size_t i = 0; i < named; ++i) {
      if (facts.terms[i].id != correction.wrong) continue;
      if (correction.replaces) {
        facts.terms[i].id = correction.right;
      } else {
        facts.terms.push_back({correction.right, facts.terms[i].object});
      }
    }
  }
  return facts;
}

const Withdrawal* Withdrawn::denies(const Origin& origin) const {
  for (const auto& reference : origin.terms) {
    const auto [first, last] = terms_.equal_range(reference.id);
    for (auto one = first; one != last; ++one) {
      if (reaches(*one->second, origin.captured_ms)) return one->second;
    }
  }
  for (const auto& door : doors_) {
    if (origin.door == Door{door.provider, door.endpoint, door.plan} &&
        origin.model == door.model && reaches(*door.withdrawal, origin.captured_ms)) {
      return door.withdrawal;
    }
  }
  return nullptr;
}

std::vector<terms::Finding> Withdrawn::against(const Record& record, terms::Action action) const {
  std::vector<terms::Finding> out;
  if (all_.empty()) return out;
  const auto add = [&](const Withdrawal* withdrawal) {
    if (withdrawal != nullptr) out.push_back(finding_of(*withdrawal, action));
  };
  for (const auto& origin : origins_of(record)) add(denies(origin));
  // What a merged record names as its own terms is the union of its origins'.
  if (!record.origins.empty()) add(denies(origin_of(record)));
  if (const auto own = keys_.find(record.key); own != keys_.end()) add(own->second);
  for (const auto& parent : record.parents) {
    const auto found = places_.find(fmt::format("{}:{}", parent.shard, parent.row));
    if (found != places_.end()) add(found->second);
  }
  return out;
}

std::vector<terms::Finding> Withdrawn::against(const terms::Facts& facts,
                                               terms::Action action) const {
  std::vector<terms::Finding> out;
  for (const auto& reference : facts.terms) {
    const auto [first, last] = terms_.equal_range(reference.id);
    for (auto one = first; one != last; ++one) {
      if (reaches(*one->second, facts.captured_ms)) out.push_back(finding_of(*one->second, action));
    }
  }
  if (facts.object != terms::Object::outputs) return out;
  for (const auto& door : doors_) {
    const bool same = door.endpoint == facts.endpoint && door.plan == facts.plan &&
                      !facts.models.empty() && facts.models[0] == door.model;
    if (same && reaches(*door.withdrawal, facts.captured_ms)) {
      out.push_back(finding_of(*door.withdrawal, action));
    }
  }
  return out;
}

bool Withdrawn::concerns(const Record& record) const {
  const auto named = [&](const std::vector<terms::Reference>& references) {
    return std::any_of(references.begin(), references.end(),
                       [&](const auto& one) { return asked_anew_.contains(one.id); });
  };
  if (named(record.terms)) return true;
  return std::any_of(record.origins.begin(), record.origins.end(),
                     [&](const Origin& origin) { return named(origin.terms); });
}

}  // namespace retort::corpus
