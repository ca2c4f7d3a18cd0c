#include "train/remedy.h"

#include <gtest/gtest.h>

namespace retort::train {
namespace {

TEST(Remedy, ALaterPartCostsLessToTakeOut) {
  const auto all = remedies({{"own", 10, 600}, {"first door", 5, 300}, {"second door", 2, 100}});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].replay_tokens, 400);
  EXPECT_EQ(all[0].anew_tokens, 400);
  EXPECT_EQ(all[1].replay_tokens, 100);
  EXPECT_EQ(all[1].anew_tokens, 700);
  EXPECT_EQ(all[2].replay_tokens, 0);
  EXPECT_EQ(all[2].anew_tokens, 900);
  EXPECT_EQ(tell(all)[1],
            "first door: 5 records; should permission end, 100 tokens are learnt again from the "
            "checkpoint before it, 700 by a run from the start");
}

}  // namespace
}  // namespace retort::train
