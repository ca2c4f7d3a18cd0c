// Receivers that take, refuse, hang and come back.
#include "provider/webhooks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "accounts/cases.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "http/raw_testing.h"
#include "json/value.h"
#include "policy/example_testing.h"

namespace retort::provider {
namespace {

const std::string kKey = "0123456789abcdef0123456789abcdef";

// Reads whole requests and answers them as the script says, in turn.
struct Receiver {
  explicit Receiver(std::vector<std::string> script)
      : answers(std::move(script)), server([this](http::RawSocket& socket, int number) {
          std::string got = socket.read_until("\"object\":\"event\"");
          socket.read_some(got, 50);
          {
            const std::lock_guard lock(mutex);
            said.push_back(got);
          }
          const auto at = std::min<size_t>(static_cast<size_t>(number), answers.size() - 1);
          if (answers[at].empty()) {
            socket.closed_within(20'000);  // says nothing
          } else {
            socket.write("HTTP/1.1 " + answers[at] +
                         "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
          }
        }) {}
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex);
    return said;
  }
  std::mutex mutex;
  std::vector<std::string> said;
  std::vector<std::string> answers;
  http::RawServer server;
};

std::string header(const std::string& request, const std::string& name) {
  const size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const size_t from = at + name.size() + 4;
  return request.substr(from, request.find("\r\n", from) - from);
}
std::string body(const std::string& request) {
  return request.substr(request.find("\r\n\r\n") + 4);
}
json::Value event(const std::string& request) {
  return *json::parse(body(request));
}

class WebhooksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/webhooks_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    const std::string path = base::join(folder_, "accounts.db");
    book_ = std::move(*accounts::Book::open(path));
    account_ = book_->create({.name = "Example Ltd"}, "ann")->id;
    cases_ = std::move(*accounts::Cases::open(path, {}));
    ASSERT_TRUE(cases_->add_policy(*policy::parse_policy(policy::kExamplePolicy, ""), "ann").ok());
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  Result<std::unique_ptr<Webhooks>> open(const std::string& url, bool background = false,
                                         int timeout_ms = 20'000) {
    return Webhooks::open({.folder = folder_,
                           .url = url,
                           .secret = "whsec_" + crypto::to_base64(kKey),
                           .private_addresses = true,
                           .timeout_ms = timeout_ms,
                           .clock = background ? nullptr : &clock_,
                           .background = background});
  }
  std::string begin() {
    const policy::Finding finding{.carries = policy::Step::warn, .words = "one template"};
    return cases_->begin(account_, cases_->policies()->front(), finding, "ann")->id;
  }
  void close(const std::string& id) {
    const auto closed =
        cases_->change(id, "decided: close", "ann", [&](const auto&, policy::Case& subject) {
          subject.status = policy::Status::closed;
          subject.reason = "a mistake";
          return Result<void>();
        });
    ASSERT_TRUE(closed.ok()) << closed.error().text();
  }

  base::ManualClock clock_;
  std::string folder_, account_;
  std::unique_ptr<accounts::Book> book_;
  std::unique_ptr<accounts::Cases> cases_;
};

TEST_F(WebhooksTest, TellsOfEachStepOnceAndSignsIt) {
  const std::string before = begin();
  Receiver receiver({"204 No Content"});
  const auto hooks = std::move(*open(receiver.server.url("/hook")));
  EXPECT_EQ(*hooks->work(), 0) << "what happened before nobody is told";
  close(before);
  const std::string id = begin();
  EXPECT_EQ(*hooks->work(), 2);
  EXPECT_EQ(*hooks->work(), 0);
  EXPECT_EQ(*hooks->waiting(), 0);
  const auto said = receiver.all();
  ASSERT_EQ(said.size(), 2U);
  EXPECT_EQ(event(said[0]).find("type")->as_string(), "policy.case.decided");
  EXPECT_EQ(event(said[0]).find("data")->find("reason")->as_string(), "a mistake");
  EXPECT_EQ(event(said[1]).find("type")->as_string(), "policy.case.opened");
  EXPECT_EQ(event(said[1]).find("data")->find("id")->as_string(), id);
  EXPECT_EQ(event(said[1]).find("data")->find("account")->as_string(), account_);
  EXPECT_EQ(header(said[1], "webhook-id"), event(said[1]).find("id")->as_string());
  EXPECT_EQ(header(said[1], "webhook-timestamp"), std::to_string(clock_.wall_ms() / 1000));
  // As a receiver makes it, from the bytes that came.
  const std::string signed_text = header(said[1], "webhook-id") + "." +
                                  header(said[1], "webhook-timestamp") + "." + body(said[1]);
  EXPECT_EQ(header(said[1], "webhook-signature"),
            "v1," + crypto::to_base64(crypto::as_bytes(crypto::hmac_sha256(kKey, signed_text))));
  EXPECT_NE(header(said[0], "webhook-id"), header(said[1], "webhook-id"));
}

// https://github.com/standard-webhooks/standard-webhooks: the example of its specification.
TEST(WebhooksSignTest, IsTheSchemesOwn) {
  EXPECT_EQ(sign_webhook(*crypto::from_base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                         "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST_F(WebhooksTest, WhatIsNotTakenIsSentAgainLaterAndLater) {
  Receiver receiver({"500 Oops", "500 Oops", "302 Found", "200 OK"});
  const auto hooks = std::move(*open(receiver.server.url()));
  ASSERT_TRUE(hooks->work().ok());
  begin();
  EXPECT_EQ(*hooks->work(), 0);
  EXPECT_EQ(*hooks->work(), 0);
  EXPECT_EQ(receiver.all().size(), 1U) << "not at once";
  clock_.sleep_ms(5000);
  EXPECT_EQ(*hooks->work(), 0);
  clock_.sleep_ms(5000);
  EXPECT_EQ(*hooks->work(), 0);
  EXPECT_EQ(receiver.all().size(), 2U) << "the second wait is longer";
  clock_.sleep_ms(5000);
  EXPECT_EQ(*hooks->work(), 0) << "a redirect is no success and is not followed";
  clock_.sleep_ms(20'000);
  EXPECT_EQ(*hooks->work(), 1);
  const auto said = receiver.all();
  ASSERT_EQ(said.size(), 4U);
  EXPECT_EQ(header(said[0], "webhook-id"), header(said[3], "webhook-id"));
  EXPECT_EQ(body(said[0]), body(said[3]));
  EXPECT_NE(header(said[0], "webhook-timestamp"), header(said[3], "webhook-timestamp"))
      << "signed anew, so that an old one can be refused";
  EXPECT_NE(header(said[0], "webhook-signature"), header(said[3], "webhook-signature"));
}

TEST_F(WebhooksTest, ARestartLosesNothingAndAHangingReceiverHoldsNobodyUp) {
  std::string url;
  {
    Receiver hanging({""});
    auto hooks = std::move(*open(hanging.server.url(), false, 300));
    ASSERT_TRUE(hooks->work().ok());
    begin();
    EXPECT_EQ(*hooks->work(), 0);
    EXPECT_EQ(*hooks->waiting(), 1);
    hooks.reset();
  }
  close(cases_->list({.account = account_})->front().id);
  Receiver receiver({"200 OK"});
  const auto hooks = std::move(*open(receiver.server.url()));
  clock_.sleep_ms(5000);
  EXPECT_EQ(*hooks->work(), 2);
  EXPECT_EQ(*hooks->waiting(), 0);
  EXPECT_EQ(event(receiver.all()[0]).find("type")->as_string(), "policy.case.opened");
  EXPECT_EQ(event(receiver.all()[1]).find("type")->as_string(), "policy.case.decided");
}

TEST_F(WebhooksTest, AfterAWeekItIsGivenUp) {
  Receiver receiver({"500 Oops"});
  const auto hooks = std::move(*open(receiver.server.url()));
  ASSERT_TRUE(hooks->work().ok());
  begin();
  ASSERT_TRUE(hooks->work().ok());
  clock_.sleep_ms(int64_t{7} * 86'400'000 - 1);
  ASSERT_TRUE(hooks->work().ok());
  EXPECT_EQ(*hooks->waiting(), 1);
  clock_.sleep_ms(3'600'000);
  ASSERT_TRUE(hooks->work().ok());
  EXPECT_EQ(*hooks->waiting(), 0);
}

TEST_F(WebhooksTest, BehindOneThatIsNotTakenTheOthersWait) {
  Receiver receiver({"500 Oops", "200 OK"});
  const auto hooks = std::move(*open(receiver.server.url()));
  ASSERT_TRUE(hooks->work().ok());
  close(begin());
  EXPECT_EQ(*hooks->work(), 0);
  EXPECT_EQ(receiver.all().size(), 1U) << "who is down is asked once";
  clock_.sleep_ms(5000);
  EXPECT_EQ(*hooks->work(), 2);
  EXPECT_EQ(event(receiver.all()[1]).find("type")->as_string(), "policy.case.opened");
  EXPECT_EQ(event(receiver.all()[2]).find("type")->as_string(), "policy.case.decided");
}

TEST_F(WebhooksTest, NobodyWaitsLongerThanAnHour) {
  Receiver receiver({"500 Oops"});
  const auto hooks = std::move(*open(receiver.server.url()));
  ASSERT_TRUE(hooks->work().ok());
  begin();
  for (size_t asked = 1; asked <= 14; ++asked) {
    ASSERT_TRUE(hooks->work().ok());
    EXPECT_EQ(receiver.all().size(), asked);
    clock_.sleep_ms(3'600'000);
  }
}

TEST_F(WebhooksTest, AStepHasItsNameAndItsActor) {
  Receiver receiver({"200 OK"});
  const auto hooks = std::move(*open(receiver.server.url()));
  ASSERT_TRUE(hooks->work().ok());
  const std::string id = begin();
  const auto change = [&](const char* what) {
    return cases_
        ->change(id, what, "ben",
                 [](const auto&, policy::Case& subject) {
                   subject.step = policy::Step::throttle;
                   return Result<void>();
                 })
        .ok();
  };
  ASSERT_TRUE(change("advanced"));
  ASSERT_TRUE(change("suspension proposed"));
  EXPECT_EQ(*hooks->work(), 3);
  const auto advanced = event(receiver.all()[1]), proposed = event(receiver.all()[2]);
  EXPECT_EQ(advanced.find("type")->as_string(), "policy.case.throttle");
  EXPECT_EQ(advanced.find("data")->find("actor")->as_string(), "ben");
  EXPECT_EQ(proposed.find("type")->as_string(), "policy.case.proposed");
}

TEST_F(WebhooksTest, OfTwoProcessesOneSends) {
  Receiver receiver({"200 OK"});
  auto first = std::move(*open(receiver.server.url()));
  auto second = std::move(*open(receiver.server.url()));
  ASSERT_TRUE(first->work().ok());
  begin();
  EXPECT_EQ(*second->work(), 0);
  first.reset();
  EXPECT_EQ(*second->work(), 1) << "the other one takes over";
}

TEST_F(WebhooksTest, RunsByItselfAndEndsAtOnce) {
  Receiver receiver({"200 OK", ""});
  auto hooks = std::move(*open(receiver.server.url(), /*background=*/true));
  for (int i = 0; i < 500 && receiver.all().empty(); ++i) {
    if (i == 60) begin();  // its mark was set by then
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(receiver.all().size(), 1U);
}

TEST_F(WebhooksTest, OnlyItsProviderSaysWhereItLeads) {
  const auto open_with = [this](const std::string& url, const std::string& secret,
                                bool private_addresses) {
    return Webhooks::open({.folder = folder_,
                           .url = url,
                           .secret = secret,
                           .private_addresses = private_addresses,
                           .background = false});
  };
  const std::string good = "whsec_" + crypto::to_base64(kKey);
  EXPECT_FALSE(open_with("http://example.com/", good, false).ok()) << "plain http";
  EXPECT_FALSE(open_with("ftp://example.com/", good, true).ok());
  for (const char* secret : {"", "whsec_", "whsec_c2hvcnQ=", "0123456789abcdef0123456789abcdef"}) {
    EXPECT_FALSE(open_with("https://example.com/", secret, false).ok()) << secret;
  }
  const std::string longer = "whsec_" + crypto::to_base64(std::string(65, 'k'));
  EXPECT_FALSE(open_with("https://example.com/", longer, false).ok());
  // A name may lead to this machine: nothing is sent there.
  Receiver receiver({"200 OK"});
  auto hooks =
      open_with("https://localhost:" + std::to_string(receiver.server.port()) + "/", good, false);
  ASSERT_TRUE(hooks.ok()) << hooks.error().text();
  ASSERT_TRUE((*hooks)->work().ok());
  begin();
  EXPECT_EQ(*(*hooks)->work(), 0);
  EXPECT_EQ(receiver.server.connections(), 0);
  EXPECT_EQ(*(*hooks)->waiting(), 1);
}

}  // namespace
}  // namespace retort::provider
