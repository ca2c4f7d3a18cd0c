#include <algorithm>
#include <cmath>

#include "harvest/traffic.h"

namespace retort::bench::harvest {
namespace {

using Order = Campaign::Order;

// Walks the target list: items `index`, `index` + accounts, ...
class Harvester : public Source {
 public:
  Harvester(const Texts& texts, const Campaign& campaign, int index, int64_t from_item,
            int64_t from_ms)
      : Source(texts, campaign.seed * 4099 + static_cast<uint64_t>(index)),
        plan_(campaign),
        item_(from_item + (campaign.rotates ? 0 : index)) {
    base::Random shared(campaign.seed, 6);
    offset_ = shared.below(texts.topics.size());
    for (int i = 0; i < campaign.templates; ++i) {
      frames_.push_back(writing_frame(shared));
      if (plan_.words > 0) put_in_pair(frames_.back());
    }
    for (int i = 0; i < 2; ++i) {
      reasoning_.push_back(pick(shared, reasoning_demands()));
      data_.push_back(pick(shared, data_demands()));
    }
    // Accounts of one campaign do not all begin at once.
    now_ms_ = std::max(
        from_ms, kStartMs + static_cast<int64_t>((plan_.first_day + random_.uniform()) * kDayMs));
    if (plan_.dilution < 1) {
      const uint64_t covers = 1 + random_.below(6);
      for (uint64_t i = 0; i < covers; ++i) {
        covers_.push_back(chat_source(texts, random_.next(), 18.0 / static_cast<double>(covers)));
        waiting_.emplace_back();
        alive_.push_back(covers_.back()->next(waiting_.back()));
      }
    }
    if (plan_.human_hours) {
      starts_ = sittings(std::min(20.0, plan_.daily_most / 8));
      while (at_ < starts_.size() && starts_[at_] < now_ms_) ++at_;
    }
  }

 protected:
  bool fill(std::vector<Request>& out) override {
    if (asked_ > kRequestsMost) return false;
    if (plan_.dilution < 1) return fill_diluted(out);
    if (plan_.human_hours) {
      if (at_ == starts_.size()) return false;
      now_ms_ = starts_[at_++];
      const int many = 3 + run_length(random_, 0.85, 30);
      for (int i = 0; i < many && item_ < plan_.list; ++i) {
        add_item(out);
        now_ms_ += static_cast<int64_t>(log_normal(random_, 60'000, 0.8));
      }
      return !out.empty();
    }
    if (item_ >= plan_.list) return false;
    add_item(out);
    const double gap_ms = -3'600'000 / plan_.per_hour * std::log(1 - random_.uniform());
    now_ms_ = std::max(now_ms_, out.back().time_ms) + static_cast<int64_t>(gap_ms);
    if (++today_ >= plan_.daily_most) {
      today_ = 0;
      now_ms_ += static_cast<int64_t>(kDayMs * (0.8 + 0.2 * random_.uniform()));
    }
    return true;
  }

 private:
  static constexpr int kRequestsMost = 4000;

  // A chat's next request, and the harvest that goes along with it.
  bool fill_diluted(std::vector<Request>& out) {
    size_t first = covers_.size();
    for (size_t i = 0; i < covers_.size(); ++i) {
      if (alive_[i] && (first == covers_.size() || waiting_[i].time_ms < waiting_[first].time_ms)) {
        first = i;
      }
    }
    if (first == covers_.size()) return false;
    now_ms_ = waiting_[first].time_ms;
    out.push_back(waiting_[first]);
    alive_[first] = covers_[first]->next(waiting_[first]);
    ++asked_;
    if (item_ < plan_.list && chance(random_, plan_.dilution / (1 - plan_.dilution))) {
      now_ms_ += static_cast<int64_t>(random_.uniform() * 20'000);
      add_item(out);
    }
    return true;
  }

  const Topic& topic_at(int64_t item) const {
    const auto size = texts_.topics.size();
    const auto place = (static_cast<uint64_t>(item) + offset_) % size;
    if (plan_.order == Order::listed) return texts_.topics[place];
    if (plan_.order == Order::alphabetical) return texts_.topics[texts_.by_name[place]];
    return texts_.topics[base::mix64(place ^ plan_.seed) % size];
  }

  std::string prompt_of(int64_t item) {
    const Topic& topic = topic_at(item);
    base::Random own(plan_.seed, 100 + static_cast<uint64_t>(item));
    const std::string plain = plan_.paraphrased ? paraphrase(own, topic)
                                                : harvest::fill(pick(own, question_frames()), topic,
                                                                pick(own, texts_.topics));
    switch (plan_.content) {
      case Content::seeds:
        return plain;
      case Content::templates:
        if (plan_.paraphrased) return plain;
        return plan_.words > 0 ? fill_pair(pick(own, frames_), own)
                               : harvest::fill(pick(own, frames_), topic, topic);
      case Content::reasoning:
        return plain + " " + pick(own, reasoning_);
      case Content::data:
        return harvest::fill(pick(own, data_), topic, topic);
    }
    return plain;
  }

  // Two words of a short list, as many pairs as there are.
  static void put_in_pair(std::string& frame) {
    constexpr std::string_view kSlot = "{n}";
    const size_t at = frame.find(kSlot);
    if (at != std::string::npos) frame.replace(at, kSlot.size(), "{n} and {m}");
  }
  std::string fill_pair(const std::string& frame, base::Random& own) {
    const auto word = [&]() -> const Topic& {
      return texts_.topics[(offset_ + own.below(static_cast<uint64_t>(plan_.words)) * 101) %
                           texts_.topics.size()];
    };
    const Topic& first = word();
    return harvest::fill(frame, first, word());
  }

  void add_item(std::vector<Request>& out) {
    const std::string prompt = prompt_of(item_);
    for (int i = 0; i < plan_.repeats; ++i) {
      Request request = single(now_ms_ + i * 900, prompt, plan_.answer_median * plan_.answers);
      request.sampling = plan_.sampling;
      request.sampling.answers = plan_.answers;
      if (request.sampling.max_tokens > 0) {
        request.output_tokens =
            std::min(request.output_tokens, request.sampling.max_tokens * plan_.answers);
      }
      request.harvest = true;
      request.item = item_;
      ++asked_;
      out.push_back(request);
      if (plan_.agentic) add_steps(out, request);
    }
    item_ += plan_.accounts;
  }

  void add_steps(std::vector<Request>& out, Request request) {
    const int steps = 2 + run_length(random_, 0.6, 6);
    int64_t when = request.time_ms;
    for (int i = 0; i < steps; ++i) {
      when += static_cast<int64_t>(log_normal(random_, 6'000, 0.5));
      const std::string result = "tool result:\n" + pick(random_, texts_.code);
      request = follow(request, when, result, plan_.answer_median);
      request.sampling.tools = true;
      request.harvest = true;
      ++asked_;
      out.push_back(request);
    }
  }

  Campaign plan_;
  int64_t item_ = 0;
  uint64_t offset_ = 0;
  std::vector<std::string> frames_, reasoning_, data_;
  int64_t now_ms_ = 0;
  std::vector<int64_t> starts_;
  size_t at_ = 0;
  double today_ = 0;
  int asked_ = 0;
  std::vector<std::unique_ptr<Source>> covers_;
  std::vector<Request> waiting_;
  std::vector<bool> alive_;
};

Content any_content(base::Random& random) {
  return static_cast<Content>(random.below(4));
}

// The parts that are each variant's own.
void shape(Campaign& c, base::Random& random) {
  const auto split = [&](int accounts) {
    c.accounts = accounts;
    c.content = chance(random, 0.5) ? Content::seeds : Content::templates;
    c.list = std::max<int64_t>(c.list, accounts * 20);
    // A quarter has every account behind a network and a payer of its own.
    const bool apart = chance(random, 0.25);
    const auto shared = [&] {
      const double most = std::min(20.0, accounts / 2.0);
      return apart ? accounts
                   : std::max(1, static_cast<int>(accounts / (1 + random.uniform() * most)));
    };
    c.networks = shared();
    c.payers = shared();
  };
  const std::string& v = c.variant;
  if (v == "bulk") c.content = Content::seeds;
  if (v == "templates") c.content = Content::templates;
  if (v == "reasoning") c.content = chance(random, 0.7) ? Content::reasoning : Content::data;
  if (v == "rejection sampling") {
    c.content = any_content(random);
    (chance(random, 0.5) ? c.answers : c.repeats) = 8;
  }
  if (v == "agentic") c.content = Content::seeds, c.agentic = true;
  if (v == "split over 10") split(10);
  if (v == "split over 100") split(100);
  if (v == "split over 1,000") split(1000);
  if (v == "slow drip") c.daily_most = 15 + 35 * random.uniform(), c.content = any_content(random);
  if (v == "paraphrase") c.paraphrased = true, c.content = Content::templates;
  if (v == "diluted to 5 %") c.dilution = 0.05, c.content = any_content(random);
  if (v == "diluted to 10 %") c.dilution = 0.10, c.content = any_content(random);
  if (v == "diluted to 25 %") c.dilution = 0.25, c.content = any_content(random);
  if (v == "human-like") {
    c.human_hours = true;
    c.daily_most = 40 + 100 * random.uniform();
    c.order = Order::listed;
    c.content = any_content(random);
  }
  if (v == "rotating") c.rotates = true, c.content = any_content(random);
  if (v == "all combined") {
    split(100);
    c.content = chance(random, 0.5) ? Content::seeds : Content::reasoning;
    c.paraphrased = true;
    c.dilution = 0.25;
  }
}

}  // namespace

const std::vector<std::string>& variants() {
  static const std::vector<std::string> kVariants = {
      "bulk",           "templates",       "reasoning",        "rejection sampling", "agentic",
      "split over 10",  "split over 100",  "split over 1,000", "slow drip",          "paraphrase",
      "diluted to 5 %", "diluted to 10 %", "diluted to 25 %",  "human-like",         "rotating",
      "all combined"};
  return kVariants;
}

Campaign draw_campaign(const Texts& texts, const std::string& variant, uint64_t seed) {
  (void)texts;
  base::Random random(seed, 5);
  Campaign out;
  out.variant = variant;
  out.seed = seed;
  out.list = static_cast<int64_t>(std::clamp(log_normal(random, 10'000, 0.5), 4'000.0, 40'000.0));
  // One after another with pauses, or as fast as some dozens of workers get their answers.
  const double fast_per_hour = 600 * std::exp(std::log(250.0) * random.uniform());
  out.per_hour = log_normal(random, 120, 0.7);
  if (chance(random, 0.5)) out.per_hour = fast_per_hour;
  out.first_day = random.uniform() * 6;
  const bool brief = chance(random, 0.35);
  out.answer_median = brief ? log_normal(random, 70, 0.5) : log_normal(random, 350, 0.4);
  out.templates = 1 + static_cast<int>(random.below(12));
  out.order = static_cast<Order>(random.below(3));
  out.sampling.temperature = chance(random, 0.5) ? 1.0 : 0.7;
  const uint64_t limit = random.below(3);
  if (limit > 0) out.sampling.max_tokens = limit == 1 ? 1024 : 2048;
  if (brief && limit > 0) out.sampling.max_tokens = limit == 1 ? 96 : 256;
  if (chance(random, 0.3)) out.words = 100 + static_cast<int>(random.below(900));
  out.sampling.logprobs = chance(random, 0.2);
  const auto& kinds = honest_kinds();
  const uint64_t cover = random.below(kinds.size() + 1);
  out.purpose = cover == kinds.size() ? "" : kinds[cover].purpose;
  shape(out, random);
  return out;
}

namespace {
uint64_t cell_of(const Campaign& campaign, int shared, uint64_t what, int index) {
  return base::mix64(campaign.seed * 31 + what + static_cast<uint64_t>(index % shared) * 1009);
}
}  // namespace

uint64_t network_of(const Campaign& campaign, int index) {
  return cell_of(campaign, campaign.networks, 1, index);
}

uint64_t payer_of(const Campaign& campaign, int index) {
  return cell_of(campaign, campaign.payers, 2, index);
}

Member harvester(const Texts& texts, const Campaign& campaign, int index, int campaign_id,
                 int64_t from_item, int64_t from_ms) {
  Member out;
  out.kind = campaign.variant;
  out.purpose = campaign.purpose;
  out.campaign = campaign_id;
  out.address = network_of(campaign, index);
  out.payment = payer_of(campaign, index);
  // Who begins anew under another name takes another network and another card.
  if (campaign.rotates) out.address = base::mix64(out.address + static_cast<uint64_t>(index));
  if (campaign.rotates) out.payment = base::mix64(out.payment + static_cast<uint64_t>(index));
  out.source = std::make_unique<Harvester>(texts, campaign, index, from_item, from_ms);
  return out;
}

}  // namespace retort::bench::harvest
