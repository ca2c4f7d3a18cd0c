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

// Of a campaign over several accounts: when it was proven, and how each part of the list was lost.
void print_course(const CampaignFate& fate, const Course& course) {
  const Campaign& plan = fate.plan;
  const auto list = static_cast<double>(plan.list);
  fmt::print(
      "    {:.0f} items an account, {} payers, {:.1f} accounts at once; proven at {} ({:.3f})",
      list / plan.accounts, plan.payers, course.at_once(), course.proven_at,
      static_cast<double>(course.proven_at) / list);
  constexpr std::array<std::string_view, kWhys> kNames = {
      "nothing proven", "no pool",     "asks, early", "asks, usual", "comes, early",
      "comes, usual",   "both, early", "both, usual", "ended"};
  for (size_t i = 0; i < kWhys; ++i) {
    if (course.whys[i] == 0) continue;
    fmt::print("; {} {:.3f}", kNames[i], static_cast<double>(course.whys[i]) / list);
  }
  fmt::print("; best pools {:.2f} by place, {:.2f} by content\n", course.best[0], course.best[1]);
}

void print_accused(const Outcome& outcome) {
  for (const Fate& fate : outcome.fates) {
    const Mark& mark = fate.steps[kSuspend];
    if (fate.campaign >= 0 || fate.licensed || mark.requests < 0) continue;
    fmt::print("honest: {} as \"{}\" suspended {} after {} requests of {}\n", fate.kind,
               fate.purpose, fate.clusters.empty() ? "by itself" : "by a cluster", mark.requests,
               fate.requests);
  }
}

}  // namespace

double Course::at_once() const {
  int64_t first = INT64_MAX, last = 0;
  double sum = 0;
  for (const auto& [member, one] : accounts) {
    sum += static_cast<double>(one.last_ms - one.first_ms);
    first = std::min(first, one.first_ms);
    last = std::max(last, one.last_ms);
  }
  return sum / std::max(1.0, static_cast<double>(last - first));
}

Why Follower::why(const Seen& seen, Course& course) const {
  const auto* charge = *seen.finding ? std::get_if<detect::Charge>(&**seen.finding) : nullptr;
  if (charge != nullptr && charge->step == detect::Step::suspend) return Why::ended;
  bool asks = false, comes = false;
  for (const detect::Pool* pool : detector_.last_pools()) {
    if (!detector_.is_proven(*pool)) continue;
    (detect::of_content(pool->bond) ? asks : comes) = true;
  }
  if ((asks || comes) && course.proven_at < 0) course.proven_at = course.requests;
  if (course.proven_at < 0) return Why::nothing_proven;
  if (!asks && !comes) return Why::no_pool;
  const auto* state = detector_.state(seen.observation->subject.account);
  const bool early =
      state->streams[detector_.last_stream()].count < detect::Policy{}.member_requests;
  if (asks && comes) return early ? Why::both_early : Why::both_usual;
  if (asks) return early ? Why::asks_early : Why::asks_usual;
  return early ? Why::comes_early : Why::comes_usual;
}

void Follower::note(const Seen& seen) {
  if (!seen.request->harvest || seen.fate->campaign < 0) return;
  Course& course = courses_[seen.fate->campaign];
  ++course.requests;
  for (const detect::Pool* pool : detector_.last_pools()) {
    float& best = course.best[detect::of_content(pool->bond) ? 1 : 0];
    best = std::max(best, pool->wealth.total);
  }
  auto& account = course.accounts[seen.member];
  if (account.requests++ == 0) account.first_ms = seen.request->time_ms;
  account.last_ms = seen.request->time_ms;
  ++course.whys[static_cast<size_t>(why(seen, course))];
}

void print_trace(const std::vector<Outcome>& outcomes, const std::vector<Courses>& courses,
                 const detect::Calibration& calibration) {
  for (size_t world = 0; world < outcomes.size(); ++world) {
    const Outcome& outcome = outcomes[world];
    print_accused(outcome);
    for (size_t i = 0; i < outcome.campaigns.size(); ++i) {
      const auto* honest = calibration.find(outcome.campaigns[i].plan.purpose);
      if (honest == nullptr) continue;
      const int id = static_cast<int>(i);
      print_one(outcome.campaigns[i], summary_of(outcome, id, *honest), *honest);
      const auto course = courses[world].find(id);
      if (outcome.campaigns[i].plan.accounts == 1 || course == courses[world].end()) continue;
      print_course(outcome.campaigns[i], course->second);
    }
  }
}

}  // namespace retort::bench::harvest
