// Thirty days of a provider: honest accounts and campaigns, their requests in the order of time, a
// detector that sees them, and what is done about its findings.
#pragma once
#include <array>
#include <functional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "detect/detector.h"
#include "harvest/traffic.h"

namespace retort::bench::harvest {

constexpr size_t kSteps = 4;

struct Mark {
  int64_t requests = -1;         // of the account until then; -1: never came to it
  int64_t harvest_requests = 0;  // of those, harvest
  int64_t harvest_tokens = 0;
};

// What became of one account.
struct Fate {
  std::string kind, purpose;
  int campaign = -1;
  bool licensed = false, reported = false;
  int64_t requests = 0, harvest_requests = 0, harvest_tokens = 0;
  std::array<Mark, kSteps> steps{};  // when each step was first reached
  std::set<uint64_t> clusters;       // of findings
  detect::Wealth wealth{};           // after its last request
};

struct CampaignFate {
  Campaign plan;
  std::unordered_set<int64_t> items;       // obtained, until all was suspended or the month over
  std::array<int64_t, kSteps> items_at{};  // when the first account came to a step; -1: none did
  int64_t tokens = 0;
  int accounts = 0, suspended = 0;
};

struct Spec {
  uint64_t seed = 1;
  int honest_of_a_kind = 100;
  int licensed = 5;
  std::vector<std::string> campaigns;  // variants, one campaign each
  std::vector<int> left_out_kinds;     // of honest ones
  double neighbours = 0;               // share of honest accounts on a campaign's networks
  double colleagues = 0;               // ... of these, of those who pay as the campaign does, too
  bool places = true;                  // networks and payers are known
  bool acts = true;                    // what is suspended is stopped
};

inline uint64_t campaign_seed(const Spec& spec, size_t index) {
  return spec.seed * 1000 + index;
}

struct Seen {
  size_t member = 0;
  const Request* request = nullptr;
  const detect::Observation* observation = nullptr;
  const std::optional<detect::Finding>* finding = nullptr;
  const Fate* fate = nullptr;
};
using Listener = std::function<void(const Seen&)>;

struct Outcome {
  std::vector<Fate> fates;
  std::vector<CampaignFate> campaigns;
  int64_t requests = 0;
};
Outcome run_world(const Texts& texts, const Spec& spec, detect::Detector& detector,
                  const Listener& listener = {});

}  // namespace retort::bench::harvest
