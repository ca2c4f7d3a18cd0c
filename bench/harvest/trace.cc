#include "harvest/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace retort::bench::harvest {
namespace {

constexpr size_t kSuspend = 3;

// The score from which an account of a class has evidence of 1,000 in its first period.
float needed(const detect::ClassCalibration& honest) {
  constexpr float kMost = 20, kStep = 0.05F;
  float score = -kMost;
  while (score < kMost && detect::e_value(honest, score) < 2000) score += kStep;
  return score;
}

struct Summary {
  int own = 0, by_cluster = 0;   // suspended
  int strong = 0, families = 0;  // high enough a score; evidence from two families
  std::vector<double> at;        // harvest requests until suspended
  float best = -20;
};

Summary summary_of(const Outcome& outcome, int campaign, const detect::ClassCalibration& honest) {
  constexpr double kFamilyP = 0.05;
  Summary out;
  const float need = needed(honest);
  for (const Fate& fate : outcome.fates) {
    if (fate.campaign != campaign) continue;
    const detect::Wealth& wealth = fate.wealth;
    int counts = 0;
    for (size_t i = 0; i < detect::kFamilies; ++i) {
      const double p = detect::p_value(honest.families[i], honest.periods, wealth.families[i]);
      counts += p <= kFamilyP ? 1 : 0;
    }
    const double rest = detect::p_value(honest.rest, honest.periods, wealth.rest);
    out.families += counts >= 2 || rest <= kFamilyP ? 1 : 0;
    out.strong += wealth.total >= need ? 1 : 0;
    out.best = std::max(out.best, wealth.total);
    if (fate.steps[kSuspend].requests < 0) continue;
    ++(fate.clusters.empty() ? out.own : out.by_cluster);
    out.at.push_back(static_cast<double>(fate.steps[kSuspend].harvest_requests));
  }
  std::sort(out.at.begin(), out.at.end());
  return out;
}

void print_one(const CampaignFate& fate, const Summary& s, const detect::ClassCalibration& honest) {
  const Campaign& plan = fate.plan;
  const double share = static_cast<double>(fate.items.size()) / static_cast<double>(plan.list);
  fmt::print("{} {:<18} as \"{}\", content {}, {} items, {} accounts on {} networks, {} templates",
             fate.suspended > 0 && share < 0.1 ? " " : "!", plan.variant, plan.purpose,
             static_cast<int>(plan.content), plan.list, fate.accounts, plan.networks,
             plan.templates);
  fmt::print(", {} words, {:.0f} tokens, limit {}, {:.0f} an hour\n", plan.words,
             plan.answer_median, plan.sampling.max_tokens, plan.per_hour);
  fmt::print("    got {:.3f}; suspended by themselves {}, by clusters {}, after {:.0f} requests; ",
             share, s.own, s.by_cluster, s.at.empty() ? std::nan("") : s.at[s.at.size() / 2]);
  fmt::print("score {:.2f} of {:.2f}; {} strong, {} of two families\n", s.best, needed(honest),
             s.strong, s.families);
}

}  // namespace

void print_trace(const std::vector<Outcome>& outcomes, const detect::Calibration& calibration) {
  for (const auto& outcome : outcomes) {
    for (size_t i = 0; i < outcome.campaigns.size(); ++i) {
      const auto* honest = calibration.find(outcome.campaigns[i].plan.purpose);
      if (honest == nullptr) continue;
      print_one(outcome.campaigns[i], summary_of(outcome, static_cast<int>(i), *honest), *honest);
    }
  }
}

}  // namespace retort::bench::harvest
