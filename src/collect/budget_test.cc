#include "collect/budget.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace retort::collect {
namespace {

TEST(Money, DecimalsAreExact) {
  EXPECT_EQ(*parse_dollars("5.00", "x"), 5 * kDollar);
  EXPECT_EQ(*parse_dollars("0.15", "x"), 150'000 * kMicroDollar);
  EXPECT_EQ(*parse_dollars(".5", "x"), kDollar / 2);
  EXPECT_EQ(*parse_dollars("9000000", "x"), 9'000'000 * kDollar);
  EXPECT_EQ(*parse_dollars("0.000001", "x"), kMicroDollar);
  for (const char* wrong : {"", ".", "-1", "1e3", "1.2.3", "$5", "0.0000001", "9000001",
                            "99999999999999999999999", "nan", " 1"}) {
    EXPECT_FALSE(parse_dollars(wrong, "x")) << wrong;
  }
  // A token at $0.15 per million.
  EXPECT_EQ(per_token(*parse_dollars("0.15", "x")), 150'000);
  EXPECT_EQ(dollars(5 * kDollar), "$5.00");
  EXPECT_EQ(dollars(12'300 * kMicroDollar), "$0.0123");
  EXPECT_EQ(dollars(1), "$0.000001");
}

TEST(Budget, WaitsForWhatIsInFlightAndThenRefuses) {
  Budget budget({.requests = 0, .tokens = 100, .money = 0}, {});
  const Spend most = priced({}, 20, 40);
  EXPECT_EQ(budget.reserve(most), Admission::granted);
  EXPECT_EQ(budget.reserve(most), Admission::wait);
  budget.settle(most, priced({}, 10, 5));
  EXPECT_EQ(budget.reserve(most), Admission::granted);
  budget.settle(most, priced({}, 20, 40));
  EXPECT_EQ(budget.reserve(most), Admission::refused);
  EXPECT_STREQ(budget.stopped_by(), "budget_tokens");
  EXPECT_EQ(budget.spent().tokens(), 75);
}

// Whatever the order of reserving and settling: spent and reserved together never pass a limit.
TEST(Budget, IsNeverOverrunByOneUnit) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    base::Random random(seed);
    const Prices prices{.prompt = 150'000 * kMicroDollar, .answer = 600'000 * kMicroDollar};
    const Limits limits{.requests = static_cast<int64_t>(random.below(30)),
                        .tokens = static_cast<int64_t>(random.below(3000)),
                        .money = static_cast<Money>(random.below(1'000'000'000))};
    Budget budget(limits, {});
    std::vector<Spend> flying;
    for (int step = 0; step < 200; ++step) {
      const Spend most = priced(prices, static_cast<int64_t>(random.below(50)), 40);
      if (random.below(2) == 0 && budget.reserve(most) == Admission::granted) {
        flying.push_back(most);
      } else if (!flying.empty()) {
        const Spend reserved = flying.back();
        flying.pop_back();
        const auto used = static_cast<int64_t>(random.below(41));
        budget.settle(reserved, priced(prices, reserved.prompt_tokens, used));
      }
      Spend all = budget.spent();
      all.add(budget.reserved());
      if (limits.requests > 0) {
        ASSERT_LE(all.requests, limits.requests);
      }
      if (limits.tokens > 0) {
        ASSERT_LE(all.tokens(), limits.tokens);
      }
      if (limits.money > 0) {
        ASSERT_LE(all.money, limits.money);
      }
    }
  }
}

TEST(Budget, SumsDoNotWrap) {
  const Spend huge = priced({.prompt = 9'000'000 * kDollar, .answer = 0}, INT64_MAX, INT64_MAX);
  EXPECT_EQ(huge.money, INT64_MAX);
  EXPECT_EQ(huge.tokens(), INT64_MAX);
  Budget budget({.requests = 0, .tokens = 0, .money = kDollar}, {});
  EXPECT_EQ(budget.reserve(huge), Admission::refused);
}

}  // namespace
}  // namespace retort::collect
