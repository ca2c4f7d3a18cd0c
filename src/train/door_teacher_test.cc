// A teacher over HTTP: what it is told, what comes back to the rows, what is never asked twice, and
// that a door that has closed is not asked.
#include "train/door_teacher_internal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/clock.h"
#include "json/value.h"
#include "train/classroom_internal.h"
#include "train/rollout_internal.h"

namespace retort::train {
namespace {

constexpr const char* kTerms = R"(schema = "retort.terms/1"
assigner = "A"
series = "door"
version = "1"
[time]
effective = 2026-01-01
until = 2027-01-01
[source]
basis = "express"
[[rule]]
effect = "permit"
action = "train.generative"
clause = "1"
text = "yes"
[review]
reader = "R"
)";

// What a token is worth to the teacher: a function of what stands before it.
double worth(const std::vector<int64_t>& before, int64_t id) {
  double sum = static_cast<double>(id);
  for (const int64_t one : before) sum += static_cast<double>(one) / 7;
  return -1 - std::fmod(sum, 5);
}

// Answers each request as a server with the same tokenizer does.
class Server : public collect::Sender {
 public:
  Server(const tokenizer::Tokenizer& tokenizer, std::vector<std::vector<int64_t>>& asked)
      : tokenizer_(tokenizer), asked_(asked) {}
  void send(int64_t job, std::string body, const std::string&) override {
    const json::Value request = *json::parse(body);
    json::Value tokens = json::Value::array(), logprobs = json::Value::array();
    std::vector<int64_t> before;
    for (const auto& id : request.find("prompt")->as_array()) {
      const auto token = static_cast<tokenizer::TokenId>(id.as_int());
      tokens.push(tokenizer_.is_special(token) ? "" : std::string(tokenizer_.bytes(token)));
      logprobs.push(before.empty() ? json::Value() : json::Value(worth(before, id.as_int())));
      before.push_back(id.as_int());
    }
    asked_.push_back(before);
    json::Value choice = json::Value::object({{"index", 0}, {"text", ""}});
    choice.set("logprobs", json::Value::object({{"tokens", std::move(tokens)},
                                                {"token_logprobs", std::move(logprobs)}}));
    json::Value choices = json::Value::array();
    choices.push(std::move(choice));
    collect::Exchange exchange;
    exchange.end = collect::Exchange::End::answered;
    exchange.status = 200;
    exchange.body = json::dump(
        json::Value::object({{"id", "c"}, {"model", "m"}, {"choices", std::move(choices)}}));
    ended_.push_back({job, std::move(exchange)});
  }
  std::vector<collect::Ended> wait(int64_t) override { return std::exchange(ended_, {}); }
  void cancel_all() override {}

 private:
  const tokenizer::Tokenizer& tokenizer_;
  std::vector<std::vector<int64_t>>& asked_;
  std::vector<collect::Ended> ended_;
};

struct Asked {
  std::string folder;
  Classroom room;
  base::ManualClock clock{1'790'000'000'000};  // in September 2026
  std::unique_ptr<ledger::Ledger> log;
  std::unique_ptr<corpus::Clearance> clearance;
  std::optional<corpus::ClearedDoor<terms::TrainGenerative>> door;
  std::vector<std::vector<int64_t>> asked;
  std::unique_ptr<DoorTeacher> teacher;

  explicit Asked(const std::string& name) : folder(fresh_folder(name)) {
    log = *ledger::Ledger::open(base::join(folder, "ledger"), {.create = true, .clock = &clock});
    const std::string file = base::join(folder, "terms.toml");
    EXPECT_TRUE(base::write_file_atomic(file, kTerms).ok());
    clearance = std::make_unique<corpus::Clearance>(
        *log, terms::TermsSet(),
        terms::Purpose{.actions = {terms::Action::train_generative}, .model_id = "student"},
        &clock);
    auto cleared = clearance->clear_door<terms::TrainGenerative>(
        {.base_url = "http://localhost:1/v1", .route = "/completions", .model = "m"}, {file});
    EXPECT_TRUE(cleared.ok()) << cleared.error().text();
    door.emplace(std::move(*cleared));
    open();
  }
  std::string book() const { return base::join(folder, "scores.jsonl"); }
  void open() {
    auto known = ScoreBook::open(book());
    ASSERT_TRUE(known.ok()) << known.error().text();
    collect::Scoring scoring(std::make_unique<Server>(*room.student, asked), {.model = "m"}, clock);
    teacher = std::make_unique<DoorTeacher>(*door, *room.student, room.format, std::move(scoring),
                                            std::move(*known));
  }
  // Rows that the student sees without the system message.
  std::vector<Example> rows(int count) {
    std::vector<Example> out;
    for (int i = 0; i < count; ++i) {
      ExampleBuilder builder(*room.student, room.format, 200);
      dialog::Messages messages = {{dialog::Role::user, "q" + std::to_string(i)},
                                   {dialog::Role::assistant, "ab" + std::to_string(i)}};
      Example row = **builder.add("key", messages);
      messages.insert(messages.begin(), {dialog::Role::system, "Be brief."});
      row.source = teacher->add("key", messages).value_or(99);
      out.push_back(std::move(row));
    }
    return out;
  }
};

TEST(DoorTeacherTest, IsToldMoreAndJudgesTheAnswersTokens) {
  Asked it("told");
  auto rows = it.rows(3);
  const auto scored = it.teacher->score(rows);
  ASSERT_TRUE(scored.ok()) << scored.error().text();
  ASSERT_EQ(it.asked.size(), 3u);
  for (const Example& row : rows) {
    ASSERT_EQ(std::ssize(row.reference), row.inputs());
    const auto& text = it.asked[static_cast<size_t>(&row - rows.data())];
    EXPECT_GT(std::ssize(text), std::ssize(row.ids)) << "with the system message";
    const auto shift = std::ssize(text) - std::ssize(row.ids);
    int64_t judged = 0;
    for (size_t i = 0; i + 1 < row.ids.size(); ++i) {
      if (!row.trained[i + 1]) {
        EXPECT_EQ(row.reference[i], 0);
        continue;
      }
      ++judged;
      const auto at = static_cast<int64_t>(i) + 1 + shift;
      EXPECT_EQ(text[static_cast<size_t>(at)], row.ids[i + 1]);
      EXPECT_FLOAT_EQ(row.reference[i],
                      static_cast<float>(worth({text.begin(), text.begin() + at}, row.ids[i + 1])));
    }
    EXPECT_EQ(judged, row.trained_tokens());
    EXPECT_GT(judged, 1);
  }
}

TEST(DoorTeacherTest, NothingIsAskedTwiceAlsoByTheNextRun) {
  Asked it("twice");
  auto rows = it.rows(4);
  ASSERT_TRUE(it.teacher->score(rows).ok());
  const auto first = rows;
  ASSERT_TRUE(it.teacher->score(rows).ok());
  EXPECT_EQ(it.asked.size(), 4u);
  it.open();
  auto again = it.rows(6);
  ASSERT_TRUE(it.teacher->score(again).ok());
  EXPECT_EQ(it.asked.size(), 6u) << "two are new";
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(again[i].reference, first[i].reference);
}

TEST(DoorTeacherTest, ADoorThatHasClosedIsNotAsked) {
  Asked it("closed");
  auto rows = it.rows(2);
  it.clock.sleep_ms(int64_t{200} * 86'400'000);  // the terms have expired
  const auto refused = it.teacher->score(rows);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::refused_by_terms);
  EXPECT_TRUE(it.asked.empty());
}

TEST(DoorTeacherTest, ABookOfAnotherLengthIsBadInput) {
  Asked it("edited");
  auto rows = it.rows(1);
  ASSERT_TRUE(it.teacher->score(rows).ok());
  std::string text = *base::read_file(it.book());
  text.replace(text.find("\"logprobs\":["), 12, "\"logprobs\":[-1,");
  ASSERT_TRUE(base::write_file_atomic(it.book(), text).ok());
  it.open();
  auto again = it.rows(1);
  const auto refused = it.teacher->score(again);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::bad_input);
}

// The student's own answers, sampled once and judged, as rows that sampled_reverse_kl learns from.
TEST(DoorTeacherTest, JudgesAllFirstAnswersBeforeTheFirstStep) {
  Asked it("first");
  const auto rows = it.rows(5);
  TrainOptions options = quick_options();
  options.objective = "sampled_reverse_kl";
  options.on_policy = 1;
  options.rollouts = "first";
  options.rollout_tokens = 6;
  options.batch_tokens = 200;
  ASSERT_TRUE(validate(options).ok());
  const auto weights = model::Weights::random(shape(it.room.vocab), 5);
  const Rollouts rollouts({weights, nullptr, it.room.student, it.room.format.stop_token()},
                          options);
  const auto out = first_answers(rollouts, *it.teacher, rows);
  ASSERT_TRUE(out.ok()) << out.error().text();
  ASSERT_EQ(out->rows.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    const Example& row = out->rows[i];
    EXPECT_EQ(answer_start(row), answer_start(rows[i]));
    EXPECT_EQ(std::ssize(row.drawn), row.inputs());
    EXPECT_EQ(std::ssize(row.reference), row.inputs());
    EXPECT_NE(row.baseline, 0);
  }
  const auto again = first_answers(rollouts, *it.teacher, rows);
  EXPECT_EQ(again->rows[3].ids, out->rows[3].ids);
  EXPECT_EQ(it.asked.size(), 5u);
}

}  // namespace
}  // namespace retort::train
