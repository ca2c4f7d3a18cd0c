// From gathered answers through the clearance to a student's targets.
#include "train/logprob_rows.h"

#include <gtest/gtest.h>

#include <cmath>

#include "train/test_recorded_internal.h"

namespace retort::train {
namespace {

Examples examples_of(const corpus::Cleared<terms::TrainGenerative>& data, const Student& student) {
  ExampleBuilder builder(*student.tokenizer, *student.format, 1000);
  for (const auto& record : data.records()) {
    auto messages = record.messages;
    messages.push_back({dialog::Role::assistant, record.answer});
    EXPECT_TRUE(builder.add(record.key, messages).ok());
  }
  return builder.take();
}

Result<LogprobRows> rows_of(const corpus::Cleared<terms::TrainGenerative>& data,
                            const Student& student = {}) {
  return logprob_rows(data, examples_of(data, student), *student.tokenizer, *student.format);
}

TEST(LogprobRows, ATargetForEachTrainedIdOfEachExample) {
  Gathered gathered("rows", {{{"a", "b", "<end>"}}, {{}}, {{"c", "<end>"}, "length"}});
  const auto data = gathered.clear();
  ASSERT_TRUE(data.ok()) << data.error().text();
  const Student student;
  const auto made = rows_of(*data, student);
  ASSERT_TRUE(made.ok()) << made.error().text();
  ASSERT_EQ(made->of_example.size(), 3U);
  const tensor::SparseTargets& first = made->of_example[0];
  ASSERT_EQ(first.rows(), 3);
  EXPECT_EQ(first.ids,
            (std::vector<int32_t>{'a', 'z', 'b', 'z', student.format->stop_token(), 'z'}));
  EXPECT_NEAR(first.logprobs[0], -0.25, 1.0 / 4096);
  EXPECT_NEAR(first.tails[0], 1 - std::exp(-0.25) - std::exp(-3), 1e-3);
  EXPECT_EQ(made->of_example[1].rows(), 1) << "an empty answer: its end, of which nothing is known";
  EXPECT_TRUE(made->of_example[1].ids.empty());
  EXPECT_EQ(made->of_example[2].ids, (std::vector<int32_t>{'c', 'z'})) << "no end was reached";
  EXPECT_EQ(made->counts.records, 2);
  EXPECT_EQ(made->counts.without, 1);
  EXPECT_EQ(made->counts.tokens, 3);
  EXPECT_EQ(made->counts.aligned, 3);
  EXPECT_EQ(made->counts.stops, 1);
}

TEST(LogprobRows, TooFewTokensInCommonAreRefused) {
  Gathered gathered("few", {{{"abc", "d", "efg", "h", "<end>"}}});
  const auto data = gathered.clear();
  ASSERT_TRUE(data.ok()) << data.error().text();
  const auto made = rows_of(*data);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::usage);
  EXPECT_NE(made.error().text().find("25 % of the student's tokens"), std::string::npos)
      << made.error().text();
  EXPECT_NE(made.error().text().find("objective = \"sequence_kd\""), std::string::npos);
}

TEST(LogprobRows, NoneAtAllAreRefused) {
  Gathered gathered("none", {{{}}});
  const auto data = gathered.clear();
  ASSERT_TRUE(data.ok()) << data.error().text();
  const auto made = rows_of(*data);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().text().find("top_logprobs = 20"), std::string::npos);
}

}  // namespace
}  // namespace retort::train
