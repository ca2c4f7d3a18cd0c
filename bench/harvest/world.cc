#include "harvest/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

namespace retort::bench::harvest {
namespace {

using detect::Step;

constexpr double kSameHouse = 0.15;  // of honest accounts, with another of their kind

struct Due {
  int64_t time_ms;
  size_t member;
  bool operator>(const Due& other) const {
    return time_ms != other.time_ms ? time_ms > other.time_ms : member > other.member;
  }
};

class World {
 public:
  World(const Texts& texts, const Spec& spec, detect::Detector& detector, const Listener& listener)
      : texts_(texts), spec_(spec), detector_(detector), listener_(listener) {
    add_honest();
    for (size_t i = 0; i < spec.campaigns.size(); ++i) {
      add_campaign(spec.campaigns[i], campaign_seed(spec, i));
    }
  }

  Outcome run() {
    while (!due_.empty()) {
      const size_t member = due_.top().member;
      due_.pop();
      Request request = std::move(waiting_[member]);
      if (auto& client = members_[member].client) {
        if (!*client) *client = request.sampling;
        request.sampling = **client;
      }
      if (ask(member, request)) wait(member);
    }
    return std::move(out_);
  }

 private:
  void add_honest() {
    base::Random random(spec_.seed, 2), houses(spec_.seed, 11);
    for (size_t kind = 0; kind < honest_kinds().size(); ++kind) {
      const auto& left = spec_.left_out_kinds;
      if (std::find(left.begin(), left.end(), static_cast<int>(kind)) != left.end()) continue;
      for (int i = 0; i < spec_.honest_of_a_kind; ++i) {
        // Thirty pupils make a class.
        const uint64_t group = spec_.seed * 977 + static_cast<uint64_t>(i / 30);
        Member member = honest(texts_, kind, random.next(), group);
        if (i > 0 && chance(houses, kSameHouse)) join_house(member, members_.back());
        move_in(member, random);
        add(std::move(member));
      }
    }
    for (int i = 0; i < spec_.licensed; ++i) {
      Campaign plan = draw_campaign(texts_, i % 2 == 0 ? "templates" : "bulk", random.next());
      plan.purpose = "training";
      Member member = harvester(texts_, plan, 0, /*campaign_id=*/-1, 0, 0);
      member.kind = "licensed distiller";
      member.licence = detect::Licence::allowed;
      add(std::move(member));
    }
  }

  // Firms have an account a team or a stage of their work: one client, network and payer.
  static void join_house(Member& member, Member& other) {
    member.purpose = other.purpose;
    member.address = other.address;
    member.payment = other.payment;
    if (!other.client) other.client = std::make_shared<std::optional<detect::Sampling>>();
    member.client = other.client;
  }

  // Behind a network that accounts of some campaign use as well, and perhaps of the same house.
  void move_in(Member& member, base::Random& random) const {
    if (spec_.neighbours == 0 || spec_.campaigns.empty()) return;
    if (random.uniform() >= spec_.neighbours) return;
    const size_t which = random.below(spec_.campaigns.size());
    const auto plan = draw_campaign(texts_, spec_.campaigns[which], campaign_seed(spec_, which));
    const auto index = random.below(static_cast<uint64_t>(plan.accounts));
    member.address = network_of(plan, static_cast<int>(index));
    if (spec_.colleagues > 0 && random.uniform() < spec_.colleagues) {
      member.payment = payer_of(plan, static_cast<int>(index));
    }
  }

  void add_campaign(const std::string& variant, uint64_t seed) {
    CampaignFate fate;
    fate.plan = draw_campaign(texts_, variant, seed);
    fate.items_at.fill(-1);
    const int id = static_cast<int>(out_.campaigns.size());
    out_.campaigns.push_back(fate);
    for (int i = 0; i < fate.plan.accounts; ++i) {
      add(harvester(texts_, fate.plan, i, id, 0, 0));
    }
  }

  void add(Member member) {
    Fate fate;
    fate.kind = member.kind;
    fate.purpose = member.purpose;
    fate.campaign = member.campaign;
    fate.licensed = member.licence != detect::Licence::none;
    if (member.campaign >= 0) ++out_.campaigns[static_cast<size_t>(member.campaign)].accounts;
    member.id = fmt::format("acct_{}", members_.size());
    members_.push_back(std::move(member));
    waiting_.emplace_back();
    out_.fates.push_back(std::move(fate));
    wait(members_.size() - 1);
  }

  void wait(size_t member) {
    if (members_[member].source->next(waiting_[member])) {
      due_.push({waiting_[member].time_ms, member});
    } else {
      members_[member].source.reset();  // over
    }
  }

  // False: the account may ask nothing more.
  bool ask(size_t index, const Request& request) {
    const Member& member = members_[index];
    std::vector<detect::Turn> turns;
    for (const Line& line : request.turns) turns.push_back({line.speaker, line.text});
    const std::string id = fmt::format("req_{}", out_.requests);
    detect::Observation seen;
    seen.subject = {member.id, "key_1", member.purpose, member.licence};
    seen.request = id;
    seen.time_ms = request.time_ms;
    seen.turns = turns;
    seen.sampling = request.sampling;
    seen.answer = request.answer;
    seen.input_tokens = request.input_tokens;
    seen.output_tokens = request.output_tokens;
    if (spec_.places) {
      seen.address_cell = member.address;
      seen.payment_cell = member.payment;
    }
    const auto finding = detector_.observe(seen);
    ++out_.requests;
    Fate& fate = out_.fates[index];
    count(fate, request);
    fate.wealth = detector_.state(member.id)->wealth;
    if (listener_) listener_({index, &request, &seen, &finding, &fate});
    return !finding || take(index, request, *finding);
  }

  void count(Fate& fate, const Request& request) {
    ++fate.requests;
    if (!request.harvest) return;
    ++fate.harvest_requests;
    fate.harvest_tokens += request.output_tokens;
    if (fate.campaign < 0) return;
    auto& campaign = out_.campaigns[static_cast<size_t>(fate.campaign)];
    campaign.items.insert(request.item);
    campaign.tokens += request.output_tokens;
  }

  bool take(size_t index, const Request& request, const detect::Finding& finding) {
    Fate& fate = out_.fates[index];
    const auto* charge = std::get_if<detect::Charge>(&finding);
    if (charge == nullptr) {
      fate.reported = true;
      return true;
    }
    if (charge->evidence.cluster) fate.clusters.insert(charge->evidence.cluster->id);
    for (size_t step = 1; step <= static_cast<size_t>(charge->step); ++step) {
      if (fate.steps[step].requests >= 0) continue;
      fate.steps[step] = {fate.requests, fate.harvest_requests, fate.harvest_tokens};
      if (fate.campaign < 0) continue;
      auto& campaign = out_.campaigns[static_cast<size_t>(fate.campaign)];
      if (campaign.items_at[step] < 0) {
        campaign.items_at[step] = static_cast<int64_t>(campaign.items.size());
      }
      if (step == static_cast<size_t>(Step::suspend)) ++campaign.suspended;
    }
    if (!spec_.acts) return true;
    const bool rotated = charge->step >= Step::throttle && rotate(fate, request);
    return !rotated && charge->step != Step::suspend;
  }

  // A rotating harvester leaves the account that was throttled and goes on with a new one.
  bool rotate(const Fate& fate, const Request& request) {
    if (fate.campaign < 0) return false;
    const auto& campaign = out_.campaigns[static_cast<size_t>(fate.campaign)];
    if (!campaign.plan.rotates || campaign.accounts > 200) return false;
    const Campaign plan = campaign.plan;
    add(harvester(texts_, plan, campaign.accounts, fate.campaign, request.item + 1,
                  request.time_ms + 600'000));
    return true;
  }

  const Texts& texts_;
  Spec spec_;
  detect::Detector& detector_;
  const Listener& listener_;
  std::vector<Member> members_;
  std::vector<Request> waiting_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  Outcome out_;
};

}  // namespace

Outcome run_world(const Texts& texts, const Spec& spec, detect::Detector& detector,
                  const Listener& listener) {
  return World(texts, spec, detector, listener).run();
}

}  // namespace retort::bench::harvest
