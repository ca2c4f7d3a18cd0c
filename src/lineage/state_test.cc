// A withdrawal freezes what learnt from it; what is frozen is not used; the ways on.
#include "lineage/state.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "lineage/testing_internal.h"
#include "lineage/withdrawal.h"

namespace retort::lineage {
namespace {

using corpus::SubjectKind;
using corpus::Withdrawal;
using corpus::WithdrawalCase;
using testing::has;
using testing::House;
using testing::train;
using testing::Trained;

Withdrawal ended(const std::string& terms) {
  return {.why = WithdrawalCase::account_ended,
          .kind = SubjectKind::terms,
          .id = terms,
          .reason = "the grant is over",
          .by = "N"};
}

State state_of(House& house, const Trained& trained) {
  const auto standings = Standings::read(*house.log);
  EXPECT_TRUE(standings.ok()) << (standings ? "" : standings.error().text());
  return (*standings->find(trained.model))->state;
}

// Two doors, and a model of each; a third model that started from the first.
struct Story {
  House house;
  std::string alpha, beta;
  Trained of_alpha, of_beta, student;

  explicit Story(const std::string& name) : house(name) {
    alpha = house.gather("alpha", 10, "shards-a");
    house.curate("shards-a", "curated-a");
    beta = house.gather("beta", 10, "shards-b");
    house.curate("shards-b", "curated-b");
    of_alpha = train(house, "m-alpha", "curated-a");
    of_beta = train(house, "m-beta", "curated-b");
    const auto base = house.weights(of_alpha.file, "gamma");
    student = train(house, "m-student", "curated-b", &base);
  }
};

TEST(StateTest, AWithdrawalFreezesWhatLearntFromItAndItsStudents) {
  Story story("freeze");
  auto& house = story.house;
  for (const auto* one : {&story.of_alpha, &story.of_beta, &story.student}) {
    EXPECT_TRUE(check_usable(*house.log, one->file, "serve").ok());
  }
  const auto done = withdraw(*house.log, ended(story.alpha));
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_FALSE(done->known);
  ASSERT_EQ(done->frozen.size(), 2u);
  EXPECT_EQ(done->frozen[0].model, story.of_alpha.model);
  EXPECT_EQ(done->frozen[1].model, story.student.model);
  EXPECT_EQ(done->frozen[0].entry, done->withdrawal.entry + 1);
  EXPECT_EQ(done->runs, (std::vector<int64_t>{story.of_alpha.run, story.student.run}));
  EXPECT_EQ(state_of(house, story.of_beta), State::clear);
  EXPECT_TRUE(check_usable(*house.log, story.of_beta.file, "serve").ok());
  // Wherever it was copied to, it is known by its bytes.
  const std::string copy = house.write("elsewhere/another.gguf", "weights of m-student");
  const auto refused = check_usable(*house.log, copy, "serve");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::refused_by_gate);
  EXPECT_TRUE(has(refused.error().text(), "serve refuses the model m-student"));
  EXPECT_TRUE(has(refused.error().text(), "frozen since 2026-06-01"));
  EXPECT_TRUE(has(refused.error().text(), "account ended, the grant is over"));
  EXPECT_TRUE(has(refused.error().text(), "retort ledger state"));
  const std::string changed = house.write("changed.gguf", "weights of m-studenT");
  EXPECT_TRUE(check_usable(*house.log, changed, "serve").ok());
  // The same command again says the same and appends nothing.
  const int64_t size = house.log->head()->size;
  const auto again = withdraw(*house.log, ended(story.alpha));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_TRUE(again->known);
  EXPECT_EQ(again->frozen.size(), 0u);
  EXPECT_EQ(again->barred.size(), 2u);
  EXPECT_EQ(house.log->head()->size, size);
  EXPECT_TRUE(house.log->verify().ok());
}

TEST(StateTest, NothingIsTrainedFromFrozenWeights) {
  Story story("base");
  auto& house = story.house;
  ASSERT_TRUE(withdraw(*house.log, ended(story.alpha)).ok());
  // Their own terms permit it.
  const auto base = house.weights(story.of_alpha.file, "gamma");
  const auto run =
      log_run(*house.log, {.data = house.training("curated-b"), .base = &base, .options = "new"});
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().code, ErrorCode::refused_by_gate);
  EXPECT_TRUE(has(run.error().text(), "m-alpha"));
  const auto served =
      log_served(*house.log, {{"local", "http://127.0.0.1:1/v1", ""}, "x"}, story.of_alpha.file);
  ASSERT_FALSE(served.ok());
  EXPECT_EQ(served.error().code, ErrorCode::refused_by_gate);
}

TEST(StateTest, NothingIsTrainedFromWhatIsFrozenInTheHouseWhereItLies) {
  Story story("lender");
  House house("borrower");
  house.gather("delta", 5);
  house.curate();
  const auto train_from = [&](const std::string& file) {
    const auto base = house.weights(file, "gamma");
    return log_run(*house.log, {.data = house.training(), .base = &base, .options = file});
  };
  EXPECT_TRUE(train_from(story.of_alpha.file).ok());
  ASSERT_TRUE(withdraw(*story.house.log, ended(story.alpha)).ok());
  EXPECT_TRUE(train_from(story.of_beta.file).ok());
  const auto refused = train_from(story.student.file);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::refused_by_gate);
  EXPECT_TRUE(has(refused.error().text(), "training refuses the model m-student"));
}

// The clearance came before the withdrawal, the run would come after it.
TEST(StateTest, AWithdrawalBetweenClearanceAndRunIsNoticed) {
  Story story("between");
  auto& house = story.house;
  const auto data = house.training("curated-a");
  ASSERT_TRUE(withdraw(*house.log, ended(story.alpha)).ok());
  const auto run = log_run(*house.log, {.data = data, .options = "late"});
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().code, ErrorCode::refused_by_terms);
  EXPECT_TRUE(has(run.error().text(), "withdrawn since"));
}

// Training was under way: its model comes into the log after the withdrawal.
TEST(StateTest, AModelOfARunUnderWayIsFrozenWhenItComes) {
  Story story("under_way");
  auto& house = story.house;
  const auto run =
      log_run(*house.log, {.data = house.training("curated-a"), .options = "under way"});
  ASSERT_TRUE(run.ok());
  ASSERT_TRUE(withdraw(*house.log, ended(story.alpha)).ok());
  const std::string file = house.write("late.gguf", "late weights");
  const auto model = log_model(
      *house.log, {.path = file, .model_id = "late", .form = "gguf", .run = run->manifest().entry});
  ASSERT_TRUE(model.ok());
  EXPECT_FALSE(check_usable(*house.log, file, "export").ok());
  const auto again = withdraw(*house.log, ended(story.alpha));
  ASSERT_EQ(again->frozen.size(), 1u);
  EXPECT_EQ(again->frozen[0].model, model->name);
}

TEST(StateTest, WhoeverLearntFromAFrozenModelsAnswersIsFrozenAndTheDoorIsShut) {
  House house("door");
  const std::string alpha = house.gather("alpha", 10, "shards-a");
  house.curate("shards-a", "curated-a");
  const auto teacher = train(house, "m-alpha", "curated-a");
  ASSERT_TRUE(
      log_served(*house.log, {{"example", "https://beta.example.com/v1", ""}, "beta"}, teacher.file)
          .ok());
  house.gather("beta", 10, "shards-b");
  house.curate("shards-b", "curated-b");
  const auto student = train(house, "m-beta", "curated-b");
  const auto done = withdraw(*house.log, ended(alpha));
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_EQ(done->frozen.size(), 2u);
  ASSERT_EQ(done->follow.size(), 1u);
  EXPECT_EQ(done->follow[0].follows, done->withdrawal.entry);
  EXPECT_EQ(state_of(house, student), State::frozen);
  // No run learns from these answers again.
  const auto cleared =
      house.clear().clear<testing::TrainGenerative>(house.selection("train", "curated-b"));
  ASSERT_FALSE(cleared.ok());
  EXPECT_TRUE(has(cleared.error().text(), "learnt from what was withdrawn"));
}

TEST(StateTest, AProspectiveChangeFreezesOnlyWhatLearntFromYoungerRecords) {
  House house("prospective");
  const std::string alpha = house.gather("alpha", 10, "shards-1");
  house.curate("shards-1", "curated-1");
  const auto before = train(house, "m-before", "curated-1");
  house.clock.sleep_ms(int64_t{10} * 86'400'000);
  const int64_t from_ms = house.clock.wall_ms();
  house.clock.sleep_ms(86'400'000);
  house.gather("alpha", 10, "shards-2");
  house.curate("shards-2", "curated-2");
  const auto after = train(house, "m-after", "curated-2");
  const auto base = house.weights(after.file, "gamma");
  const auto student = train(house, "m-student", "curated-1", &base);
  Withdrawal change = ended(alpha);
  change.why = WithdrawalCase::terms_changed;
  change.from_ms = from_ms;
  const auto done = withdraw(*house.log, change);
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_EQ(state_of(house, before), State::clear);
  EXPECT_EQ(state_of(house, after), State::frozen);
  EXPECT_EQ(state_of(house, student), State::frozen);
  EXPECT_EQ(done->frozen.size(), 2u);
}

TEST(StateTest, EveryMoveThatIsNotInTheTableIsRefused) {
  const std::vector<State> all = {State::clear,       State::frozen,     State::traced,
                                  State::quarantined, State::remediated, State::withdrawn};
  int legal = 0;
  for (const State from : all) {
    for (const State to : all) legal += may_move(from, to) ? 1 : 0;
    EXPECT_FALSE(may_move(from, from)) << name(from);
    EXPECT_FALSE(may_move(State::withdrawn, from)) << name(from);
  }
  EXPECT_EQ(legal, 12);
  Story story("moves");
  auto& house = story.house;
  ASSERT_TRUE(withdraw(*house.log, ended(story.alpha)).ok());
  const auto to = [&](State state, const std::string& run = "") {
    return move(*house.log,
                {.model = story.of_alpha.model, .to = state, .by = "N", .remedy_run = run});
  };
  const auto skipped = to(State::quarantined);
  ASSERT_FALSE(skipped.ok());
  EXPECT_EQ(skipped.error().code, ErrorCode::refused_by_gate);
  EXPECT_TRUE(has(skipped.error().text(), "frozen does not become quarantined"));
  EXPECT_TRUE(has(skipped.error().text(), "clear, traced, withdrawn"));
  ASSERT_TRUE(to(State::traced).ok());
  const auto moved = to(State::quarantined);
  ASSERT_TRUE(moved.ok()) << moved.error().text();
  EXPECT_EQ(moved->number, 3);
  EXPECT_EQ(moved->before, State::traced);
  EXPECT_EQ(house.log->entry(moved->entry)->name, story.of_alpha.model + "@3");
  EXPECT_FALSE(check_usable(*house.log, story.of_alpha.file, "serve").ok());
  ASSERT_TRUE(to(State::withdrawn).ok());
  EXPECT_FALSE(to(State::clear).ok());
  EXPECT_FALSE(move(*house.log, {.model = story.of_beta.model, .to = State::frozen}).ok());
}

TEST(StateTest, OnlyARunOfAfterwardsIsARemedy) {
  Story story("remedy");
  auto& house = story.house;
  ASSERT_TRUE(withdraw(*house.log, ended(story.alpha)).ok());
  const auto to = [&](State state, const std::string& run = "") {
    return move(*house.log,
                {.model = story.student.model, .to = state, .by = "N", .remedy_run = run});
  };
  ASSERT_TRUE(to(State::traced).ok());
  EXPECT_EQ(to(State::remediated).error().code, ErrorCode::usage);
  EXPECT_TRUE(
      has(to(State::remediated, story.of_beta.run_name).error().text(), "before the withdrawal"));
  const auto anew = train(house, "m-anew", "curated-b");
  const auto moved = to(State::remediated, anew.run_name.substr(0, 12));
  ASSERT_TRUE(moved.ok()) << moved.error().text();
  EXPECT_EQ(moved->remedy_run, anew.run_name);
  EXPECT_TRUE(check_usable(*house.log, anew.file, "serve").ok());
  // What was remediated is not used again; its refusal names the run.
  const auto refused = check_usable(*house.log, story.student.file, "serve");
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(has(refused.error().text(), anew.run_name.substr(0, 16)));
}

// Records that the corrected reading permits were judged again: the model may be used again.
TEST(StateTest, AVerdictOfAfterwardsIsTheWayBackToClear) {
  House house("again");
  const std::string alpha = house.gather("alpha", 10);
  house.curate();
  const auto model = train(house, "m");
  const auto right = testing::terms_of("alpha.right");
  ASSERT_TRUE(corpus::log_reading(*house.log, right).ok());
  Withdrawal correction = ended(alpha);
  correction.why = WithdrawalCase::reading_corrected;
  correction.corrected_by = right.id;
  ASSERT_EQ(withdraw(*house.log, correction)->frozen.size(), 1u);
  const auto clear = [&] {
    return move(*house.log, {.model = model.model, .to = State::clear, .by = "N"});
  };
  ASSERT_FALSE(clear().ok());
  EXPECT_TRUE(has(clear().error().text(), "no verdict since the withdrawal"));
  // Of other records.
  ASSERT_TRUE(house.clear().clear<testing::TrainGenerative>(house.selection("held_out")).ok());
  EXPECT_FALSE(clear().ok());
  // For another purpose.
  corpus::Clearance other(*house.log, house.terms,
                          {.actions = terms::all_actions(), .model_id = "another"}, &house.clock);
  ASSERT_TRUE(other.clear<testing::TrainGenerative>(house.selection("train")).ok());
  EXPECT_FALSE(clear().ok());
  house.training();
  const auto cleared = clear();
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  EXPECT_TRUE(check_usable(*house.log, model.file, "serve").ok());
  EXPECT_EQ(withdraw(*house.log, correction)->frozen.size(), 0u) << "it stays clear";
  ASSERT_TRUE(withdraw(*house.log, ended(alpha)).ok());
  EXPECT_FALSE(check_usable(*house.log, model.file, "serve").ok());
  house.terms = {};
  EXPECT_FALSE(clear().ok());
}

// kill -9 at any moment leaves the log with all of it or nothing.
TEST(StateTest, AWithdrawalIsWholeOrNotThereWhenItIsKilled) {
  int whole = 0;
  int absent = 0;
  Story story("killed");
  auto& house = story.house;
  house.log = nullptr;
  const std::string before = house.folder + "_before";
  namespace fs = std::filesystem;
  fs::remove_all(before);
  fs::copy(house.path("ledger"), before, fs::copy_options::recursive);
  for (int round = 0; round < 24; ++round) {
    house.log = nullptr;
    fs::remove_all(house.path("ledger"));
    fs::copy(before, house.path("ledger"), fs::copy_options::recursive);
    const pid_t child = fork();
    if (child == 0) {
      auto log = ledger::Ledger::open(house.path("ledger"), {.create = false});
      const auto done = withdraw(**log, ended(story.alpha));
      _exit(done ? 0 : 1);
    }
    usleep(static_cast<useconds_t>(round * 2'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    house.log = *ledger::Ledger::open(house.path("ledger"), {.create = false});
    ASSERT_TRUE(house.log->verify().ok());
    ASSERT_TRUE(house.log->verify_tiles().ok());
    const size_t withdrawals = corpus::read_withdrawals(*house.log)->size();
    const size_t states = all_states(*house.log)->size();
    ASSERT_EQ(states, 2 * withdrawals) << "round " << round;
    ++(withdrawals == 0 ? absent : whole);
    // The same command ends it.
    ASSERT_TRUE(withdraw(*house.log, ended(story.alpha)).ok());
    EXPECT_EQ(all_states(*house.log)->size(), 2u);
    EXPECT_EQ(corpus::read_withdrawals(*house.log)->size(), 1u);
  }
  EXPECT_GT(absent, 0) << "no round was killed early";
}

}  // namespace
}  // namespace retort::lineage
