#include "detect/detector.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "detect/numbers_internal.h"

namespace retort::detect {
namespace {

constexpr uint32_t kFirstAccountCheck = 6;

std::array<double, kFamilies> family_p_values(const ClassCalibration& of, const Wealth& wealth) {
  std::array<double, kFamilies> out{};
  for (size_t i = 0; i < kFamilies; ++i) {
    out[i] = p_value(of.families[i], of.periods, wealth.families[i]);
  }
  return out;
}

}  // namespace

// Evidence from one side: the account's own streams, or a cluster it belongs to.
struct Detector::Verdict {
  const ClassCalibration* honest = nullptr;
  std::string_view compared_with;
  double e_value = 0, p_value = 1, rest_p = 1;
  std::array<double, kFamilies> family_p{};
  const Judge* judge = nullptr;
  const Features* best = nullptr;
  const Stream* stream = nullptr;
  const Pool* pool = nullptr;
  Membership membership = Membership::none;  // of the pool
  Step step = Step::watch;
  double threshold = 0;
};

Detector::Detector(Options options) : options_(std::move(options)), clusters_(options_.salt) {}

AccountState& Detector::state_of(std::string_view account) {
  const auto found = accounts_.find(account);
  if (found != accounts_.end()) return *found->second;
  return *accounts_.emplace(account, std::make_unique<AccountState>()).first->second;
}

std::optional<Finding> Detector::observe(const Observation& seen) {
  AccountState& state = state_of(seen.subject.account);
  if (state.requests > 0) {
    const int64_t period = std::max<int64_t>(0, seen.time_ms - state.first_ms) / kPeriodMs;
    if (period > state.period) {
      if (const auto* of = options_.calibration.find(seen.subject.purpose)) {
        state.evidence_past += period_weight(state.period) * e_value(*of, state.wealth.total);
      }
      begin_period(state, static_cast<uint32_t>(period));
    }
  }
  const Counted counted = count(state, seen, options_.salt);
  last_stream_ = counted.stream;
  judge_streams(state, seen, counted.stream);
  last_pools_.clear();
  last_guise_ = guise_of(seen, counted.entry.setting);
  ++state.in_period;
  // What somebody may do is no evidence against others, and dialogs that go on are no list.
  if (counted.stream != kDialogs && seen.subject.licence == Licence::none) {
    const Stream& stream = state.streams[counted.stream];
    const auto requests = static_cast<double>(state.requests);
    const Pooled pooled{
        &seen,
        &counted,
        static_cast<float>(share(stream.one_shots, stream.one_shots + stream.followed, 0.6)),
        static_cast<float>(share(state.streams[kDialogs].count, requests, 0.2)),
        surprise(state, seen),
        state.wealth.total,
        state.wealth.total > Wealth{}.total ? state.in_period : 0};
    last_pools_ = clusters_.add(pooled, options_.model.cluster, options_.calibration,
                                options_.policy.cluster_alpha);
  }
  return decide(state, seen, last_pools_);
}

void Detector::judge_streams(AccountState& state, const Observation& seen, size_t index) {
  Stream& stream = state.streams[index];
  if (stream.count < std::max(kFirstAccountCheck, stream.check_at)) return;
  stream.check_at = stream.count + 1 + stream.count / 8;
  const Features values = stream.features();
  const Judge& judge = options_.model.account;
  Wealth now = wealth_of(judge, values);
  stream.score = now.total;
  now.lower(early_handicap(stream.count));
  if (now.total > state.wealth.total) {
    state.best = values;
    if (state.best_stream != index) state.examples = {};
    state.best_stream = static_cast<uint8_t>(index);
  }
  state.wealth.raise(now);
  if (state.best_stream != index) return;
  auto& example = state.examples[stream.count % state.examples.size()];
  example = {};
  const size_t size = std::min(seen.request.size(), example.size());
  std::memcpy(example.data(), seen.request.data(), size);
}

float Detector::surprise(const AccountState& state, const Observation& seen) {
  // By the program's own calibration, with which clusters were calibrated, whatever accounts are
  // compared with.
  const auto* honest = built_in_calibration().find(seen.subject.purpose);
  if (honest == nullptr || state.wealth.total <= Wealth{}.total) return 0;
  const double p = p_value(honest->total, honest->periods, state.wealth.total);
  return static_cast<float>(-std::log(p));
}

Detector::Verdict Detector::own_verdict(const AccountState& state, const Observation& seen) const {
  Verdict out;
  const auto found = options_.calibration.classes.find(seen.subject.purpose);
  if (found != options_.calibration.classes.end()) out.compared_with = found->first;
  out.honest = options_.calibration.find(seen.subject.purpose);
  if (out.honest == nullptr) return out;
  out.e_value =
      state.evidence_past + period_weight(state.period) * e_value(*out.honest, state.wealth.total);
  if (!reaches_any_step(out.e_value, options_.policy.suspend_alpha)) return out;
  out.p_value = p_value(out.honest->total, out.honest->periods, state.wealth.total);
  out.rest_p = p_value(out.honest->rest, out.honest->periods, state.wealth.rest);
  out.family_p = family_p_values(*out.honest, state.wealth);
  out.judge = &options_.model.account;
  out.best = &state.best;
  out.stream = &state.streams[state.best_stream];
  out.step = step_of(out, options_.policy.suspend_alpha);
  // Of a purpose that nobody calibrated with, no honest account is known: all others are no bound.
  const bool known = found != options_.calibration.classes.end();
  if (!known) out.step = std::min(out.step, Step::throttle);
  return out;
}

// Of the pool alone: an account is in many, so its evidence warns of nothing, it suffices or not.
Detector::Verdict Detector::pool_verdict(const Pool& pool) const {
  Verdict out;
  const auto found = options_.calibration.classes.find(class_of(pool.bond));
  if (found == options_.calibration.classes.end()) return out;
  // A pool of two may be nothing but the account itself.
  if (pool.accounts.estimate() < Clusters::kClusterAccounts) return out;
  out.honest = &found->second;
  out.compared_with = found->first;
  out.e_value = pool.evidence(options_.calibration, options_.policy.cluster_alpha);
  const double left = evidence_of_left(pool);
  if (!reaches_any_step(std::max(out.e_value, left), options_.policy.cluster_alpha)) return out;
  out.p_value = p_value(found->second.total, found->second.periods, pool.wealth.total);
  out.rest_p = p_value(found->second.rest, found->second.periods, pool.wealth.rest);
  out.family_p = family_p_values(found->second, pool.wealth);
  out.judge = &options_.model.cluster;
  out.best = &pool.best;
  out.stream = &pool.stream;
  out.pool = &pool;
  out.step = step_of(out, options_.policy.cluster_alpha);
  if (out.step != Step::suspend) out.step = Step::watch;
  if (out.step != Step::suspend && left * options_.policy.cluster_alpha >= 1) {
    out.e_value = left;
    out.step = Step::suspend;
  }
  return out;
}

bool Detector::is_proven(const Pool& pool) const {
  return pool_verdict(pool).step == Step::suspend;
}

// One by the chance that so many of so many honest accounts, who have nothing to do with each
// other, are ever suspended.
double Detector::evidence_of_left(const Pool& pool) const {
  const int left = pool.left_as(last_guise_);
  if (left < 2 || (of_content(pool.bond) && !pool.is_private())) return 0;
  const double accounts = std::max<double>(left, pool.accounts.estimate());
  double chance = 1;
  for (int i = 0; i < left; ++i) {
    chance *= options_.policy.suspend_alpha * (accounts - i) / (i + 1);
  }
  return 1 / std::min(1.0, chance);
}

bool Detector::shares_guise(const Pool& pool) const {
  return pool.is_mostly(last_guise_) || pool.left_as(last_guise_) >= 2;
}

// Who only shares a network or a popular template with harvesters is no member. A member asks what
// the cluster asks, more than once or twice, and is itself unusual; or it is an heir (finding.h).
Detector::Membership Detector::membership(const AccountState& state, const Observation& seen,
                                          Ties by) const {
  const Policy& policy = options_.policy;
  const auto honest = options_.calibration.classes.find(seen.subject.purpose);
  if (state.streams[last_stream_].count >= policy.member_requests &&
      honest != options_.calibration.classes.end()) {
    const ClassCalibration& others = honest->second;
    const double p = p_value(others.total, others.periods, state.wealth.total);
    // What few requests came to is compared with whole periods: their p-value errs towards 1.
    const bool young = state.in_period < policy.young_requests;
    const double own_guise = young ? policy.young_member_p : policy.member_p;
    if (p <= (by.guise ? own_guise : policy.stranger_p)) return Membership::unusual;
  }
  const auto suffice = [&](uint32_t requests, uint32_t least) {
    return requests >= least && requests >= policy.heir_part * state.in_period;
  };
  const bool heir = (by.place && suffice(state.heir, policy.heir_requests)) ||
                    (by.content && suffice(state.template_heir, policy.template_heir_requests));
  return heir ? Membership::heir : Membership::none;
}

// The gravest of the account's own evidence and that of the clusters that the request went into.
Detector::Verdict Detector::verdict(AccountState& state, const Observation& seen,
                                    const std::vector<const Pool*>& pools) const {
  Verdict worst = own_verdict(state, seen);
  Verdict cluster;
  Ties by;
  bool counts = false;  // for what it inherits by place
  for (const Pool* pool : pools) {
    const Verdict one = pool_verdict(*pool);
    const bool proven = one.step == Step::suspend;
    if (proven && cluster.step != Step::suspend) cluster = one;
    if (!shares_guise(*pool)) continue;
    // Who may be most of a pool has nothing to inherit.
    const bool inherits = proven && 2 * state.in_period <= pool->stream.count;
    if (of_content(pool->bond)) {
      by.guise = by.guise || (proven && pool->is_mostly(last_guise_));
      by.content = by.content || (inherits && pool->is_private());
      continue;
    }
    by.place = by.place || inherits;
    // Of who came after the others all counts, also before it was known what they are.
    counts = counts || proven || state.first_ms >= pool->first_ms;
  }
  state.heir += counts ? 1 : 0;
  state.template_heir += by.content ? 1 : 0;
  if (cluster.step <= worst.step) return worst;
  cluster.membership = membership(state, seen, by);
  return cluster.membership == Membership::none ? worst : cluster;
}

// Either so many families are unusual by themselves, or, where two are asked for, all the others
// together are without the one that weighs most: no one kind of evidence is the whole of it.
bool Detector::of_several_kinds(const Verdict& verdict) const {
  const Policy& policy = options_.policy;
  const auto counts = std::count_if(verdict.family_p.begin(), verdict.family_p.end(),
                                    [&](double p) { return p <= policy.family_p; });
  return counts >= policy.families || (policy.families <= 2 && verdict.rest_p <= policy.family_p);
}

// Without that a verdict is to watch, and nobody asks what else it rests on.
bool Detector::reaches_any_step(double e_value, double suspend_alpha) const {
  const Policy& policy = options_.policy;
  return e_value * std::max({suspend_alpha, policy.throttle_alpha, policy.warn_alpha}) >= 1;
}

Step Detector::step_of(const Verdict& verdict, double suspend_alpha) const {
  const auto reaches = [&](double alpha) { return verdict.e_value * alpha >= 1; };
  if (reaches(suspend_alpha) && of_several_kinds(verdict)) return Step::suspend;
  if (reaches(options_.policy.throttle_alpha)) return Step::throttle;
  if (reaches(options_.policy.warn_alpha)) return Step::warn;
  return Step::watch;
}

std::optional<Finding> Detector::decide(AccountState& state, const Observation& seen,
                                        const std::vector<const Pool*>& pools) {
  Verdict worst = verdict(state, seen, pools);
  if (worst.step <= state.step) return {};
  // An heir is no evidence for what it inherits.
  const bool licensed = seen.subject.licence != Licence::none;
  if (worst.step == Step::suspend && !licensed) {
    clusters_.note_left(seen.subject.account, last_guise_, worst.membership == Membership::heir);
  }
  state.step = worst.step;
  state.best_pool = worst.pool != nullptr ? worst.pool->key : 0;
  const auto& policy = options_.policy;
  const double alpha = worst.step == Step::warn       ? policy.warn_alpha
                       : worst.step == Step::throttle ? policy.throttle_alpha
                       : worst.pool != nullptr        ? policy.cluster_alpha
                                                      : policy.suspend_alpha;
  worst.threshold = 1 / alpha;
  Evidence evidence = this->evidence(state, seen, worst);
  if (licensed) return Report{std::move(evidence)};
  return Charge{worst.step, std::move(evidence)};
}

Evidence Detector::evidence(const AccountState& state, const Observation& seen,
                            const Verdict& verdict) const {
  Evidence out;
  out.account = seen.subject.account;
  out.key = seen.subject.key;
  out.purpose = seen.subject.purpose;
  out.compared_with = verdict.compared_with;
  out.honest_periods = verdict.honest->periods;
  out.time_ms = seen.time_ms;
  out.e_value = verdict.e_value;
  out.threshold = verdict.threshold;
  out.p_value = verdict.p_value;
  out.rest_p_value = verdict.rest_p;
  for (size_t i = 0; i < kFamilies; ++i) {
    const double p = verdict.family_p[i];
    out.families.push_back({static_cast<Family>(i), p, p <= options_.policy.family_p});
  }
  out.measures = heaviest(*verdict.judge, *verdict.best, 6);
  out.requests = verdict.stream->count;
  out.answer_tokens = static_cast<int64_t>(verdict.stream->tokens_out);
  for (const auto& example : state.examples) {
    const std::string_view id(example.data(), strnlen(example.data(), example.size()));
    if (!id.empty()) out.examples.emplace_back(id);
  }
  if (verdict.pool != nullptr) {
    out.cluster = ClusterEvidence{verdict.pool->key,
                                  verdict.pool->bond,
                                  static_cast<int64_t>(verdict.pool->accounts.estimate() + 0.5),
                                  verdict.pool->stream.count,
                                  verdict.pool->left_as(last_guise_),
                                  verdict.membership == Membership::heir};
    out.examples.emplace_back(seen.request);
  }
  out.clause = options_.policy.clause;
  out.clause_text = options_.policy.clause_text;
  return out;
}

std::string Detector::save(std::string_view account) const {
  const AccountState* held = state(account);
  return held == nullptr ? std::string() : detect::save(*held);
}

Result<void> Detector::restore(std::string_view account, std::string_view bytes) {
  RETORT_TRY(const AccountState state, detect::restore(bytes));
  accounts_[std::string(account)] = std::make_unique<AccountState>(state);
  return {};
}

void Detector::forget(std::string_view account) {
  const auto found = accounts_.find(account);
  if (found != accounts_.end()) accounts_.erase(found);
  clusters_.forget(account);
}

const AccountState* Detector::state(std::string_view account) const {
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? nullptr : found->second.get();
}

}  // namespace retort::detect
