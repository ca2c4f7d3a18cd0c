// Steps as a customer meets them at the door, and its appeal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "provider/desk_internal.h"

namespace retort::provider {
namespace {

using policy::Decision;
using policy::Step;
using ::testing::HasSubstr;

constexpr const char* kPolicy = R"TOML(schema = "retort.policy/1"
series = "example.harvesting"
version = "1"
[time]
announced = 2026-01-01
effective = 2026-01-02
[clause]
id = "2.2(e)"
text = "Answers may not train a rival."
url = "https://example.com/terms#2.2"
[steps]
warn_minutes = 0
warn_requests = 3
throttle_minutes = 0
throttle_requests = 2
throttle_requests_per_minute = 4
suspension = "automatic"
[appeal]
days = 10
decision_days = 2
contact = "appeals@example.com"
[plan.forbidden]
terms = "https://example.com/terms"
content_usage = "train-ai=n"
)TOML";

class ProviderCasesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/provider_cases_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    const std::string path = base::join(folder_, "accounts.db");
    book_ = std::move(*accounts::Book::open(path));
    account_ = book_->create({.name = "Example Ltd"}, "ann")->id;
    key_ = "Bearer " + book_->issue({.account = account_}, "ann")->secret;
    cases_ = std::move(*accounts::Cases::open(path, {}));
    ASSERT_TRUE(cases_->add_policy(*policy::parse_policy(kPolicy, ""), "ann").ok());
    provider_ = std::move(*Provider::open({.folder = folder_, .look_ms = 5}));
  }
  void TearDown() override {
    provider_.reset();
    (void)base::remove_all(folder_);
  }

  Outcome<Visitor> identify(const std::string& scope = "chat") {
    return provider_->identify({.authorization = key_, .address = "127.0.0.1", .scope = scope});
  }
  // Headers of an answer, or the refusal.
  struct Answered {
    std::optional<openai::ApiError> error{};
    http::Headers headers{};
    std::string header(std::string_view name) const {
      const auto* found = http::find_header(headers, name);
      return found == nullptr ? "" : *found;
    }
    std::string more(std::string_view name) const {
      for (const auto& [key, value] : error->more) {
        if (key == name) return value;
      }
      return "";
    }
  };
  Answered ask() {
    auto visitor = identify();
    if (auto* refused = std::get_if<Refused>(&visitor)) return {refused->error, refused->headers};
    auto ticket = provider_->admit(std::get<Visitor>(visitor), {.model = "m"});
    if (auto* refused = std::get_if<Refused>(&ticket)) return {refused->error, refused->headers};
    auto& held = std::get<Ticket>(ticket);
    Answered out{std::nullopt, held.headers()};
    held.finish(10, 5);
    return out;
  }
  std::string begin(Step carries) {
    const policy::Finding finding{.carries = carries, .words = "one template over a list"};
    return cases_->begin(account_, cases_->policies()->front(), finding, "ann")->id;
  }
  Step step() { return cases_->list({.account = account_})->front().step; }
  // Within a few turns of the desk, which works once a second.
  bool reaches(Step step) {
    for (int i = 0; i < 500; ++i) {
      if (this->step() == step && served_step() == policy::name(step)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }
  std::string served_step() {
    auto visitor = identify("cases");
    const auto& standing = std::get<Visitor>(visitor).standing;
    return standing ? policy::name(standing->subject.step) : "";
  }
  json::Value shown(const std::string& id) {
    auto visitor = identify("cases");
    auto value = provider_->find_case(std::get<Visitor>(visitor), id);
    if (auto* refused = std::get_if<Refused>(&value)) return refused->error.status;
    return std::get<json::Value>(value);
  }

  std::string folder_, account_, key_;
  std::unique_ptr<accounts::Book> book_;
  std::unique_ptr<accounts::Cases> cases_;
  std::unique_ptr<Provider> provider_;
};

TEST_F(ProviderCasesTest, EveryStepIsSeenAndNamesItsClause) {
  EXPECT_EQ(ask().header("retort-policy-case"), "");
  const std::string id = begin(Step::suspend);
  ASSERT_TRUE(reaches(Step::warn));
  const Answered warned = ask();
  EXPECT_FALSE(warned.error) << "a warning refuses nothing";
  EXPECT_EQ(warned.header("retort-policy-case"), id);
  EXPECT_EQ(warned.header("retort-policy-step"), "warn");
  ask();
  ask();
  ASSERT_TRUE(reaches(Step::throttle));
  Answered last;
  int answered = 0;
  for (int i = 0; i < 6 && !last.error; ++i) {
    last = ask();
    if (!last.error) ++answered;
    if (answered == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  }
  if (last.error->status == 429) {
    EXPECT_LE(answered, 5) << "four a minute, and one before the limit was heeded";
    EXPECT_EQ(last.error->code, "policy_throttled");
    EXPECT_EQ(last.more("case_id"), id);
    EXPECT_EQ(last.more("clause"), "2.2(e)");
    EXPECT_NE(last.header("Retry-After"), "");
    EXPECT_THAT(last.error->message, HasSubstr("one template over a list"));
  }
  ASSERT_TRUE(reaches(Step::suspend));
  const Answered suspended = ask();
  ASSERT_TRUE(suspended.error);
  EXPECT_EQ(suspended.error->status, 403);
  EXPECT_EQ(suspended.error->code, "account_suspended");
  EXPECT_EQ(suspended.header("x-should-retry"), "false");
  EXPECT_EQ(suspended.more("case_id"), id);
  EXPECT_EQ(suspended.more("appeal_url"), "/v1/policy/cases/" + id + "/appeal");
  EXPECT_EQ(suspended.more("contact"), "appeals@example.com");
  EXPECT_NE(suspended.more("appeal_by"), "");
}

TEST_F(ProviderCasesTest, ASuspendedCustomerReadsItsCaseAndAppeals) {
  const std::string id = begin(Step::suspend);
  for (const auto step : {Step::warn, Step::throttle, Step::suspend}) {
    ASSERT_TRUE(cases_
                    ->change(id, "advanced", "ann",
                             [](const policy::Policy& policy, policy::Case& subject) {
                               if (subject.step != Step::suspend) {
                                 policy::advance(policy, subject, base::system_clock().wall_ms());
                               }
                               return Result<void>();
                             })
                    .ok());
    (void)step;
  }
  ASSERT_TRUE(reaches(Step::suspend));
  EXPECT_EQ(ask().error->status, 403);
  const json::Value before = shown(id);
  EXPECT_EQ(*before.string_at("step"), "suspend");
  EXPECT_EQ(*before.string_at("object"), "policy.case");
  EXPECT_EQ(*before.find("notice")->string_at("type"), "deactivation");
  auto visitor = identify("cases");
  const auto& who = std::get<Visitor>(visitor);
  auto appealed = provider_->appeal(who, id, "we translate manuals");
  ASSERT_TRUE(std::holds_alternative<json::Value>(appealed));
  EXPECT_EQ(*std::get<json::Value>(appealed).string_at("status"), "appealed");
  auto again = provider_->appeal(who, id, "once more");
  EXPECT_EQ(std::get<Refused>(again).error.status, 409);
  auto empty = provider_->appeal(who, id, "");
  EXPECT_EQ(std::get<Refused>(empty).error.status, 400);
  ASSERT_TRUE(cases_
                  ->change(id, "decided", "ann",
                           [](const policy::Policy& policy, policy::Case& subject) {
                             return policy::decide(policy, subject, Decision::lift, "agreed",
                                                   base::system_clock().wall_ms());
                           })
                  .ok());
  for (int i = 0; i < 200 && ask().error; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const Answered after = ask();
  EXPECT_FALSE(after.error);
  EXPECT_EQ(after.header("retort-policy-case"), "") << "it is over";
  EXPECT_EQ(*shown(id).string_at("status"), "lifted");
}

TEST_F(ProviderCasesTest, NobodySeesTheCasesOfOthers) {
  const std::string id = begin(Step::warn);
  ASSERT_TRUE(reaches(Step::warn));
  EXPECT_TRUE(shown(id).is_object());
  const std::string other = book_->create({.name = "Other"}, "ann")->id;
  key_ = "Bearer " + book_->issue({.account = other}, "ann")->secret;
  EXPECT_EQ(shown(id), json::Value(404));
  EXPECT_EQ(shown("case_nothing"), json::Value(404));
  auto visitor = identify("cases");
  const auto all = provider_->cases(std::get<Visitor>(visitor));
  EXPECT_EQ(std::get<json::Value>(all).find("data")->as_array().size(), 0U);
}

TEST_F(ProviderCasesTest, WatchingIsNotShownAndChangesNothing) {
  const std::string id = begin(Step::watch);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const Answered answered = ask();
  EXPECT_FALSE(answered.error);
  EXPECT_EQ(answered.header("retort-policy-case"), "");
  EXPECT_EQ(shown(id), json::Value(404));
}

TEST_F(ProviderCasesTest, AKeyBoundToOtherThingsStillReadsItsCases) {
  key_ = "Bearer " +
         book_->issue({.account = account_, .limits = {.scopes = {"chat"}}}, "ann")->secret;
  EXPECT_TRUE(std::holds_alternative<Visitor>(identify("cases")));
  EXPECT_TRUE(std::holds_alternative<Refused>(identify("models")));
}

TEST_F(ProviderCasesTest, AnswersCarryTheTermsOfTheirLicenceAndChangesAreAnnounced) {
  auto visitor = identify();
  auto headers = provider_->licence(std::get<Visitor>(visitor));
  EXPECT_EQ(*http::find_header(headers, "Link"), "<https://example.com/terms>; rel=\"license\"");
  EXPECT_EQ(*http::find_header(headers, "Content-Usage"), "train-ai=n");
  EXPECT_EQ(http::find_header(headers, "retort-policy-change"), nullptr);
  std::string next = kPolicy;
  next.replace(next.find("version = \"1\""), 13, "version = \"2\"");
  next.replace(next.find("effective = 2026-01-02"), 22, "effective = 2199-01-02");
  ASSERT_TRUE(cases_->add_policy(*policy::parse_policy(next, ""), "ann").ok());
  for (int i = 0; i < 200; ++i) {
    headers = provider_->licence(std::get<Visitor>(visitor));
    if (http::find_header(headers, "retort-policy-change") != nullptr) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_NE(http::find_header(headers, "retort-policy-change"), nullptr);
  EXPECT_EQ(*http::find_header(headers, "retort-policy-change"), "2199-01-02");
  const auto published = provider_->published_policy();
  EXPECT_EQ(*published.find("binding")->string_at("version"), "1");
  EXPECT_EQ(*published.find("announced")->string_at("version"), "2");
}

TEST_F(ProviderCasesTest, AnUndecidedAppealLiftsTheStep) {
  base::ManualClock clock(base::system_clock().wall_ms());
  auto desk = std::move(*Desk::open(base::join(folder_, "accounts.db"), &clock));
  const std::string id = begin(Step::warn);
  ASSERT_TRUE(desk->reload().ok());
  ASSERT_TRUE(desk->work().ok());
  auto subject = **desk->find(account_, id);
  EXPECT_EQ(subject.step, Step::warn);
  ASSERT_TRUE(desk->appeal(subject, "key_1", "no")->subject);
  clock.sleep_ms(2 * 86'400'000 - 1);
  ASSERT_TRUE(desk->work().ok());
  EXPECT_EQ((*desk->find(account_, id))->status, policy::Status::appealed);
  clock.sleep_ms(1);
  ASSERT_TRUE(desk->work().ok());
  EXPECT_EQ((*desk->find(account_, id))->status, policy::Status::lifted);
  EXPECT_THAT(desk->take_cleared(), ::testing::ElementsAre(account_));
  EXPECT_EQ(desk->standing(account_), nullptr);
}

TEST_F(ProviderCasesTest, RequestsUnderAStepSurviveARestart) {
  const std::string id = begin(Step::throttle);
  ASSERT_TRUE(reaches(Step::warn));
  ask();
  ask();
  provider_.reset();
  EXPECT_EQ(cases_->find(id)->step_requests, 2);
  provider_ = std::move(*Provider::open({.folder = folder_, .look_ms = 5}));
  ask();
  EXPECT_TRUE(reaches(Step::throttle));
}

}  // namespace
}  // namespace retort::provider
