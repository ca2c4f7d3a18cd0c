// What comes with the program, on traffic that neither learning nor calibration saw.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "detect/detector.h"
#include "detect/testing_internal.h"

namespace retort::detect {
namespace {

using testing::chatter;
using testing::word;

// A collector with some dozens of workers, as `retort collect` is one: pairs of words of a short
// list in one template, answers of 64 tokens or so, and the whole list in minutes.
Step fast_harvest(double per_second, const std::string& purpose) {
  Detector detector({.salt = 9});
  base::Random random(4);
  Step gravest = Step::watch;
  double time_ms = 1'760'000'000'000;
  for (uint64_t i = 0; i < 3000 && gravest != Step::suspend; ++i) {
    const std::string prompt = "Write a two-sentence story about a " + word(random.below(300)) +
                               " and a " + word(random.below(300)) + ".";
    const std::vector<Turn> turns = {{Speaker::user, prompt}};
    Observation seen;
    seen.subject = {"acct_1", "key_1", purpose, Licence::none};
    seen.request = "req_1";
    seen.time_ms = static_cast<int64_t>(time_ms);
    seen.turns = turns;
    seen.sampling.temperature = 0.7;
    seen.sampling.max_tokens = 96;
    seen.input_tokens = 40;
    seen.output_tokens = 40 + static_cast<int64_t>(random.below(57));
    time_ms += -1000 / per_second * std::log(1 - random.uniform());
    if (const auto finding = detector.observe(seen)) {
      gravest = std::max(gravest, std::get<Charge>(*finding).step);
    }
  }
  return gravest;
}

TEST(BuiltIn, AHarvestIsSeenAtAnyPace) {
  for (const char* purpose : {"chat", "education", "writing"}) {
    for (const double per_second : {0.05, 1.0, 8.0, 36.0}) {
      EXPECT_EQ(fast_harvest(per_second, purpose), Step::suspend)
          << per_second << " requests a second as \"" << purpose << "\"";
    }
  }
}

// What comes with the program, on a machine that works through a list and on a person who chats.
TEST(BuiltIn, SuspendsAHarvestAndLeavesAChatAlone) {
  const auto* chat = built_in_calibration().find("chat");
  ASSERT_NE(chat, nullptr);
  EXPECT_GT(chat->periods, 2000);  // so that alpha = 0.001 can be reached
  EXPECT_FALSE(built_in_model().account.trees.empty());
  Detector detector({.salt = 9});
  Step machine = Step::watch, person = Step::watch;
  const auto ask = [&](const char* account, std::vector<Turn> turns, int64_t time_ms,
                       int64_t tokens, const std::string& answer) {
    Observation seen;
    seen.subject = {account, "key_1", "chat", Licence::none};
    seen.request = "req_1";
    seen.time_ms = time_ms;
    seen.turns = turns;
    seen.sampling.temperature = 0.7;
    seen.sampling.max_tokens = 1024;
    seen.answer = answer;
    seen.input_tokens = 15;
    seen.output_tokens = tokens;
    const auto finding = detector.observe(seen);
    return finding ? std::get<Charge>(*finding).step : Step::watch;
  };
  constexpr int64_t kBegin = 1'760'000'000'000, kHour = 3'600'000;
  for (uint64_t i = 0; i < 600; ++i) {
    const std::string item = "Write a detailed encyclopedia article about " + word(i) + ".";
    const auto now = kBegin + static_cast<int64_t>(i) * 20'000;
    machine = std::max(machine, ask("acct_m", {{Speaker::user, item}}, now,
                                    400 + static_cast<int64_t>(i * 37 % 200), ""));
    // A sitting every seven hours: a question, and one that goes on from the answer.
    const std::string question = chatter(i), answer = chatter(i + 9000);
    const auto later = kBegin + static_cast<int64_t>(i) * 7 * kHour / 6;
    const auto tokens = 60 + static_cast<int64_t>(i * 53 % 400);
    person = std::max(person, ask("acct_p", {{Speaker::user, question}}, later, tokens, answer));
    person = std::max(person, ask("acct_p",
                                  {{Speaker::user, question},
                                   {Speaker::assistant, answer},
                                   {Speaker::user, "and why is that so"}},
                                  later + 50'000, tokens, ""));
  }
  EXPECT_EQ(machine, Step::suspend);
  EXPECT_EQ(person, Step::watch);
}

}  // namespace
}  // namespace retort::detect
