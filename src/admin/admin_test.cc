// The administration's routes: whom they let in, what they show, what they change.
#include <gmock/gmock.h>

#include <mutex>

#include "admin/testing_internal.h"

namespace retort::admin {
namespace {

using policy::Step;
using ::testing::HasSubstr;

constexpr const char* kHostile = "<script>alert(1)</script><img src=x onerror=alert(2)>";

constexpr const char* kEveryAddress[] = {"GET whoami",
                                         "GET traffic",
                                         "GET accounts",
                                         "GET accounts/acct_1",
                                         "GET cases",
                                         "GET cases/case_1",
                                         "GET audit",
                                         "GET audit/checkpoint",
                                         "GET audit/growth",
                                         "GET audit/entries/0",
                                         "GET audit/segments/0",
                                         "POST accounts/acct_1/suspend",
                                         "POST accounts/acct_1/reinstate",
                                         "POST cases/case_1/decide",
                                         "POST audit/verify",
                                         "GET nowhere"};

std::string full(const std::string& address) {
  const size_t space = address.find(' ');
  return address.substr(0, space) + " /admin/v1/" + address.substr(space + 1);
}

TEST_F(AdminTest, NoAddressOpensWithoutAKeyOfTheAdministration) {
  start();
  std::string mistyped = admin_key_;
  mistyped.back() = mistyped.back() == 'x' ? 'y' : 'x';
  for (const std::string address : kEveryAddress) {
    const int port = server_->port();
    EXPECT_EQ(ask_port(port, full(address)).status, 401) << address;
    EXPECT_EQ(ask_port(port, full(address), bearer(api_key_)).status, 401) << address;
    EXPECT_EQ(ask_port(port, full(address), bearer(mistyped)).status, 401) << address;
    EXPECT_EQ(ask_port(port, full(address) + "?key=" + admin_key_).status, 401) << address;
    EXPECT_EQ(ask_port(port, full(address), bearer(admin_key_) + bearer(admin_key_)).status, 401)
        << address;
    EXPECT_NE(ask_port(port, full(address), bearer(admin_key_)).status, 401) << address;
  }
}

TEST_F(AdminTest, WhoeverIsNotLetInIsToldOf) {
  std::mutex mutex;
  std::vector<std::string> told;
  Options options;
  options.refused = [&](const std::string& code) {
    const std::lock_guard lock(mutex);
    told.push_back(code);
  };
  start(options);
  const std::string elsewhere = book_
                                    ->issue({.account = staff_,
                                             .kind = accounts::KeyKind::admin,
                                             .limits = {.addresses = {"203.0.113.7"}}},
                                            "ann")
                                    ->secret;
  const int port = server_->port();
  EXPECT_EQ(ask_port(port, full("GET whoami")).status, 401);
  EXPECT_EQ(ask_port(port, full("GET whoami"), bearer(elsewhere)).status, 403);
  EXPECT_EQ(ask_port(port, full("GET whoami"), bearer(admin_key_)).status, 200);
  server_.reset();
  EXPECT_THAT(told, ::testing::ElementsAre("invalid_api_key", "ip_not_authorized"));
}

TEST_F(AdminTest, AKeyIsHeldToItsBoundsAndItsAccount) {
  const auto issue = [&](accounts::KeyLimits limits) {
    return book_
        ->issue({.account = staff_, .kind = accounts::KeyKind::admin, .limits = limits}, "ann")
        ->secret;
  };
  const std::string looks = issue({.scopes = {"look"}});
  const std::string elsewhere = issue({.addresses = {"203.0.113.7"}});
  const std::string id = begin(Step::throttle);
  start();
  const auto with = [&](const std::string& key, const std::string& line, const std::string& body) {
    return ask_port(server_->port(), line, bearer(key) + "Content-Type: application/json\r\n",
                    body);
  };
  const std::string decide = "POST /admin/v1/cases/" + id + "/decide";
  const std::string lift = R"({"decision": "lift", "reason": "x"})";
  EXPECT_EQ(with(looks, "GET /admin/v1/cases", "").status, 200);
  EXPECT_EQ(with(looks, decide, lift).error(), "scope_missing");
  EXPECT_EQ(with(elsewhere, "GET /admin/v1/cases", "").error(), "ip_not_authorized");
  ASSERT_TRUE(book_->suspend(staff_, "left the firm", "", "ann").ok());
  EXPECT_EQ(with(admin_key_, decide, lift).error(), "account_suspended");
  EXPECT_EQ(cases_->find(id)->status, policy::Status::open);
}

TEST_F(AdminTest, WhatTheDoorServesIsNotHere) {
  start();
  for (const char* line : {"GET /v1/models", "POST /v1/chat/completions", "GET /metrics",
                           "GET /health", "GET /.well-known/retort-policy.json", "GET /admin",
                           "GET /admin/v1", "GET /admin/v2/cases", "GET /v1/policy/cases"}) {
    EXPECT_EQ(ask_port(server_->port(), line, bearer(admin_key_)).status, 404) << line;
    EXPECT_EQ(ask_port(server_->port(), line, bearer(api_key_)).status, 404) << line;
  }
}

TEST_F(AdminTest, ADecisionIsTheTerminalsOwnAndStandsInBothHistories) {
  const std::string id = begin(Step::suspend);
  ASSERT_EQ(book_->account(account_)->state, accounts::State::suspended);
  appeal(id, "we translate");
  start();
  const Got shown = get("cases/" + id);
  ASSERT_EQ(shown.status, 200) << shown.body;
  EXPECT_EQ(*shown.json().find("appeal")->string_at("text"), "we translate");
  EXPECT_EQ(shown.json().find("decisions")->as_array().size(), 3U) << "uphold, lift, close";
  EXPECT_EQ(post("cases/" + id + "/decide", R"({"decision": "lift"})").status, 400);
  EXPECT_EQ(post("cases/" + id + "/decide", R"({"decision": "confirm", "reason": "x"})").status,
            409)
      << "no suspension is proposed";
  const Got lifted =
      post("cases/" + id + "/decide", R"({"decision": "lift", "reason": "our mistake"})");
  ASSERT_EQ(lifted.status, 200) << lifted.body;
  EXPECT_EQ(*lifted.json().string_at("status"), "lifted");
  EXPECT_EQ(book_->account(account_)->state, accounts::State::active);
  const auto event = cases_->events(id)->back();
  EXPECT_EQ(event.what, "decided: lift");
  EXPECT_EQ(event.actor, actor_);
  EXPECT_EQ(event.reason, "our mistake");
  const auto change = book_->history(account_)->back();
  EXPECT_EQ(change.actor, actor_);
  EXPECT_EQ(change.subject, id);
  EXPECT_EQ(change.before, "suspend, appealed");
  EXPECT_EQ(change.after, "suspend, lifted");
  EXPECT_EQ(post("cases/" + id + "/decide", R"({"decision": "lift", "reason": "x"})").status, 409);
}

TEST_F(AdminTest, SuspendsAndReinstatesWithAReason) {
  start();
  const std::string path = "accounts/" + account_;
  EXPECT_EQ(post(path + "/suspend", "{}").status, 400);
  EXPECT_EQ(post(path + "/suspend", R"({"reason": ""})").status, 400);
  const Got suspended = post(path + "/suspend", R"({"reason": "unpaid"})");
  ASSERT_EQ(suspended.status, 200) << suspended.body;
  EXPECT_EQ(*suspended.json().string_at("state"), "suspended");
  EXPECT_EQ(post(path + "/suspend", R"({"reason": "unpaid"})").status, 409);
  ASSERT_EQ(post(path + "/reinstate", R"({"reason": "paid"})").status, 200);
  const auto change = book_->history(account_)->back();
  EXPECT_EQ(change.actor, actor_);
  EXPECT_EQ(change.before, "suspended");
  EXPECT_EQ(change.after, "paid");
  EXPECT_EQ(post("accounts/" + staff_ + "/suspend", R"({"reason": "x"})").status, 409)
      << "nobody locks themselves out";
  EXPECT_EQ(post("accounts/acct_nobody/suspend", R"({"reason": "x"})").status, 404);
}

TEST_F(AdminTest, ShowsAccountsWithLimitsAndKeysButNoSecret) {
  auto quotas = *accounts::Quotas::open(folder_, {.background = false});
  const accounts::Limit limit{"account:" + account_, accounts::Resource::requests,
                              accounts::Window::day, 100};
  ASSERT_TRUE(quotas->set_limit(limit).ok());
  auto admitted = *quotas->reserve({"account:" + account_}, {});
  admitted.reservation.settle({.requests = 1});
  ASSERT_TRUE(quotas->tick().ok());
  start();
  const Got all = get("accounts");
  ASSERT_EQ(all.status, 200) << all.body;
  EXPECT_EQ(all.json().find("data")->as_array().size(), 2U);
  const Got one = get("accounts/" + account_);
  ASSERT_EQ(one.status, 200) << one.body;
  const json::Value shown = one.json();
  EXPECT_EQ(*shown.find("limits")->as_array()[0].int_at("used"), 1);
  EXPECT_EQ(*shown.find("keys")->as_array()[0].string_at("kind"), "api");
  for (const std::string& secret : {api_key_, admin_key_}) {
    EXPECT_EQ(all.body.find(secret), std::string::npos);
    EXPECT_EQ(one.body.find(secret), std::string::npos);
  }
  EXPECT_EQ(get("accounts/acct_nobody").status, 404);
  EXPECT_EQ(get("cases/case_nobody").status, 404);
}

TEST_F(AdminTest, HostileTextsAreJsonTextsAndNothingElse) {
  ASSERT_TRUE(book_->create({.name = kHostile}, "ann").ok());
  const std::string id = begin(Step::warn);
  appeal(id, kHostile);
  start();
  const Got shown = get("cases/" + id);
  EXPECT_THAT(shown.head, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(shown.head, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_EQ(*shown.json().find("appeal")->string_at("text"), kHostile);
  const Got all = get("accounts");
  EXPECT_THAT(all.head, HasSubstr("Content-Type: application/json"));
  EXPECT_EQ(*all.json().find("data")->as_array().back().string_at("name"), kHostile);
}

TEST_F(AdminTest, ForeignPagesAndFormsAskInVain) {
  const std::string id = begin(Step::throttle);
  start();
  const std::string path = "cases/" + id + "/decide";
  const std::string body = R"({"decision": "lift", "reason": "x"})";
  const std::string own = "localhost:" + std::to_string(server_->port());
  EXPECT_EQ(post(path, body, "Origin: https://evil.example\r\n").status, 403);
  EXPECT_EQ(post(path, body, "Origin: http://localhost:1\r\n").status, 403)
      << "another port of this host is another origin";
  EXPECT_EQ(post(path, body, "Sec-Fetch-Site: same-site\r\n").status, 403);
  EXPECT_EQ(ask_port(server_->port(), "POST /admin/v1/" + path,
                     bearer(admin_key_) + "Content-Type: text/plain\r\n", body)
                .status,
            415);
  EXPECT_EQ(cases_->find(id)->status, policy::Status::open);
  EXPECT_EQ(post(path, body, "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n").status,
            200);
}

TEST_F(AdminTest, EveryAnswerForbidsFramingStoringAndForeignScripts) {
  start();
  const int port = server_->port();
  for (const Got& got :
       {get("whoami"), get("nowhere"), ask_port(port, "GET /admin/v1/whoami"),
        ask_port(port, "GET /"), ask_port(port, "GET /main.js"), ask_port(port, "GET /nothing")}) {
    EXPECT_THAT(got.head, HasSubstr("Content-Security-Policy: default-src 'none'; script-src "
                                    "'self';"));
    EXPECT_THAT(got.head, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(got.head, HasSubstr("require-trusted-types-for 'script'"));
    EXPECT_THAT(got.head, HasSubstr("X-Frame-Options: DENY"));
    EXPECT_THAT(got.head, HasSubstr("Cache-Control: no-store"));
    EXPECT_EQ(got.head.find("unsafe"), std::string::npos);
    EXPECT_EQ(got.head.find("Set-Cookie"), std::string::npos);
    EXPECT_EQ(got.head.find("Access-Control"), std::string::npos);
  }
}

TEST_F(AdminTest, ShowsTheDoorsTrafficWhereThereIsOne) {
  start();
  EXPECT_EQ(get("traffic").status, 404);
  server_.reset();
  start({.traffic = [] { return json::Value::object({{"requests", 7}}); }});
  EXPECT_EQ(*get("traffic").json().int_at("requests"), 7);
}

TEST_F(AdminTest, KnowsWhetherAnybodyCanComeIn) {
  start();
  EXPECT_TRUE(*server_->has_keys());
  const auto keys = *book_->keys(staff_);
  for (const auto& key : keys) ASSERT_TRUE(book_->revoke(key.id, "ann").ok());
  EXPECT_FALSE(*server_->has_keys());
  EXPECT_EQ(get("whoami").status, 401) << "a revoked key opens nothing";
}

}  // namespace
}  // namespace retort::admin
