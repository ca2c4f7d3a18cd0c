// A customer's cases over HTTP: what routes there are, whom they let in, what they answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "accounts/cases.h"
#include "base/clock.h"
#include "base/files.h"
#include "policy/example_testing.h"
#include "serve/server_testing_internal.h"

namespace retort::serve {
namespace {

using ::testing::HasSubstr;

class CasesRouteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/cases_route_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    const std::string path = base::join(folder_, "accounts.db");
    book_ = std::move(*accounts::Book::open(path));
    account_ = book_->create({.name = "Example Ltd"}, "ann")->id;
    key_ = book_->issue({.account = account_}, "ann")->secret;
    cases_ = std::move(*accounts::Cases::open(path, {}));
    ASSERT_TRUE(cases_->add_policy(*policy::parse_policy(policy::kExamplePolicy, ""), "ann").ok());
  }
  void TearDown() override {
    door_.server.reset();
    (void)base::remove_all(folder_);
  }
  void start() {
    std::vector<Model> models;
    models.push_back({"model", std::make_unique<ScriptedBackend>(Script{})});
    Options options;
    options.port = 0;
    options.terms_url = "https://example.com/the-doors-own";
    auto server = Server::start(options, std::move(models),
                                std::move(*provider::Provider::open({.folder = folder_})));
    ASSERT_TRUE(server.ok()) << server.error().text();
    door_.server = std::move(*server);
  }
  std::string suspended() {
    const policy::Finding finding{.carries = policy::Step::suspend, .words = "a word list"};
    const auto id = cases_->begin(account_, cases_->policies()->front(), finding, "ann")->id;
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(cases_
                      ->change(id, "advanced", "ann",
                               [](const policy::Policy& policy, policy::Case& subject) {
                                 policy::advance(policy, subject, base::system_clock().wall_ms());
                                 return Result<void>();
                               })
                      .ok());
    }
    return id;
  }
  std::string bearer() const { return "Authorization: Bearer " + key_ + "\r\n"; }
  Got get(const std::string& path) { return ask(door_, request_text("GET " + path, "", bearer())); }

  std::string folder_, account_, key_;
  std::unique_ptr<accounts::Book> book_;
  std::unique_ptr<accounts::Cases> cases_;
  Started door_;
};

TEST_F(CasesRouteTest, FromTheRefusalToTheAppeal) {
  const std::string id = suspended();
  start();
  const Got refused = post(door_, "/v1/chat/completions", chat_body(), bearer());
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.error("case_id"), id);
  const Got shown = get(refused.error("case_url"));
  ASSERT_EQ(shown.status, 200) << shown.body;
  EXPECT_EQ(*shown.json().string_at("step"), "suspend");
  const std::string appeal = refused.error("appeal_url");
  EXPECT_EQ(post(door_, appeal, R"({"why": "x"})", bearer()).status, 400);
  EXPECT_EQ(post(door_, appeal, "[", bearer()).status, 400);
  const Got appealed = post(door_, appeal, R"({"text": "we translate"})", bearer());
  ASSERT_EQ(appealed.status, 200) << appealed.body;
  EXPECT_EQ(*appealed.json().string_at("status"), "appealed");
  EXPECT_EQ(post(door_, appeal, R"({"text": "again"})", bearer()).status, 409);
  EXPECT_EQ(get("/v1/policy/cases").json().find("data")->as_array().size(), 1U);
  EXPECT_EQ(cases_->find(id)->appeal.text, "we translate");
}

TEST_F(CasesRouteTest, OnlyWithAKeyAndOnlyTheRightMethod) {
  const std::string id = suspended();
  start();
  const std::string path = "/v1/policy/cases/" + id;
  EXPECT_EQ(ask(door_, request_text("GET " + path, "")).status, 401);
  EXPECT_EQ(post(door_, path + "/appeal", R"({"text": "x"})").status, 401);
  EXPECT_EQ(get(path + "/appeal").status, 405);
  EXPECT_EQ(post(door_, path, R"({"text": "x"})", bearer()).status, 405);
  EXPECT_EQ(get(path + "/other").status, 403) << "what is nowhere is not for a suspended account";
  EXPECT_EQ(get("/v1/policy/cases/case_x").status, 404);
  EXPECT_EQ(get("/v1/policy").status, 403);
}

TEST_F(CasesRouteTest, ThePolicyIsPublicAndTheTermsAreTheAccountsOwn) {
  start();
  const Got policy = ask(door_, request_text("GET /.well-known/retort-policy.json", ""));
  ASSERT_EQ(policy.status, 200);
  EXPECT_EQ(*policy.json().find("binding")->find("clause")->string_at("id"), "2.2(e)");
  EXPECT_THAT(policy.head, HasSubstr("the-doors-own")) << "to nobody in particular";
  const Got answered = post(door_, "/v1/chat/completions", chat_body(), bearer());
  EXPECT_EQ(answered.status, 200);
  EXPECT_THAT(answered.head, HasSubstr("Link: <https://example.com/forbidden>; rel=\"license\""));
  EXPECT_THAT(answered.head, HasSubstr("Content-Usage: train-ai=n"));
  EXPECT_EQ(answered.head.find("the-doors-own"), std::string::npos);
}

TEST(CasesWithoutAccountsTest, AreNowhere) {
  const Started door = started();
  EXPECT_EQ(ask(door, request_text("GET /v1/policy/cases", "")).status, 404);
  EXPECT_EQ(post(door, "/v1/policy/cases/case_1/appeal", R"({"text": "x"})").status, 404);
  EXPECT_EQ(ask(door, request_text("GET /.well-known/retort-policy.json", "")).status, 404);
}

}  // namespace
}  // namespace retort::serve
