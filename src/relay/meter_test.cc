#include "relay/meter.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace retort::relay {
namespace {

Asked asked(bool usage_wanted = false) {
  Asked out;
  out.usage_wanted = usage_wanted;
  out.input_tokens_most = 1000;
  out.input_tokens_likely = 20;
  out.output_tokens_most = 100;
  return out;
}

std::string delta(const std::string& text) {
  return R"(data: {"id":"c1","choices":[{"index":0,"delta":{"content":")" + text + "\"}}]}\n\n";
}

const std::string kCounts =
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7}}"
    "\n\n";
const std::string kDone = "data: [DONE]\n\n";

TEST(Meter, CountsAsTheUpstreamDoesAndKeepsItsCountsBack) {
  Meter meter(asked());
  const auto passed = meter.stream(delta("Hel") + delta("lo") + kCounts + kDone);
  ASSERT_TRUE(passed.ok());
  EXPECT_EQ(*passed, delta("Hel") + delta("lo") + kDone);
  EXPECT_TRUE(meter.whole());
  EXPECT_TRUE(meter.usage().told);
  EXPECT_EQ(meter.usage().input_tokens, 9);
  EXPECT_EQ(meter.usage().output_tokens, 7);
  EXPECT_EQ(meter.answer(), "Hello");
  Meter open(asked(/*usage_wanted=*/true));
  EXPECT_EQ(*open.stream(delta("Hi") + kCounts + kDone), delta("Hi") + kCounts + kDone);
}

TEST(Meter, BytesMayBeCutAnywhere) {
  const std::string all = delta("one") + ": still here\n\n" + delta("two") + kCounts + kDone;
  base::Random random(3);
  for (int round = 0; round < 200; ++round) {
    Meter meter(asked());
    std::string passed;
    for (size_t at = 0; at < all.size();) {
      const size_t size = 1 + random.below(40);
      const auto piece = meter.stream(std::string_view(all).substr(at, size));
      ASSERT_TRUE(piece.ok());
      passed += *piece;
      at += size;
    }
    EXPECT_EQ(passed, delta("one") + delta("two") + kDone);
    EXPECT_EQ(meter.usage().output_tokens, 7);
  }
}

TEST(Meter, WithoutCountsItEstimatesAndNeverGoesBack) {
  Meter meter(asked());
  int64_t before = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(meter.stream(delta("a")).ok());
    EXPECT_GE(meter.usage().output_tokens, before);
    before = meter.usage().output_tokens;
    if (i < 100) {
      EXPECT_EQ(before, i + 1) << "a token a piece";
    }
  }
  EXPECT_EQ(before, 100) << "no more than was reserved";
  EXPECT_EQ(meter.usage().input_tokens, 20);
  EXPECT_FALSE(meter.usage().told);
  EXPECT_FALSE(meter.whole());
  Meter large(asked());
  ASSERT_TRUE(large.stream(delta(std::string(41, 'x'))).ok());
  EXPECT_EQ(large.usage().output_tokens, 11) << "four bytes a token where pieces are large";
}

TEST(Meter, CountsOfABeginningAreNotTheEnd) {
  Meter meter(asked());
  const std::string early =
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0}}\n\n";
  ASSERT_TRUE(meter.stream(early + delta("a") + delta("b")).ok());
  EXPECT_EQ(meter.usage().input_tokens, 9);
  EXPECT_EQ(meter.usage().output_tokens, 2) << "broken off here, two pieces were given";
}

TEST(Meter, NonsenseIsNoAnswer) {
  for (const char* wrong :
       {"data: nonsense\n\n", "data: [1]\n\n", "data: {\"error\":{\"message\":\"no\"}}\n\n"}) {
    Meter meter(asked());
    EXPECT_FALSE(meter.stream(wrong).ok()) << wrong;
  }
  Meter endless(asked());
  EXPECT_FALSE(endless.stream("data: " + std::string(2 << 20, 'x')).ok());
  for (const char* wrong : {"", "<html>", "[]", R"({"error":{"message":"no"}})"}) {
    Meter meter(asked());
    EXPECT_FALSE(meter.body(wrong).ok()) << wrong;
  }
}

TEST(Meter, CountsThatMakeNoSenseAreNotTaken) {
  const auto counted = [](const std::string& usage) {
    Meter meter(asked());
    EXPECT_TRUE(meter
                    .body(R"({"choices":[{"index":0,"message":{"content":"12345678"}}],"usage":)" +
                          usage + "}")
                    .ok());
    return meter.usage();
  };
  EXPECT_EQ(counted(R"({"prompt_tokens":5,"completion_tokens":6})").output_tokens, 6);
  EXPECT_EQ(counted(R"({"prompt_tokens":5,"completion_tokens":60000})").output_tokens, 100);
  EXPECT_EQ(counted(R"({"prompt_tokens":50000,"completion_tokens":6})").input_tokens, 1000);
  for (const char* usage : {"null", "{}", R"({"prompt_tokens":-5,"completion_tokens":-6})",
                            R"({"prompt_tokens":"5"})", "[]"}) {
    EXPECT_FALSE(counted(usage).told) << usage;
    EXPECT_EQ(counted(usage).output_tokens, 2) << usage;
  }
}

TEST(Meter, CallsOfToolsAndSeveralAnswersCount) {
  Meter meter(asked());
  ASSERT_TRUE(
      meter
          .body(R"({"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c",)"
                R"("function":{"name":"weather","arguments":"{}"}}]}},)"
                R"({"index":1,"message":{"content":"second"}}]})")
          .ok());
  EXPECT_GT(meter.usage().output_tokens, 10);
  EXPECT_EQ(meter.answer(), "");
}

}  // namespace
}  // namespace retort::relay
