#include "collect/score.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>

#include "base/cancel.h"
#include "json/value.h"

namespace retort::collect {
namespace {

// Answers as it is told to, on a clock that waiting moves; text i has the ids {10, 11, 12 + i}.
class FakeSender : public Sender {
 public:
  explicit FakeSender(base::ManualClock& clock) : clock_(clock) {}
  void send(int64_t job, std::string body, const std::string& key) override {
    bodies.push_back(body);
    keys.insert(key);
    flying_.push_back({job, std::move(body)});
    most_flying = std::max(most_flying, flying_.size());
  }
  std::vector<Ended> wait(int64_t timeout_ms) override {
    clock_.sleep_ms(timeout_ms);
    std::vector<Ended> out;
    if (!flying_.empty()) {
      const auto [job, body] = flying_.front();
      flying_.pop_front();
      out.push_back({job, answer(body)});
    }
    return out;
  }
  void cancel_all() override { ++cancelled; }

  std::function<Exchange(const json::Value& request, size_t number)> answers;
  std::vector<std::string> bodies;
  std::set<std::string> keys;
  size_t most_flying = 0, cancelled = 0;

 private:
  Exchange answer(const std::string& body) { return answers(*json::parse(body), ++asked_); }
  base::ManualClock& clock_;
  std::deque<std::pair<int64_t, std::string>> flying_;
  size_t asked_ = 0;
};

Exchange replied(int status, std::string body) {
  Exchange out;
  out.end = Exchange::End::answered;
  out.status = status;
  out.body = std::move(body);
  return out;
}

// As a vLLM server answers: -id / 100 of each id but the first, and one token more.
Exchange scored(const json::Value& request, const std::string& first = "a") {
  json::Value tokens = json::Value::array(), logprobs = json::Value::array();
  for (const auto& id : request.find("prompt")->as_array()) {
    tokens.push(tokens.as_array().empty() ? first : "t" + std::to_string(id.as_int()));
    logprobs.push(logprobs.as_array().empty()
                      ? json::Value()
                      : json::Value(-static_cast<double>(id.as_int()) / 100));
  }
  tokens.push("more");
  logprobs.push(-0.5);
  json::Value found = json::Value::object({{"tokens", std::move(tokens)},
                                           {"token_logprobs", std::move(logprobs)},
                                           {"top_logprobs", json::Value()}});
  json::Value choice = json::Value::object(
      {{"index", 0}, {"text", "x"}, {"finish_reason", "length"}, {"logprobs", std::move(found)}});
  json::Value choices = json::Value::array();
  choices.push(std::move(choice));
  return replied(200, json::dump(json::Value::object({{"id", "c"},
                                                      {"object", "text_completion"},
                                                      {"created", 1},
                                                      {"model", "m"},
                                                      {"choices", std::move(choices)}})));
}

std::vector<GivenText> some_texts(int32_t count) {
  std::vector<GivenText> out;
  for (int32_t i = 0; i < count; ++i) {
    out.push_back(
        {.ids = {10, 11, 12 + i}, .pieces = {"a", "t11", "t" + std::to_string(12 + i)}, .from = 1});
  }
  return out;
}

struct Asked {
  base::ManualClock clock;
  FakeSender* sender = new FakeSender(clock);
  std::unique_ptr<Sender> owned{sender};
  std::optional<Scoring> scoring;  // keeps the sender
  std::map<size_t, std::vector<float>> handed_out;
  Result<std::vector<std::vector<float>>> of(int32_t texts, ScoringOptions options = {}) {
    options.model = "m";
    scoring.emplace(std::move(owned), options, clock);
    const auto done =
        scoring->score(some_texts(texts), [&](size_t text, std::vector<float> scores) {
          EXPECT_TRUE(handed_out.emplace(text, std::move(scores)).second) << text;
        });
    if (!done) return done.error();
    std::vector<std::vector<float>> out;
    for (const auto& [text, scores] : handed_out) out.push_back(scores);
    return out;
  }
};

TEST(ScoringTest, EachTextHasItsOwnAndNoMoreFlyThanMay) {
  Asked asked;
  asked.sender->answers = [](const json::Value& request, size_t) { return scored(request); };
  const auto found = asked.of(20, {.concurrency = 3});
  ASSERT_TRUE(found.ok()) << found.error().text();
  ASSERT_EQ(found->size(), 20u);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ((*found)[i], (std::vector<float>{-0.11F, -(12.0F + static_cast<float>(i)) / 100}));
  }
  EXPECT_EQ(asked.sender->most_flying, 3u);
  EXPECT_EQ(asked.sender->bodies.size(), 20u);
  EXPECT_EQ(asked.sender->keys.size(), 20u);
  const json::Value first = *json::parse(asked.sender->bodies[0]);
  EXPECT_EQ(first.find("echo")->as_bool(), true);
  EXPECT_EQ(*first.int_at("max_tokens"), 1);
  EXPECT_EQ(first.find("prompt")->as_array().size(), 3u);
}

TEST(ScoringTest, ABusyOrBrokenTeacherIsAskedAgainUnderTheSameKey) {
  Asked asked;
  asked.sender->answers = [](const json::Value& request, size_t number) {
    if (number == 1) {
      Exchange busy = replied(429, "{}");
      busy.headers = {{"Retry-After", "7"}};
      return busy;
    }
    if (number == 2) return replied(500, "oh");
    if (number == 3) {
      Exchange cut;
      cut.failure = "cut off";
      return cut;
    }
    return scored(request);
  };
  const int64_t began = asked.clock.monotonic_ms();
  const auto found = asked.of(1);
  ASSERT_TRUE(found.ok()) << found.error().text();
  EXPECT_GE(asked.clock.monotonic_ms() - began, 7000);
  EXPECT_EQ(asked.sender->bodies.size(), 4u);
  EXPECT_EQ(asked.sender->keys.size(), 1u);
}

TEST(ScoringTest, GivesUpAfterSoManyAttempts) {
  Asked asked;
  asked.sender->answers = [](const json::Value&, size_t) { return replied(500, "oh"); };
  const auto found = asked.of(2, {.attempts = 3});
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::upstream);
  EXPECT_LE(asked.sender->bodies.size(), 6u);
  EXPECT_EQ(asked.sender->cancelled, 1u);
}

TEST(ScoringTest, ARefusalStopsAtOnceWithTheTeachersWords) {
  for (const int status : {400, 401, 403, 404}) {
    Asked asked;
    asked.sender->answers = [status](const json::Value&, size_t) {
      return replied(status, R"({"error": {"message": "no such thing", "case_id": "case_7"}})");
    };
    const auto found = asked.of(5, {.concurrency = 1});
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, ErrorCode::upstream);
    EXPECT_NE(found.error().text().find("no such thing"), std::string::npos);
    EXPECT_EQ(asked.sender->bodies.size(), 1u) << status;
  }
}

TEST(ScoringTest, AnotherVocabularyIsNoticed) {
  Asked asked;
  asked.sender->answers = [](const json::Value& request, size_t) { return scored(request, "b"); };
  const auto found = asked.of(1);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::bad_input);
  EXPECT_NE(found.error().text().find("\"a\" here and \"b\""), std::string::npos);
}

TEST(ScoringTest, WhatIsNoScoreIsRefused) {
  const GivenText text = some_texts(1)[0];
  const std::string good = scored(*json::parse(R"({"prompt": [10, 11, 12]})")).body;
  ASSERT_TRUE(read_scores(good, text).ok());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string body = good;
    const size_t at = body.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return body.replace(at, from.size(), to);
  };
  EXPECT_FALSE(read_scores(with("-0.11", "0.5"), text).ok());
  EXPECT_FALSE(read_scores(with("-0.11", "null"), text).ok());
  EXPECT_FALSE(read_scores(with("-0.11,", ""), text).ok());
  EXPECT_FALSE(read_scores(with("\"logprobs\"", "\"nothing\""), text).ok());
  EXPECT_FALSE(read_scores("[]", text).ok());
  EXPECT_FALSE(read_scores(scored(*json::parse(R"({"prompt": [10]})")).body, text).ok());
  // A certain token that a server rounded up.
  EXPECT_EQ((*read_scores(with("-0.11", "0.0000001"), text))[0], 0);
  // A token that ends inside a character.
  EXPECT_TRUE(read_scores(with("\"t11\"", "\"bytes:\\\\xe2\""), text).ok());
}

TEST(ScoringTest, TheBudgetIsNeverPassed) {
  Asked asked;
  asked.sender->answers = [](const json::Value& request, size_t) { return scored(request); };
  const auto found = asked.of(5, {.concurrency = 4, .most_tokens = 11});  // four tokens a text
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::budget_reached);
  EXPECT_EQ(asked.sender->bodies.size(), 2u);
  EXPECT_EQ(asked.handed_out.size(), 2u) << "what was paid for";
}

TEST(ScoringTest, ControlCStops) {
  Asked asked;
  asked.sender->answers = [](const json::Value& request, size_t number) {
    if (number == 2) base::request_cancel();
    return scored(request);
  };
  const auto found = asked.of(50, {.concurrency = 2});
  base::reset_cancel();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::interrupted);
  EXPECT_LT(asked.sender->bodies.size(), 6u);
  EXPECT_EQ(asked.handed_out.size(), asked.sender->bodies.size()) << "those in flight, too";
}

}  // namespace
}  // namespace retort::collect
