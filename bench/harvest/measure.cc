#include "harvest/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace retort::bench::harvest {
namespace {

constexpr size_t kWarn = 1, kThrottle = 2, kSuspend = 3;

// P(X <= k) of a binomial variable.
double binomial_cdf(int64_t k, int64_t n, double p) {
  double sum = 0;
  for (int64_t i = 0; i <= k; ++i) {
    const auto x = static_cast<double>(i), all = static_cast<double>(n);
    sum += std::exp(std::lgamma(all + 1) - std::lgamma(x + 1) - std::lgamma(all - x + 1) +
                    x * std::log(p) + (all - x) * std::log1p(-p));
  }
  return std::min(1.0, sum);
}

double bisect(const std::function<bool(double)>& too_high) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (too_high(middle) ? high : low) = middle;
  }
  return (low + high) / 2;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

std::string rate(int64_t hits, int64_t of) {
  const Interval in = clopper_pearson(hits, of);
  return fmt::format("{}/{} = {:.2f} % ({:.2f} to {:.2f})", hits, of,
                     of == 0 ? 0.0 : 100.0 * static_cast<double>(hits) / static_cast<double>(of),
                     100 * in.low, 100 * in.high);
}

void print_honest(const std::vector<Outcome>& outcomes) {
  struct Row {
    int64_t accounts = 0, requests = 0, reported = 0;
    std::array<int64_t, kSteps> steps{};
    void add(const Fate& fate) {
      ++accounts;
      requests += fate.requests;
      reported += fate.reported ? 1 : 0;
      for (size_t s = 1; s < kSteps; ++s) steps[s] += fate.steps[s].requests >= 0 ? 1 : 0;
    }
  };
  std::map<std::string, Row> rows;
  Row all;
  int64_t by_cluster = 0;
  for (const auto& outcome : outcomes) {
    for (const Fate& fate : outcome.fates) {
      if (fate.campaign >= 0) continue;
      rows[fate.kind].add(fate);
      if (fate.licensed) continue;
      all.add(fate);
      by_cluster += fate.steps[kSuspend].requests >= 0 && !fate.clusters.empty() ? 1 : 0;
    }
  }
  fmt::print("\nhonest accounts of 30 days\n{:<26} {:>8} {:>10} {:>7} {:>9} {:>9} {:>8}\n", "kind",
             "accounts", "requests", "warned", "throttled", "suspended", "reports");
  for (const auto& [kind, row] : rows) {
    fmt::print("{:<26} {:>8} {:>10} {:>7} {:>9} {:>9} {:>8}\n", kind, row.accounts, row.requests,
               row.steps[kWarn], row.steps[kThrottle], row.steps[kSuspend], row.reported);
  }
  fmt::print("ever suspended: {}; by a cluster {}; {:.2f} per 1,000 account-months\n",
             rate(all.steps[kSuspend], all.accounts), by_cluster,
             1000.0 * static_cast<double>(all.steps[kSuspend]) /
                 static_cast<double>(std::max<int64_t>(1, all.accounts)));
  fmt::print("ever throttled: {}; ever warned: {}\n", rate(all.steps[kThrottle], all.accounts),
             rate(all.steps[kWarn], all.accounts));
}

void print_campaigns(const std::vector<Outcome>& outcomes) {
  struct Row {
    int64_t campaigns = 0, seen = 0, in_time = 0, accounts = 0, suspended = 0, quick = 0;
    std::vector<double> warn, throttle, suspend, tokens, share;
  };
  std::map<std::string, Row> rows;
  for (const auto& outcome : outcomes) {
    for (const auto& campaign : outcome.campaigns) {
      Row& row = rows[campaign.plan.variant];
      ++row.campaigns;
      row.accounts += campaign.accounts;
      row.suspended += campaign.suspended;
      row.seen += campaign.suspended > 0 ? 1 : 0;
      const double share =
          static_cast<double>(campaign.items.size()) / static_cast<double>(campaign.plan.list);
      row.share.push_back(share);
      row.in_time += campaign.suspended > 0 && share < 0.1 ? 1 : 0;
    }
    for (const Fate& fate : outcome.fates) {
      if (fate.campaign < 0) continue;
      Row& row = rows[outcome.campaigns[static_cast<size_t>(fate.campaign)].plan.variant];
      const auto put = [](std::vector<double>& into, const Mark& mark) {
        if (mark.requests >= 0) into.push_back(static_cast<double>(mark.harvest_requests));
      };
      put(row.warn, fate.steps[kWarn]);
      put(row.throttle, fate.steps[kThrottle]);
      put(row.suspend, fate.steps[kSuspend]);
      const Mark& mark = fate.steps[kSuspend];
      if (mark.requests < 0) continue;
      row.tokens.push_back(static_cast<double>(mark.harvest_tokens));
      row.quick += mark.requests <= 2000 ? 1 : 0;
    }
  }
  fmt::print(
      "\nharvests: campaigns stopped before a tenth of their list was got; accounts suspended, "
      "how\nmany of them within 2,000 requests; harvest requests (median) of an account until "
      "warned,\nthrottled, suspended; tokens got by then; share of the list got (median, 90 %)\n");
  for (const auto& [variant, row] : rows) {
    fmt::print(
        "{:<20} in time {:<34} accounts {:<36} {:>5} {:>5.0f} {:>5.0f} {:>5.0f} tokens "
        "{:>7.0f} share {:.3f} {:.3f}\n",
        variant, rate(row.in_time, row.campaigns), rate(row.suspended, row.accounts), row.quick,
        quantile(row.warn, 0.5), quantile(row.throttle, 0.5), quantile(row.suspend, 0.5),
        quantile(row.tokens, 0.5), quantile(row.share, 0.5), quantile(row.share, 0.9));
  }
}

// Of pairs of accounts that a finding put into one cluster, how many are of one campaign; of
// accounts of split campaigns, how many were put into a cluster.
void print_clusters(const std::vector<Outcome>& outcomes) {
  int64_t named = 0, right = 0, members = 0, found = 0;
  for (const auto& outcome : outcomes) {
    for (const Fate& fate : outcome.fates) {
      const bool split = fate.campaign >= 0 &&
                         outcome.campaigns[static_cast<size_t>(fate.campaign)].plan.accounts > 1;
      if (!fate.clusters.empty()) {
        ++named;
        right += fate.campaign >= 0 ? 1 : 0;
      }
      members += split ? 1 : 0;
      found += split && !fate.clusters.empty() ? 1 : 0;
    }
  }
  fmt::print(
      "\nclusters: of the accounts named as members {} were harvesters; of the accounts of "
      "split campaigns {} were named\n",
      rate(right, named), rate(found, members));
}

}  // namespace

Interval clopper_pearson(int64_t hits, int64_t of) {
  Interval out;
  if (of == 0) return out;
  if (hits > 0) {
    out.low = bisect([&](double p) { return 1 - binomial_cdf(hits - 1, of, p) > 0.025; });
  }
  if (hits < of) {
    out.high = bisect([&](double p) { return binomial_cdf(hits, of, p) < 0.025; });
  }
  return out;
}

void print_outcomes(const std::vector<Outcome>& outcomes) {
  print_honest(outcomes);
  print_campaigns(outcomes);
  print_clusters(outcomes);
}

}  // namespace retort::bench::harvest
