// Verdicts over many records.
#pragma once
#include <fmt/core.h>

#include <map>
#include <set>
#include <string>

#include "corpus/record_internal.h"
#include "corpus/withdrawn_internal.h"
#include "terms/evaluate.h"

namespace retort::corpus {

// Verdicts differ only by what the terms ask about, and in time only where some version begins or
// ends: between two such moments one verdict serves all alike records.
class Verdicts {
 public:
  Verdicts(const terms::TermsSet& terms, const Withdrawn& withdrawn, const terms::Purpose& purpose,
           terms::Action action, const std::vector<terms::Declaration>& declarations)
      : terms_(terms),
        withdrawn_(withdrawn),
        purpose_(purpose),
        action_(action),
        declarations_(declarations) {
    for (const auto* one : terms.all()) {
      moments_.insert(one->effective_ms);
      moments_.insert(one->until_ms);
    }
  }

  // Between two of these, times make no difference to a verdict by the terms.
  const std::set<int64_t>& moments() const { return moments_; }

  terms::Verdict of(const Record& record) {
    terms::Verdict all;
    if (withdrawn_.empty()) {
      for (const auto& facts : facts_of(record)) all = terms::meet(std::move(all), of(facts));
      return all;
    }
    for (auto& facts : facts_of(record)) {
      all = terms::meet(std::move(all), of(withdrawn_.corrected(std::move(facts))));
    }
    return terms::meet(std::move(all), terms::denied_for(withdrawn_.against(record, action_)));
  }

 private:
  const terms::Verdict& of(const terms::Facts& facts) {
    const std::string key = key_of(facts);
    auto found = known_.find(key);
    if (found == known_.end()) {
      found = known_.emplace(key, terms::evaluate(facts, terms_, purpose_, action_, declarations_))
                  .first;
    }
    return found->second;
  }

  std::string key_of(const terms::Facts& facts) const {
    std::string key;
    const auto put = [&key](std::string_view text) {
      key += fmt::format("{}:{}", text.size(), text);
    };
    for (const auto& one : facts.terms) {
      put(one.id);
      put(terms::name(one.object));
    }
    put("|");
    put(terms::name(facts.object));
    put(facts.endpoint);
    put(facts.plan);
    for (const auto& model : facts.models) put(model);
    put("|");
    put(facts.modality);
    for (const auto& feature : facts.features) put(feature);
    const auto after = moments_.upper_bound(facts.captured_ms);
    put(after == moments_.end() ? "last" : std::to_string(*after));
    put(std::to_string(static_cast<int>(facts.preference)));
    return key;
  }

  const terms::TermsSet& terms_;
  const Withdrawn& withdrawn_;
  const terms::Purpose& purpose_;
  terms::Action action_;
  const std::vector<terms::Declaration>& declarations_;
  std::set<int64_t> moments_;
  std::map<std::string, terms::Verdict> known_;
};

}  // namespace retort::corpus
