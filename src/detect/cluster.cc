#include "detect/cluster.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace retort::detect {
namespace {

constexpr size_t kPools = 4096, kWays = 8, kMet = 65'536;
constexpr int64_t kTogetherMs = 5'000;
constexpr uint32_t kFirstClusterCheck = 12;

struct Key {
  uint64_t key = 0;
  Bond bond = Bond::beginning;
};

std::array<Key, kBonds> keys_of(const Pooled& request, uint64_t salt) {
  const Prompt& prompt = request.counted->prompt;
  const auto key = [salt](Bond bond, uint64_t value) {
    if (value == 0) return Key{0, bond};
    const uint64_t hash = base::mix64(value ^ base::mix64(salt + static_cast<uint64_t>(bond) + 1));
    return Key{hash | 1, bond};
  };
  // One client makes all of a campaign's requests: its options tell it from others' templates.
  const auto with_setting = [&](uint32_t edge) {
    return edge == 0 ? 0 : static_cast<uint64_t>(edge) << 16 | request.counted->entry.setting;
  };
  return {key(Bond::beginning, with_setting(prompt.prefix)),
          key(Bond::ending, with_setting(prompt.suffix)),
          key(Bond::network, request.seen->address_cell),
          key(Bond::payer, request.seen->payment_cell)};
}

void add_to(Pool& pool, const Pooled& request, uint32_t account, uint64_t requests) {
  const Prompt& prompt = request.counted->prompt;
  Entry entry = request.counted->entry;
  entry.prompt = &prompt;
  const bool other = pool.stream.count > 0 && account != pool.last_account;
  if (other) {
    const int64_t gap = request.seen->time_ms - pool.stream.last_ms;
    ++pool.turns;
    pool.together += gap <= kTogetherMs ? 1 : 0;
    const double span = static_cast<double>(pool.stream.last_ms - pool.stream.first_ms);
    const double mean_gap = (span + 60'000) / pool.stream.count;
    pool.expected += static_cast<float>(1 - std::exp(-kTogetherMs / mean_gap));
  }
  pool.last_account = account;
  const uint32_t guise = guise_of(*request.seen, entry.setting);
  if (pool.guise_hits == 0) pool.guise = guise;
  pool.guise_hits += pool.guise == guise ? 1 : -1;
  pool.one_shots += request.one_shot;
  pool.reuse += request.reuse;
  if (request.requests > 0) {
    // So that who asks ten times as much hardly weighs more.
    const float weight = 1 / static_cast<float>(request.requests);
    pool.unusual += weight * request.unusual;
    pool.harvest_like += weight * request.score;
    pool.weighed += weight;
  }
  pool.met_at = requests;
  pool.stream.add(entry);
  pool.accounts.add(base::mix64(account));
  pool.asked.add(base::mix64(prompt.exact ^ base::mix64(account)));
  // What is not known is nobody else's: that accounts have it in common is not to be claimed.
  const auto own = [account](uint64_t cell) { return base::mix64(cell != 0 ? cell : account); };
  pool.addresses.add(own(request.seen->address_cell));
  pool.payments.add(own(request.seen->payment_cell));
}

void judge_pool(Pool& pool, const Judge& judge) {
  if (pool.stream.count < std::max(kFirstClusterCheck, pool.stream.check_at)) return;
  if (pool.accounts.estimate() < Clusters::kJudgedAccounts) return;
  pool.stream.check_at = pool.stream.count + 1 + pool.stream.count / 8;
  const Features values = pool.features();
  const Wealth now = wealth_of(judge, values);
  if (now.total > pool.wealth.total) pool.best = values;
  pool.wealth.raise(now);
}

void begin_period(Pool& pool, uint32_t period, double evidence) {
  Pool next;
  next.key = pool.key;
  next.bond = pool.bond;
  next.period = period;
  next.first_ms = pool.first_ms;
  next.evidence_past = evidence;
  next.left = pool.left;
  next.lefts = pool.lefts;
  next.gone = pool.gone;
  next.stream.prefix = pool.stream.prefix;
  next.stream.suffix = pool.stream.suffix;
  pool = next;
}

}  // namespace

std::string_view name(Bond bond) {
  constexpr std::array<std::string_view, kBonds> kNames = {"beginning", "ending", "network",
                                                           "payer"};
  return kNames[static_cast<size_t>(bond)];
}

std::string_view class_of(Bond bond) {
  return of_content(bond) ? "cluster:template" : "cluster:infrastructure";
}

std::string_view words(Bond bond) {
  constexpr std::array<std::string_view, kBonds> kWords = {"prompts that begin with the same words",
                                                           "prompts that end with the same words",
                                                           "the same network", "the same payer"};
  return kWords[static_cast<size_t>(bond)];
}

Features Pool::features() const {
  Features out = stream.features();
  const double n = stream.count, weight = n / (n + 24);
  const double who = std::max(1.0, accounts.estimate());
  const double asks = std::max(1.0, asked.estimate());
  at(out, Feature::accounts) = static_cast<float>(std::log2(1 + who) / 10);
  at(out, Feature::overlap) =
      static_cast<float>(weight * std::clamp(1 - stream.prompts.estimate() / asks, 0.0, 1.0));
  const auto few = [&](const Distinct& cells) {
    return static_cast<float>(std::clamp(1 - cells.estimate() / who, 0.0, 1.0));
  };
  at(out, Feature::few_addresses) = few(addresses);
  at(out, Feature::few_payments) = few(payments);
  at(out, Feature::taking_turns) = static_cast<float>(weight * turns / n);
  at(out, Feature::together) =
      static_cast<float>(weight * std::clamp((together - double{expected}) / n, -1.0, 1.0));
  at(out, Feature::same_client) = static_cast<float>(std::max(0.0, guise_hits / n));
  at(out, Feature::unusual) = unusual / (weighed + 0.1F);
  at(out, Feature::harvest_like) = weighed > 0 ? harvest_like / weighed / 10 : -1;
  // Of a pool it is not known which of its requests were followed, but what its accounts are like.
  at(out, Feature::one_shot) = static_cast<float>(one_shots / n);
  at(out, Feature::reuse) = static_cast<float>(reuse / n);
  return out;
}

uint32_t guise_of(const Observation& seen, uint16_t setting) {
  return static_cast<uint32_t>(hash_text(seen.subject.purpose, setting));
}

int Pool::left_as(uint32_t one) const {
  return static_cast<int>(std::count_if(left.begin(), left.end(), [one](const Left& other) {
    return other.account != 0 && other.guise == one;
  }));
}

bool Pool::is_private() const {
  constexpr uint32_t kLeast = 3;
  constexpr double kPart = 0.7;
  return gone >= kLeast && gone >= kPart * accounts.estimate();
}

bool Pool::is_mostly(uint32_t one) const {
  return guise == one && 2 * guise_hits >= stream.count;
}

double Pool::evidence(const Calibration& calibration, double alpha) const {
  const auto honest = calibration.classes.find(class_of(bond));
  if (honest == calibration.classes.end()) return 0;
  // Of tens of thousands of honest templates the size of a score says enough, and all or nothing
  // would let as many be proven as alpha allows; of networks and payers there are too few for size.
  const double size = period_weight(period) * e_value(honest->second, wealth.total);
  return evidence_past +
         (of_content(bond) ? size : all_or_nothing(honest->second, wealth.total, alpha, period));
}

Clusters::Clusters(uint64_t salt) : salt_(salt), pools_(kPools), keys_(kPools), met_(kMet) {}

size_t Clusters::bytes() {
  return kPools * (sizeof(Pool) + sizeof(uint64_t)) + kMet * sizeof(Met);
}

const Pool* Clusters::find(uint64_t key) const {
  const size_t set = key / 2 % (kPools / kWays) * kWays;
  for (size_t i = set; i < set + kWays; ++i) {
    if (keys_[i] == key) return &pools_[i];
  }
  return nullptr;
}

uint32_t Clusters::hash_of(std::string_view account) const {
  return static_cast<uint32_t>(hash_text(account, salt_)) | 1U;
}

void Clusters::note_left(std::string_view account, uint32_t guise, bool heir) {
  const uint32_t hash = hash_of(account);
  for (const uint64_t key : last_keys_) {
    if (key == 0) continue;
    Met& met = met_[key / 2 % kMet];
    auto* pool = const_cast<Pool*>(find(key));
    if (pool == nullptr) {
      if (met.key == key && met.account == hash && !heir) met.left_as = guise;
      continue;
    }
    ++pool->gone;
    if (heir) continue;
    pool->left[pool->lefts++ % pool->left.size()] = {hash, guise};
    if (pool->wealth.total <= Wealth{}.total) pool->best = pool->features();  // never judged yet
  }
}

void Clusters::forget(std::string_view account) {
  const uint32_t hash = hash_of(account);
  for (Met& met : met_) {
    if (met.account == hash) met.left_as = 0;
  }
  for (Pool& pool : pools_) {
    for (Left& one : pool.left) {
      if (one.account != hash) continue;
      one = {};
      --pool.gone;
    }
  }
}

Pool* Clusters::place(uint64_t key, Bond bond, uint32_t account) {
  if (const Pool* found = find(key)) return const_cast<Pool*>(found);
  Met& met = met_[key / 2 % kMet];
  if (met.key != key) {
    met = {key, account, 0};
    return nullptr;
  }
  if (met.account == account) return nullptr;
  // Two accounts have it. The pool that least is known of, for longest, makes room.
  const size_t set = key / 2 % (kPools / kWays) * kWays;
  const auto worth = [this](const Pool& pool) {
    const auto away = static_cast<double>(requests_ - pool.met_at);
    return pool.key == 0 ? -1.0 : pool.stream.count * pool.accounts.estimate() / (1000.0 + away);
  };
  Pool* least = &pools_[set];
  for (size_t i = set + 1; i < set + kWays; ++i) {
    if (worth(pools_[i]) < worth(*least)) least = &pools_[i];
  }
  *least = Pool{};
  least->key = keys_[static_cast<size_t>(least - pools_.data())] = key;
  least->bond = bond;
  least->accounts.add(base::mix64(met.account));
  if (met.left_as != 0) {
    least->left[0] = {met.account, met.left_as};
    least->gone = least->lefts = 1;
  }
  if (bond == Bond::beginning) least->stream.prefix = static_cast<uint32_t>(key) | 1U;
  if (bond == Bond::ending) least->stream.suffix = static_cast<uint32_t>(key) | 1U;
  return least;
}

std::vector<const Pool*> Clusters::add(const Pooled& request, const Judge& judge,
                                       const Calibration& calibration, double alpha) {
  ++requests_;
  std::vector<const Pool*> out;
  out.reserve(kBonds);
  const uint32_t account = hash_of(request.seen->subject.account);
  const auto keys = keys_of(request, salt_);
  for (size_t i = 0; i < keys.size(); ++i) last_keys_[i] = keys[i].key;
  for (const Key& key : keys) {
    if (key.key == 0) continue;
    Pool* pool = place(key.key, key.bond, account);
    if (pool == nullptr) continue;
    const int64_t age = std::max<int64_t>(0, request.seen->time_ms - pool->first_ms);
    if (pool->stream.count == 0 && pool->period == 0) {
      pool->first_ms = request.seen->time_ms;
    } else if (const auto period = static_cast<uint32_t>(age / kPeriodMs); period > pool->period) {
      begin_period(*pool, period, pool->evidence(calibration, alpha));
    }
    add_to(*pool, request, account, requests_);
    judge_pool(*pool, judge);
    out.push_back(pool);
  }
  return out;
}

}  // namespace retort::detect
