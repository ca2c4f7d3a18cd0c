// The door with accounts: what is streamed is charged, to the token, however the answer ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "provider/audit.h"
#include "serve/server_testing_internal.h"

namespace retort::serve {
namespace {

using accounts::Resource;
using accounts::Window;
using http::RawSocket;
using ::testing::HasSubstr;

class AccountsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/door_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    book_ = std::move(*accounts::Book::open(base::join(folder_, "accounts.db")));
    account_ = book_->create({.name = "Example Ltd"}, "ann")->id;
    key_ = book_->issue({.account = account_}, "ann")->secret;
  }
  void TearDown() override {
    door_.server.reset();
    (void)base::remove_all(folder_);
  }

  void limit(Resource resource, Window window, int64_t most) {
    auto quotas = *accounts::Quotas::open(folder_, {.background = false});
    ASSERT_TRUE(quotas->set_limit({"account:" + account_, resource, window, most}).ok());
  }
  void start(Script script = {}) {
    std::vector<Model> models;
    models.push_back({"model", std::make_unique<ScriptedBackend>(std::move(script))});
    auto provider = provider::Provider::open({.folder = folder_});
    ASSERT_TRUE(provider.ok()) << provider.error().text();
    Options options;
    options.port = 0;
    auto server = Server::start(options, std::move(models), std::move(*provider));
    ASSERT_TRUE(server.ok()) << server.error().text();
    door_.server = std::move(*server);
  }
  std::string bearer() const { return "Authorization: Bearer " + key_ + "\r\n"; }
  Got chat(const std::string& more = "") {
    return post(door_, "/v1/chat/completions", chat_body(more), bearer());
  }
  // As the store has it once the door is closed.
  int64_t used(Resource resource, Window window) {
    door_.server.reset();
    auto quotas = *accounts::Quotas::open(folder_, {.background = false});
    return *quotas->used({"account:" + account_, resource, window, 0},
                         base::system_clock().wall_ms());
  }

  std::string folder_, account_, key_;
  std::unique_ptr<accounts::Book> book_;
  Started door_;
};

TEST_F(AccountsTest, OnlyKeysOfAccountsComeIn) {
  start();
  EXPECT_EQ(chat().status, 200);
  const Got without = post(door_, "/v1/chat/completions", chat_body());
  EXPECT_EQ(without.status, 401);
  EXPECT_EQ(without.error("code"), "invalid_api_key");
  const Got twice = post(door_, "/v1/chat/completions", chat_body(), bearer() + bearer());
  EXPECT_EQ(twice.status, 401);
  EXPECT_EQ(ask(door_, request_text("GET /metrics", "", bearer())).status, 401);
  EXPECT_EQ(ask(door_, request_text("GET /health", "")).status, 200);
  EXPECT_EQ(ask(door_, request_text("GET /nothing", "")).status, 401);
}

TEST_F(AccountsTest, EveryRequestIsInTheAuditOnce) {
  limit(Resource::output_tokens, Window::day, 60);
  start();
  EXPECT_EQ(chat(R"("max_tokens":50)").status, 200);
  EXPECT_EQ(chat(R"("max_tokens":50)").status, 429);
  EXPECT_EQ(chat(R"("max_tokens":-1)").status, 400);
  const std::string again = bearer() + "Idempotency-Key: once\r\n";
  const std::string body = chat_body(R"("max_tokens":5)");
  EXPECT_EQ(post(door_, "/v1/chat/completions", body, again).status, 200);
  EXPECT_EQ(post(door_, "/v1/chat/completions", body, again).status, 200);
  EXPECT_EQ(ask(door_, request_text("GET /v1/models", "", bearer())).status, 200);
  EXPECT_EQ(ask(door_, request_text("GET /nothing", "", bearer())).status, 404);
  EXPECT_EQ(ask(door_, request_text("PUT /v1/models", "", bearer())).status, 405);
  EXPECT_EQ(ask(door_, request_text("GET /v1/policy/cases/x", "", bearer())).status, 404);
  EXPECT_EQ(post(door_, "/v1/chat/completions", chat_body()).status, 401);
  EXPECT_EQ(ask(door_, request_text("GET /health", "")).status, 200);
  door_.server.reset();
  std::vector<std::string> seen;
  ASSERT_TRUE(provider::read_audit(folder_, [&](const json::Value& line) -> Result<void> {
                const auto kind = *line.string_at("kind");
                if (kind == "request") {
                  seen.push_back(*line.string_at("route") + "/" + *line.string_at("model") + " " +
                                 *line.string_at("outcome"));
                  EXPECT_EQ(*line.string_at("account"), account_);
                  EXPECT_THAT(*line.string_at("request"), ::testing::StartsWith("req_"));
                } else if (kind == "nameless") {
                  seen.push_back("nameless " + *line.string_at("outcome"));
                }
                return {};
              }).ok());
  EXPECT_THAT(seen,
              ::testing::UnorderedElementsAre(
                  "/model answered", "/model insufficient_quota", "chat/ status_400",
                  "/model answered", "chat/ replayed", "models/ answered", "none/ unknown_url",
                  "models/ status_405", "cases/ case_not_found", "nameless invalid_api_key"));
}

TEST_F(AccountsTest, WhatIsUsedIsChargedAndShown) {
  limit(Resource::output_tokens, Window::day, 1000);
  limit(Resource::requests, Window::minute, 100);
  start();
  const Got got = chat(R"("max_tokens":50)");
  ASSERT_EQ(got.status, 200) << got.body;
  EXPECT_THAT(got.head, HasSubstr("x-ratelimit-limit-tokens: 1000"));
  EXPECT_THAT(got.head, HasSubstr("x-ratelimit-remaining-tokens: 950"));
  EXPECT_THAT(got.head, HasSubstr("x-ratelimit-remaining-requests: 99"));
  const auto usage = *got.json().find("usage");
  EXPECT_EQ(used(Resource::output_tokens, Window::day), *usage.int_at("completion_tokens"));
}

TEST_F(AccountsTest, BeyondALimitNothingIsAnsweredAndNothingCharged) {
  limit(Resource::output_tokens, Window::day, 60);
  start();
  EXPECT_EQ(chat(R"("max_tokens":50)").status, 200);
  const Got refused = chat(R"("max_tokens":50)");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.error("type"), "insufficient_quota");
  EXPECT_THAT(refused.head, HasSubstr("x-should-retry: false"));
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: "));
  EXPECT_EQ(chat(R"("max_tokens":10)").status, 200) << "what is left can be had";
}

TEST_F(AccountsTest, ManyAtOnceNeverPassALimit) {
  limit(Resource::output_tokens, Window::month, 200);
  start({.step_ms = 1});
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 24; ++i) {
    clients.emplace_back([&] {
      if (chat(R"("max_tokens":20,"ignore_eos":false)").status == 200) ++good;
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_LE(used(Resource::output_tokens, Window::month), 200);
  EXPECT_GE(good.load(), 5);
  EXPECT_LT(good.load(), 24);
}

TEST_F(AccountsTest, AClientThatLeavesPaysForWhatItGot) {
  limit(Resource::output_tokens, Window::day, 10'000);
  start({.text = std::string(2000, 'x'), .step_ms = 5, .context_length = 4096});
  {
    RawSocket socket = RawSocket::connect(door_.server->port());
    socket.write(request_text("POST /v1/chat/completions",
                              chat_body(R"("stream":true,"max_tokens":2000)"), bearer()));
    for (int piece = 0; piece < 5; ++piece) {
      EXPECT_THAT(socket.read_until("\"x\"", 5000), HasSubstr("\"x\""));
    }
  }
  http::pause_ms(100);
  const int64_t charged = used(Resource::output_tokens, Window::day);
  EXPECT_GE(charged, 5);
  EXPECT_LT(charged, 1500);
}

TEST_F(AccountsTest, AFailedAnswerIsNotCharged) {
  limit(Resource::output_tokens, Window::day, 1000);
  start({.error = "the model broke"});
  EXPECT_EQ(chat().status, 500);
  EXPECT_EQ(used(Resource::output_tokens, Window::day), 0);
}

TEST_F(AccountsTest, ASuspensionCutsTheStream) {
  start({.text = std::string(2000, 'x'), .step_ms = 5, .context_length = 4096});
  RawSocket socket = RawSocket::connect(door_.server->port());
  socket.write(request_text("POST /v1/chat/completions",
                            chat_body(R"("stream":true,"max_tokens":2000)"), bearer()));
  EXPECT_THAT(socket.read_until("\"x\"", 5000), HasSubstr("\"x\""));
  ASSERT_TRUE(book_->suspend(account_, "clause 2.2(e)", "case_3", "ann").ok());
  const std::string rest = socket.read_all(3000);
  EXPECT_THAT(rest, HasSubstr("account_suspended"));
  EXPECT_EQ(rest.find("[DONE]"), std::string::npos);
  const Got refused = chat();
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.error("case_id"), "case_3");
  EXPECT_THAT(refused.head, HasSubstr("x-should-retry: false"));
}

}  // namespace
}  // namespace retort::serve
