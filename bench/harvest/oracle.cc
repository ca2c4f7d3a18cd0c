#include "harvest/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

namespace retort::bench::harvest {
namespace {

constexpr std::array<int64_t, 6> kKnownAt = {1, 12, 25, 50, 100, 200};
constexpr std::array<int64_t, 7> kSuspendAt = {1, 2, 3, 4, 6, 8, 12};

struct Asked {
  int64_t time_ms = 0;
  int account = 0;
  int64_t item = -1;
};

// All that the campaign would ask, were nobody to stop it.
std::vector<Asked> undisturbed(const Texts& texts, const Campaign& plan) {
  std::vector<Asked> out;
  for (int account = 0; account < plan.accounts; ++account) {
    const Member member = harvester(texts, plan, account, 0, 0, 0);
    Request request;
    while (member.source->next(request)) {
      if (request.harvest) out.push_back({request.time_ms, account, request.item});
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Asked& a, const Asked& b) { return a.time_ms < b.time_ms; });
  return out;
}

// The share of the list that is got before all are suspended.
double share_got(const std::vector<Asked>& asked, const Campaign& plan, int64_t known_at,
                 int64_t suspend_at) {
  std::unordered_map<int, int64_t> requests;
  std::unordered_set<int> suspended;
  std::unordered_set<int64_t> items;
  int64_t all = 0;
  for (const Asked& one : asked) {
    if (suspended.contains(one.account)) continue;
    items.insert(one.item);
    ++all;
    if (++requests[one.account] >= suspend_at && all >= known_at) suspended.insert(one.account);
  }
  return static_cast<double>(items.size()) / static_cast<double>(plan.list);
}

struct Bound {
  int64_t campaigns = 0;
  std::array<std::array<int64_t, kSuspendAt.size()>, kKnownAt.size()> stopped{};
};

void print_bound(const std::string& variant, const Bound& bound) {
  fmt::print("\n{}: of {} campaigns stopped before a tenth, were accounts suspended at their\n",
             variant, bound.campaigns);
  for (const int64_t at : kSuspendAt) fmt::print("{:>6}.", at);
  fmt::print(" request\n");
  for (size_t i = 0; i < kKnownAt.size(); ++i) {
    for (const int64_t one : bound.stopped[i]) fmt::print("{:>6} ", one);
    fmt::print(" once it made {}\n", kKnownAt[i]);
  }
}

}  // namespace

void print_oracle(const Texts& texts, const std::vector<Spec>& worlds) {
  std::map<std::string, Bound> bounds;
  for (const Spec& spec : worlds) {
    for (size_t c = 0; c < spec.campaigns.size(); ++c) {
      const Campaign plan = draw_campaign(texts, spec.campaigns[c], campaign_seed(spec, c));
      const auto asked = undisturbed(texts, plan);
      Bound& bound = bounds[plan.variant];
      ++bound.campaigns;
      for (size_t i = 0; i < kKnownAt.size(); ++i) {
        for (size_t k = 0; k < kSuspendAt.size(); ++k) {
          const bool stopped = share_got(asked, plan, kKnownAt[i], kSuspendAt[k]) < 0.1;
          bound.stopped[i][k] += stopped ? 1 : 0;
        }
      }
    }
  }
  for (const auto& [variant, bound] : bounds) print_bound(variant, bound);
}

}  // namespace retort::bench::harvest
