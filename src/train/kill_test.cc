// Training in a child process that is killed without warning, then run again until it is done: the
// weights must be those of a run that nobody disturbed, to the last bit.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/parallel.h"
#include "train/loop_internal.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

constexpr int kNotKilled = 0, kStorageFailed = 6;

// What a child is told; in its environment, since it runs as a test of this program.
struct Orders {
  std::string folder;
  std::string kill_at_step = "";   // SIGKILL after this step
  std::string kill_at_point = "";  // SIGKILL the n-th time that saving passes a point
  std::string full_at_step = "";   // from then on no file may grow beyond 4 KiB
  std::string lora_rank = "";      // of an adapter that is trained alone
  std::string kill_at_batch = "";  // SIGKILL before the n-th batch; a number makes steps of two
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int64_t number(const std::string& text) {
  return text.empty() ? -1 : std::stoll(text);
}

// Runs this program again for DISABLED_Child alone; gives its exit status, or -signal.
int run_child(const Orders& orders) {
  ::setenv("RETORT_TRAIN_FOLDER", orders.folder.c_str(), 1);
  ::setenv("RETORT_TRAIN_KILL_STEP", orders.kill_at_step.c_str(), 1);
  ::setenv("RETORT_TRAIN_KILL_POINT", orders.kill_at_point.c_str(), 1);
  ::setenv("RETORT_TRAIN_FULL_STEP", orders.full_at_step.c_str(), 1);
  ::setenv("RETORT_TRAIN_LORA_RANK", orders.lora_rank.c_str(), 1);
  ::setenv("RETORT_TRAIN_KILL_BATCH", orders.kill_at_batch.c_str(), 1);
  std::string program = "/proc/self/exe", filter = "--gtest_filter=Kill.DISABLED_Child",
              disabled = "--gtest_also_run_disabled_tests", brief = "--gtest_brief=1";
  char* arguments[] = {program.data(), filter.data(), disabled.data(), brief.data(), nullptr};
  pid_t child = 0;
  if (::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0) return -1;
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void forbid_large_files() {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{4096, 4096};
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

// A teacher that knows nothing, and ends the process when it is asked about the n-th batch: the
// only place of a run that is inside a step.
class Killer final : public model::LogitSource {
 public:
  explicit Killer(int64_t left) : left_(left) {}
  void start(const model::Batch&) override {
    if (--left_ == 0) ::raise(SIGKILL);
  }
  void logits(std::span<const int32_t> rows, float* to) override {
    std::fill_n(to, static_cast<int64_t>(rows.size()) * tiny_config().vocab, 0.0F);
  }

 private:
  int64_t left_;
};

// 21 steps of two batches, the last of an epoch of one.
TrainOptions steps_of_two() {
  TrainOptions options = quick_options();
  options.objective = "forward_kl";
  options.soft_share = 0.5;
  options.accumulate = 2;
  options.epochs = 7;
  return options;
}

// Not a test of its own: what run_child() starts.
TEST(Kill, DISABLED_Child) {
  const std::string folder = environment("RETORT_TRAIN_FOLDER");
  const int64_t kill_step = number(environment("RETORT_TRAIN_KILL_STEP"));
  const int64_t full_step = number(environment("RETORT_TRAIN_FULL_STEP"));
  int64_t points_left = number(environment("RETORT_TRAIN_KILL_POINT"));
  const int64_t kill_batch = number(environment("RETORT_TRAIN_KILL_BATCH"));
  const bool in_twos = kill_batch >= 0;
  const Examples data = mapping_rows(in_twos ? 22 : 12, 1), held_out = mapping_rows(5, 2);
  TrainOptions options = in_twos ? steps_of_two() : quick_options();
  Killer killer(kill_batch);
  base::set_thread_count(1);  // so little work is slower on more
  model::Weights weights = model::Weights::random(tiny_config(), 5);
  options.lora_rank = std::max<int64_t>(number(environment("RETORT_TRAIN_LORA_RANK")), 0);
  const auto lora = lora_config(options);
  std::optional<model::Adapter> adapter;
  if (*lora) adapter = model::Adapter::random(tiny_config(), **lora, 5);
  const auto outcome = run_loop(weights,
                                {.data = data,
                                 .held_out = held_out,
                                 .options = options,
                                 .teacher = in_twos ? &killer : nullptr,
                                 .folder = folder,
                                 .identity = {},
                                 .limit = nullptr,
                                 .on_step =
                                     [&](const LoopState& state) {
                                       if (state.step == kill_step) ::raise(SIGKILL);
                                       if (state.step == full_step) forbid_large_files();
                                     },
                                 .at_save_point =
                                     [&](std::string_view) {
                                       if (--points_left == 0) ::raise(SIGKILL);
                                     }},
                                adapter ? &*adapter : nullptr);
  if (!outcome) std::_Exit(base::exit_code(outcome.error().code));
  if (adapter) model::merge(weights, *adapter);
  const auto block = weights.block();
  const std::string_view bytes(reinterpret_cast<const char*>(block.data()), block.size_bytes());
  std::_Exit(base::write_file_atomic(base::join(folder, "final"), bytes) ? 0 : 1);
}

std::string undisturbed(const std::string& lora_rank) {
  static std::map<std::string, std::string> bytes;
  if (!bytes.contains(lora_rank)) {
    const std::string folder = fresh_folder("undisturbed");
    EXPECT_EQ(run_child({.folder = folder, .lora_rank = lora_rank}), kNotKilled);
    bytes[lora_rank] = base::read_file(base::join(folder, "final")).value_or("");
  }
  return bytes[lora_rank];
}

void expect_same_end(const std::string& folder, const std::string& lora_rank = "") {
  ASSERT_EQ(run_child({.folder = folder, .lora_rank = lora_rank}), kNotKilled);
  const auto bytes = base::read_file(base::join(folder, "final"));
  ASSERT_TRUE(bytes);
  EXPECT_FALSE(bytes->empty());
  EXPECT_TRUE(*bytes == undisturbed(lora_rank));
}

TEST(Kill, AfterAnyStep) {
  for (const char* step : {"1", "5", "8"}) {
    SCOPED_TRACE(step);
    const std::string folder = fresh_folder("killed_at_step");
    ASSERT_EQ(run_child({.folder = folder, .kill_at_step = step}), -SIGKILL);
    expect_same_end(folder);
  }
}

// What `latest` names verifies, every tensor of it.
void expect_latest_is_whole(const std::string& folder) {
  const std::string checkpoints = base::join(folder, "checkpoints");
  const auto latest = base::read_file(base::join(checkpoints, "latest"));
  ASSERT_TRUE(latest);
  const model::Weights weights(tiny_config());
  std::vector<float> values(weights.block().size());
  const CheckpointPlace place{
      .folder = checkpoints,
      .tensors = weights.tensors(),
      .blocks = {{"model", values}, {"adam_first", values}, {"adam_second", values}}};
  const auto loaded = Checkpoints(place).load(std::stoll(latest->substr(5)));
  EXPECT_TRUE(loaded) << loaded.error().text();
}

// A save passes nine points, and a tenth when it removes an old checkpoint, as the third one does:
// these are the third one's, at step 6.
TEST(Kill, AtEveryPointOfSaving) {
  for (int point = 19; point <= 28; ++point) {
    SCOPED_TRACE(point);
    const std::string folder = fresh_folder("killed_at_point");
    ASSERT_EQ(run_child({.folder = folder, .kill_at_point = std::to_string(point)}), -SIGKILL);
    expect_latest_is_whole(folder);
    expect_same_end(folder);
    expect_latest_is_whole(folder);
  }
}

TEST(Kill, AnAdaptersTrainingToo) {
  for (const char* step : {"1", "5", "8"}) {
    SCOPED_TRACE(step);
    const std::string folder = fresh_folder("adapter");
    ASSERT_EQ(run_child({.folder = folder, .kill_at_step = step, .lora_rank = "3"}), -SIGKILL);
    expect_same_end(folder, "3");
  }
  EXPECT_NE(undisturbed("3"), undisturbed(""));
}

// Before every batch of 21 steps, the first and the second of each: mid-epoch, at its end, and with
// half of a step's gradient added up; and while held-out rows are measured.
TEST(Kill, BeforeEveryBatchOfTwentyOneSteps) {
  const std::string whole = fresh_folder("in_twos");
  ASSERT_EQ(run_child({.folder = whole, .kill_at_batch = "0"}), kNotKilled);
  const auto bytes = base::read_file(base::join(whole, "final"));
  const auto lines = base::read_file(base::join(whole, "metrics.jsonl"));
  ASSERT_TRUE(bytes && lines);
  EXPECT_EQ(std::count(lines->begin(), lines->end(), '\n'), 21 + 7);
  int64_t kills = 0;
  for (int batch = 1;; ++batch) {
    SCOPED_TRACE(batch);
    const std::string folder = fresh_folder("killed_at_batch");
    const int ended = run_child({.folder = folder, .kill_at_batch = std::to_string(batch)});
    if (ended == kNotKilled) break;  // there are no more
    ASSERT_EQ(ended, -SIGKILL);
    ++kills;
    ASSERT_EQ(run_child({.folder = folder, .kill_at_batch = "0"}), kNotKilled);
    ASSERT_TRUE(base::read_file(base::join(folder, "final")).value_or("") == *bytes);
  }
  EXPECT_GE(kills, 5 * 7);
}

TEST(Kill, AgainAndAgain) {
  const std::string folder = fresh_folder("killed_often");
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(run_child({.folder = folder, .kill_at_point = "12"}), -SIGKILL);
  }
  expect_same_end(folder);
}

TEST(Kill, AFullDiskLeavesTheLastCheckpoint) {
  const std::string folder = fresh_folder("full_disk");
  ASSERT_EQ(run_child({.folder = folder, .full_at_step = "5"}), kStorageFailed);
  const auto completed = Checkpoints({.folder = base::join(folder, "checkpoints")}).completed();
  ASSERT_TRUE(completed);
  EXPECT_EQ(completed->back(), 4);
  expect_same_end(folder);
}

}  // namespace
}  // namespace retort::train
