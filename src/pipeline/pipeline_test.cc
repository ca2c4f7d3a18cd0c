#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files.h"
#include "pipeline/child.h"
#include "pipeline/run_file.h"
#include "pipeline/run_options.h"
#include "pipeline/stage.h"
#include "pipeline/student_files.h"
#include "pipeline/summary.h"

namespace retort::pipeline {
namespace {

std::string scratch(const std::string& name) {
  const std::string folder =
      ::testing::TempDir() + "retort_pipeline_" + name + "_" + std::to_string(getpid());
  EXPECT_TRUE(base::remove_all(folder).ok());
  EXPECT_TRUE(base::make_directories(folder).ok());
  return folder;
}

std::string write(const std::string& folder, const std::string& name, const std::string& text) {
  const std::string path = base::join(folder, name);
  EXPECT_TRUE(base::write_file_atomic(path, text).ok());
  return path;
}

TEST(RunFileTest, ResolvedOptionsReadBackEqual) {
  RunOptions options;
  options.out = "runs/\"odd\" name";
  options.collect.words["noun"] = "nouns.txt";
  options.collect.templates = {"a {noun}", "b {noun}"};
  options.train.lr = 1.5e-4;
  options.purpose.actions = {"store", "evaluate"};
  const std::string text = to_toml(describe(options));
  const auto document = json::parse_toml(text, "resolved");
  ASSERT_TRUE(document.ok()) << document.error().text() << "\n" << text;
  RunOptions back;
  base::Options table = describe(back);
  const auto applied = apply_document(table, *document, "resolved");
  ASSERT_TRUE(applied.ok()) << applied.error().text();
  EXPECT_EQ(to_toml(table), text);
  EXPECT_EQ(back.train.lr, 1.5e-4);
  EXPECT_EQ(back.collect.templates.size(), 2U);
}

TEST(RunFileTest, UnknownKeysNameTheFileAndTheNearestKey) {
  const std::string path = write(scratch("unknown"), "run.toml", "[train]\nepocs = 3\n");
  const auto loaded = load_run({.path = path});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::usage);
  EXPECT_NE(loaded.error().where.find("run.toml"), std::string::npos);
  EXPECT_NE(loaded.error().hint.find("train.epochs"), std::string::npos);
}

TEST(RunFileTest, FlagsOverruleTheFileAndWrongTypesAreRefused) {
  const std::string folder = scratch("flags");
  const std::string path = write(folder, "run.toml",
                                 "[teacher]\nbase_url = \"http://127.0.0.1:1/v1\"\n[collect]\n"
                                 "prompts = \"p.jsonl\"\n[train]\nlr = 1\n");
  const auto loaded = load_run({.path = path, .overrides = {{"train.lr", {"0.5"}}}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  EXPECT_EQ(loaded->train.lr, 0.5);
  EXPECT_FALSE(load_run({.path = path, .overrides = {{"train.lr", {"quick"}}}}).ok());
  const std::string wrong = write(folder, "wrong.toml", "[train]\nlr = \"quick\"\n");
  EXPECT_FALSE(load_run({.path = wrong}).ok());
  const std::string nested = write(folder, "nested.toml", "[train.lr]\nx = 1\n");
  EXPECT_FALSE(load_run({.path = nested}).ok());
}

TEST(PurposeTest, UnknownActionsListTheKnownOnes) {
  const auto purpose = to_purpose({.actions = {"store", "train.everything"}});
  ASSERT_FALSE(purpose.ok());
  EXPECT_NE(purpose.error().hint.find("train.generative"), std::string::npos);
  EXPECT_FALSE(to_purpose({.competing = "maybe"}).ok());
  EXPECT_EQ(to_purpose({.competing = "no"})->competing, false);
}

TEST(SummaryTest, ReadsBackAndRefusesANewerSchema) {
  const std::string out = scratch("summary");
  Summary summary{.stage = "train", .fingerprint = "f"};
  summary.inputs["curated"] = "abc";
  summary.counts = {{"steps", 12}, {"loss", 2.5}};
  ASSERT_TRUE(write_summary(out, summary).ok());
  const auto back = read_summary(out, "train");
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(back->fingerprint, "f");
  EXPECT_EQ(back->inputs, summary.inputs);
  EXPECT_EQ(back->counts, summary.counts);
  auto text = *base::read_file(summary_path(out, "train"));
  text.replace(text.find("summary/1"), 9, "summary/9");
  ASSERT_TRUE(base::write_file_atomic(summary_path(out, "train"), text).ok());
  EXPECT_NE(read_summary(out, "train").error().text().find("summary/9"), std::string::npos);
}

TEST(SummaryTest, FingerprintsTellPartsApart) {
  EXPECT_NE(fingerprint({{"a", "bc"}}), fingerprint({{"ab", "c"}}));
  EXPECT_NE(fingerprint({{"a", "1"}, {"b", "2"}}), fingerprint({{"b", "2"}, {"a", "1"}}));
}

class StageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    context_.options.out = scratch("stage");
    write(context_.options.out, "in", "one");
    stage_ = {.name = "train",
              .tables = {"train"},
              .inputs = {"in"},
              .outputs = {"out"},
              .run = [this](RunContext& context, Summary&) -> Result<void> {
                ++runs_;
                if (fails_) return base::bad_input("as asked");
                return base::write_file_atomic(context.path("out"), "x");
              },
              .forget = [this](RunContext&) -> Result<void> {
                ++forgotten_;
                return {};
              }};
  }
  RunContext context_;
  Stage stage_;
  int runs_ = 0;
  int forgotten_ = 0;
  bool fails_ = false;
};

TEST_F(StageTest, RunsOnceAndAgainOnlyForWhatChanged) {
  ASSERT_TRUE(run_stage(context_, stage_).ok());
  ASSERT_TRUE(run_stage(context_, stage_).ok());
  EXPECT_EQ(runs_, 1);
  context_.options.evaluate.samples = 99;  // another stage's option
  ASSERT_TRUE(run_stage(context_, stage_).ok());
  EXPECT_EQ(runs_, 1);
  context_.options.train.lr = 0.25;
  ASSERT_TRUE(run_stage(context_, stage_).ok());
  EXPECT_EQ(runs_, 2);
  write(context_.options.out, "in", "two");
  ASSERT_TRUE(run_stage(context_, stage_).ok());
  EXPECT_EQ(runs_, 3);
  write(context_.options.out, "out", "touched");
  ASSERT_TRUE(run_stage(context_, stage_).ok());
  EXPECT_EQ(runs_, 4);
}

TEST_F(StageTest, HalfDoneWorkOfOtherOptionsIsForgottenAndOfTheSameKept) {
  fails_ = true;
  EXPECT_FALSE(run_stage(context_, stage_).ok());
  EXPECT_FALSE(run_stage(context_, stage_).ok());
  EXPECT_EQ(forgotten_, 0);
  context_.options.train.lr = 0.25;
  EXPECT_FALSE(run_stage(context_, stage_).ok());
  EXPECT_EQ(forgotten_, 1);
}

TEST_F(StageTest, OptionsMayChooseAmongItsOutputs) {
  stage_.outputs = {"folder", "out"};
  const auto one = run_stage(context_, stage_);
  ASSERT_TRUE(one.ok()) << one.error().text();
  EXPECT_EQ(one->outputs.size(), 1U);
  ASSERT_TRUE(run_stage(context_, stage_).ok());
  EXPECT_EQ(runs_, 1);
  stage_.outputs = {"folder"};
  context_.options.train.lr = 0.25;
  EXPECT_FALSE(run_stage(context_, stage_).ok());
}

TEST_F(StageTest, AMissingInputSaysWhichStageComesFirst) {
  stage_.inputs = {"nowhere"};
  const auto failed = run_stage(context_, stage_);
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().message.find("earlier stage"), std::string::npos);
  EXPECT_EQ(runs_, 0);
}

TEST(StudentFilesTest, ReadsBackEqualAndRefusesAChangedTensor) {
  model::Config config{.vocab = 32,
                       .width = 16,
                       .layers = 1,
                       .heads = 2,
                       .kv_heads = 1,
                       .head_dim = 8,
                       .ffn = 24,
                       .max_positions = 64};
  const auto weights = model::Weights::random(config, 3);
  const std::string folder = base::join(scratch("student"), "final");
  ASSERT_TRUE(save_student(weights, folder).ok());
  const auto back = load_student(folder);
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(back->config(), config);
  EXPECT_TRUE(std::equal(back->block().begin(), back->block().end(), weights.block().begin()));

  EXPECT_FALSE(load_student_adapter(folder, config)->has_value());

  const auto adapter = model::Adapter::random(config, {.rank = 2}, 1);
  const TrainedAdapter beside{adapter, "a base"};
  ASSERT_TRUE(save_student(weights, folder, &beside).ok());
  const auto kept = load_student_adapter(folder, config);
  ASSERT_TRUE(kept.ok() && kept->has_value());
  EXPECT_TRUE(std::ranges::equal((*kept)->block(), adapter.block()));

  const std::string path = base::join(folder, "model.safetensors");
  std::string bytes = *base::read_file(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(base::write_file_atomic(path, bytes).ok());
  EXPECT_NE(load_student(folder).error().text().find("norm"), std::string::npos)
      << load_student(folder).error().text();
}

TEST(ChildTest, SaysWhyAChildEnded) {
  const std::string folder = scratch("child");
  const auto failed =
      Child::start({.arguments = {"/bin/sh", "-c", "echo no such model >&2; exit 4"},
                    .log_path = folder + "/log",
                    .ready_path = folder + "/port"});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::upstream);
  EXPECT_NE(failed.error().message.find("no such model"), std::string::npos);
  const auto started =
      Child::start({.arguments = {"/bin/sh", "-c", "echo 4711 > " + folder + "/port; sleep 20"},
                    .log_path = folder + "/log",
                    .ready_path = folder + "/port"});
  ASSERT_TRUE(started.ok()) << started.error().text();
  EXPECT_EQ(started->port(), 4711);
  EXPECT_TRUE(started->running());
}

}  // namespace
}  // namespace retort::pipeline
