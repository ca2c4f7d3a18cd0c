// Accounts that ask: honest ones of many kinds and harvesters, each a source of requests in the
// order of time over 30 days. Everything is drawn from a seed.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detect/observation.h"
#include "harvest/text.h"

namespace retort::bench::harvest {

constexpr int64_t kDayMs = int64_t{24} * 3'600'000;
constexpr int64_t kStartMs = int64_t{20'500} * kDayMs;  // a day in 2026
constexpr int kDays = 30;

struct Line {
  detect::Speaker speaker = detect::Speaker::user;
  std::string text;
};

struct Request {
  int64_t time_ms = 0;
  std::vector<Line> turns;
  detect::Sampling sampling;
  std::string answer;
  int64_t input_tokens = 0, output_tokens = 0;
  bool harvest = false;
  int64_t item = -1;  // of the harvester's target list
};

// Batches of requests that begin at given times; a subclass says what is in one.
class Source {
 public:
  Source(const Texts& texts, uint64_t seed) : texts_(texts), random_(seed, 3) {}
  virtual ~Source() = default;
  // False: nothing more comes in these 30 days.
  bool next(Request& out);

 protected:
  virtual bool fill(std::vector<Request>& out) = 0;  // appended in any order of time; false: over

  // Times at which somebody sits down, `per_day` on average, by day in a zone of their own.
  std::vector<int64_t> sittings(double per_day, double first_day = 0, double days = kDays);
  const Topic& any_topic() { return pick(random_, texts_.topics); }
  const Topic& topic_in(uint32_t group) {
    return texts_.topics[pick(random_, texts_.groups[group])];
  }
  uint32_t any_group() { return static_cast<uint32_t>(random_.below(texts_.groups.size())); }
  std::string answer_text(int64_t tokens);
  Request single(int64_t time_ms, std::string prompt, double answer_median, double sigma = 0.5);
  // The next request of the dialog that `before` belongs to.
  Request follow(const Request& before, int64_t time_ms, std::string prompt, double answer_median);

  const Texts& texts_;
  base::Random random_;

 private:
  std::deque<Request> queue_;
  int64_t last_ms_ = 0;
};

struct Member {
  std::string id, kind, purpose;
  detect::Licence licence = detect::Licence::none;
  uint64_t address = 0, payment = 0;
  // Of a house whose accounts use one client: the options of its first request, once it came.
  std::shared_ptr<std::optional<detect::Sampling>> client;
  int campaign = -1;  // of harvesters
  std::unique_ptr<Source> source;
};

// The honest kinds, and what an account of such a kind declares.
struct Kind {
  std::string name, purpose;
};
const std::vector<Kind>& honest_kinds();
// `group` ties accounts of one school together.
Member honest(const Texts& texts, size_t kind, uint64_t seed, uint64_t group);

// A person who chats, as `honest` has them, that often.
std::unique_ptr<Source> chat_source(const Texts& texts, uint64_t seed, double per_day);

// What a campaign of harvesting is like; drawn anew from the seed.
enum class Content { seeds, templates, reasoning, data };
struct Campaign {
  std::string variant;
  Content content = Content::seeds;
  int accounts = 1;
  int64_t list = 10'000;    // items wanted
  double per_hour = 60;     // of an account, while it asks
  double daily_most = 1e9;  // of an account
  double dilution = 1;      // share of requests that are harvest; the rest is chat
  int answers = 1;          // n
  int repeats = 1;          // the same prompt asked so often
  enum class Order { shuffled, listed, alphabetical } order = Order::shuffled;
  bool agentic = false, paraphrased = false, human_hours = false;
  bool rotates = false;          // begins anew with another account when throttled
  int networks = 1, payers = 1;  // that the accounts share
  double first_day = 0;
  double answer_median = 400;
  int templates = 4;
  int words = 0;        // templates take pairs of so many words; 0: every item is a subject
  std::string purpose;  // as declared
  detect::Sampling sampling{};
  uint64_t seed = 0;
};
const std::vector<std::string>& variants();
Campaign draw_campaign(const Texts& texts, const std::string& variant, uint64_t seed);
uint64_t network_of(const Campaign& campaign, int index);
uint64_t payer_of(const Campaign& campaign, int index);
// Account number `index` of the campaign, which begins with item `index` and takes every
// accounts-th; one that takes over from another begins at `from_item` and `from_ms`.
Member harvester(const Texts& texts, const Campaign& campaign, int index, int campaign_id,
                 int64_t from_item, int64_t from_ms);

}  // namespace retort::bench::harvest
