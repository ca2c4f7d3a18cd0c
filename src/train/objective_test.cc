// Objectives that cannot work are refused by a sentence that names the key, before anything starts.
#include "train/objective.h"

#include <gtest/gtest.h>

#include <functional>

namespace retort::train {
namespace {

std::string refusal(const std::function<void(TrainOptions&)>& change) {
  TrainOptions options;
  change(options);
  const auto valid = validate(options);
  return valid ? "" : valid.error().text();
}

void expect_refused(const std::string& key, const std::string& words,
                    const std::function<void(TrainOptions&)>& change) {
  const std::string text = refusal(change);
  EXPECT_NE(text.find("train." + key), std::string::npos) << text;
  EXPECT_NE(text.find(words), std::string::npos) << text;
}

TEST(ObjectiveOptions, RefuseWhatCannotWork) {
  expect_refused("objective", "no objective \"kl\"", [](TrainOptions& o) { o.objective = "kl"; });
  expect_refused("teacher", "online, sampled, recorded or http",
                 [](TrainOptions& o) { o.teacher = "oracle"; });
  expect_refused("temperature", "temperature 1 alone", [](TrainOptions& o) {
    o.objective = "forward_kl";
    o.teacher = "recorded";
    o.temperature = 2;
  });
  expect_refused("on_policy", "a teacher that judges them",
                 [](TrainOptions& o) { o.on_policy = 0.5; });
  expect_refused("soft_share", "no target", [](TrainOptions& o) {
    o.objective = "reverse_kl";
    o.on_policy = 0.5;
    o.soft_share = 0.5;
  });
}

TEST(ObjectiveOptions, RefuseDrawnTargetsWhereTheyAreBiased) {
  const auto drawn = [](const std::function<void(TrainOptions&)>& change) {
    return [change](TrainOptions& o) {
      o.objective = "forward_kl";
      o.teacher = "sampled";
      change(o);
    };
  };
  EXPECT_EQ(refusal(drawn([](TrainOptions& o) { o.soft_share = 0.5; })), "");
  expect_refused("teacher", "forward_kl alone",
                 drawn([](TrainOptions& o) { o.objective = "reverse_kl"; }));
  expect_refused("teacher", "forward_kl alone", drawn([](TrainOptions& o) { o.temperature = 2; }));
  expect_refused("teacher", "before the first step",
                 drawn([](TrainOptions& o) { o.on_policy = 1; }));
  expect_refused("teacher", "given tokens alone",
                 drawn([](TrainOptions& o) { o.objective = "dpo"; }));
  expect_refused("draws", "1 to 1024", drawn([](TrainOptions& o) { o.draws = 2000; }));
}

TEST(ObjectiveOptions, RefuseASampledObjectiveWithoutWhatItNeeds) {
  const auto sampled = [](const std::function<void(TrainOptions&)>& change) {
    return [change](TrainOptions& o) {
      o.objective = "sampled_reverse_kl";
      o.on_policy = 1;
      change(o);
    };
  };
  EXPECT_EQ(refusal(sampled([](TrainOptions&) {})), "");
  expect_refused("on_policy", "the student's own answers alone",
                 sampled([](TrainOptions& o) { o.on_policy = 0; }));
  expect_refused("rollout_temperature", "drawn with",
                 sampled([](TrainOptions& o) { o.rollout_temperature = 0.7; }));
  expect_refused("teacher", "yet to give",
                 sampled([](TrainOptions& o) { o.teacher = "recorded"; }));
  expect_refused("label_smoothing", "no target",
                 sampled([](TrainOptions& o) { o.label_smoothing = 0.1; }));
  expect_refused("replay_uses", "1 or more", sampled([](TrainOptions& o) { o.replay_uses = 0; }));
  expect_refused("replay_answers", "no sampled answers",
                 [](TrainOptions& o) { o.replay_answers = 10; });
}

TEST(ObjectiveOptions, RefuseAPreferenceThatCannotBeLearnt) {
  const auto dpo = [](const std::function<void(TrainOptions&)>& change) {
    return [change](TrainOptions& o) {
      o.objective = "dpo";
      change(o);
    };
  };
  EXPECT_EQ(refusal(dpo([](TrainOptions& o) { o.label_smoothing = 0.1; })), "");
  expect_refused("preference_beta", "above 0", dpo([](TrainOptions& o) { o.preference_beta = 0; }));
  expect_refused("on_policy", "ranked before", dpo([](TrainOptions& o) { o.on_policy = 1; }));
  expect_refused("label_smoothing", "wrong way round",
                 dpo([](TrainOptions& o) { o.label_smoothing = 0.5; }));
}

TEST(ObjectiveOptions, RefuseWhatATeacherOverHttpCannotGive) {
  TrainOptions o;
  o.teacher = "http";
  for (const char* objective : {"forward_kl", "reverse_kl", "jsd"}) {
    o.objective = objective;
    const auto refused = validate(o);
    ASSERT_FALSE(refused.ok()) << objective;
    EXPECT_NE(refused.error().text().find("whole distributions"), std::string::npos);
  }
  o.objective = "dpo";
  EXPECT_TRUE(validate(o).ok());
  EXPECT_TRUE(asks_door(o));
  EXPECT_FALSE(asks_teacher(o));
}

TEST(ObjectiveOptions, RefuseFirstAnswersWhereOthersAreLearnt) {
  TrainOptions o;
  o.objective = "sampled_reverse_kl";
  o.on_policy = 1;
  o.rollouts = "first";
  EXPECT_TRUE(validate(o).ok());
  o.on_policy = 0.5;
  EXPECT_FALSE(validate(o).ok());
  o.on_policy = 1;
  o.replay_answers = 8;
  EXPECT_FALSE(validate(o).ok());
  o.replay_answers = 0;
  o.objective = "reverse_kl";
  EXPECT_FALSE(validate(o).ok());
}

}  // namespace
}  // namespace retort::train
