// Distributions that a teacher recorded, learnt part by part (train.isolate_by): a part takes its
// own with it when it goes.
#include <gtest/gtest.h>

#include "lineage/manifest.h"
#include "train/fit.h"
#include "train/test_recorded_internal.h"

namespace retort::train {
namespace {

std::vector<Teacher> answers(const std::string& series, int count, float logprob) {
  std::vector<Teacher> out;
  for (int i = 0; i < count; ++i) {
    Teacher one;
    one.pieces = {std::string(1, static_cast<char>('a' + i)), series.substr(0, 1), "<end>"};
    one.series = series;
    one.logprob = logprob - 0.05F * static_cast<float>(i);
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<Teacher> both(std::vector<Teacher> first, const std::vector<Teacher>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Learns what a house gathered, in `folder`, by parts.
Outcome learn(Gathered& house, const std::string& folder) {
  const auto data = house.clear();
  EXPECT_TRUE(data.ok()) << data.error().text();
  const auto run = lineage::log_run(*house.log, {.data = *data, .objective = "forward_kl"});
  EXPECT_TRUE(run.ok()) << run.error().text();
  const Student student;
  FitInput input{.data = *data,
                 .tokenizer = student.tokenizer,
                 .options = quick_options(),
                 .student = {},
                 .folder = folder};
  input.options.objective = "forward_kl";
  input.options.teacher = "recorded";
  input.options.isolate_by = "terms";
  input.options.batch_tokens = 120;
  input.student.layers = 1;
  input.student.width = 32;
  input.student.max_positions = 128;
  input.part_of = house.parts();
  input.limit = [] { return 1.0; };
  auto outcome = fit(input, *run);
  EXPECT_TRUE(outcome.ok()) << outcome.error().text();
  return std::move(*outcome);
}

// Equally firm parts go by the ids of their terms.
const std::string& first_of(const std::string& one, const std::string& other) {
  const auto id = [](const std::string& series) {
    return terms::parse_terms(permissive_terms(series), "test.toml")->id;
  };
  return id(one) < id(other) ? one : other;
}

struct Named {
  std::string first = first_of("door", "wall");
  std::string later = first == "door" ? "wall" : "door";
};

TEST(IsolatedRecorded, APartThatGoesTakesItsDistributionsWithIt) {
  const Named name;
  Gathered all("all", both(answers(name.first, 5, -0.2F), answers(name.later, 5, -0.9F)));
  const std::string folder = fresh_folder("trained");
  const Outcome before = learn(all, folder);
  ASSERT_EQ(before.kept.size(), 2U);
  EXPECT_EQ(before.records, 10);

  // A house that never had the later part.
  Gathered alone("alone", answers(name.first, 5, -0.2F));
  const Outcome never = learn(alone, fresh_folder("never"));
  ASSERT_EQ(never.kept.size(), 1U);
  EXPECT_EQ(before.kept[0].weights, never.kept[0].weights) << "the part's own checkpoint";
  EXPECT_FALSE(same_bytes(before.weights, never.weights)) << "the later part taught something";

  // The later part goes: what is left is not learnt again, and is the other house's student.
  const Outcome after = learn(alone, folder);
  EXPECT_EQ(after.resumed_step, before.kept[0].step);
  EXPECT_TRUE(same_bytes(after.weights, never.weights));
}

// The same answers of which the teacher thought otherwise are other data: nothing goes on from what
// was learnt from them.
TEST(IsolatedRecorded, OtherDistributionsOfTheSameAnswersAreAnotherPart) {
  const Named name;
  const std::string folder = fresh_folder("trained");
  Gathered first("first", both(answers(name.first, 5, -0.2F), answers(name.later, 5, -0.9F)));
  const Outcome before = learn(first, folder);
  Gathered other("other", answers(name.first, 5, -0.6F));
  const Outcome fresh = learn(other, fresh_folder("fresh"));
  EXPECT_FALSE(before.kept[0].weights == fresh.kept[0].weights) << "distributions are learnt from";
  const Outcome after = learn(other, folder);
  EXPECT_EQ(after.resumed_step, -1);
  EXPECT_TRUE(same_bytes(after.weights, fresh.weights));
}

}  // namespace
}  // namespace retort::train
