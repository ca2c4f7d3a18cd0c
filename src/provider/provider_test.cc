#include "provider/provider.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/files.h"
#include "provider/refusals_internal.h"

namespace retort::provider {
namespace {

using accounts::Resource;
using accounts::Window;
using ::testing::HasSubstr;

class ProviderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/provider_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    book_ = std::move(*accounts::Book::open(base::join(folder_, "accounts.db")));
    account_ = *book_->create({.name = "Example Ltd", .organisation = "example"}, "ann");
    secret_ = issue({});
  }
  void TearDown() override {
    provider_.reset();
    (void)base::remove_all(folder_);
  }

  std::string issue(accounts::KeyLimits limits, accounts::KeyKind kind = accounts::KeyKind::api) {
    return "Bearer " +
           book_->issue({.account = account_.id, .kind = kind, .limits = std::move(limits)}, "ann")
               ->secret;
  }
  void limit(const std::string& subject, Resource resource, Window window, int64_t most) {
    auto quotas = *accounts::Quotas::open(folder_, {.background = false});
    ASSERT_TRUE(quotas->set_limit({subject, resource, window, most}).ok());
  }
  Provider& provider() {
    if (!provider_) {
      provider_ = std::move(
          *Provider::open({.folder = folder_, .prices = {{"small", {150'000, 600'000}}}}));
    }
    return *provider_;
  }
  Outcome<Visitor> identify(const std::string& secret, const std::string& scope = "chat",
                            const std::string& address = "127.0.0.1") {
    return provider().identify({.authorization = secret, .address = address, .scope = scope});
  }
  Outcome<Ticket> admit(const Wish& wish) {
    auto visitor = identify(secret_);
    EXPECT_TRUE(std::holds_alternative<Visitor>(visitor));
    return provider().admit(std::get<Visitor>(visitor), wish);
  }
  static std::string header(const http::Headers& headers, std::string_view name) {
    const auto* found = http::find_header(headers, name);
    return found == nullptr ? "" : *found;
  }
  static Refused refusal(Outcome<Visitor> outcome) { return std::get<Refused>(outcome); }
  static Refused refusal(Outcome<Ticket> outcome) { return std::move(std::get<Refused>(outcome)); }

  std::string folder_, secret_;
  std::unique_ptr<accounts::Book> book_;
  accounts::Account account_;
  std::unique_ptr<Provider> provider_;
};

TEST_F(ProviderTest, WhatOpensNothingIsAlike) {
  EXPECT_EQ(refusal(identify("")).error.status, 401);
  const auto unknown = refusal(identify("Bearer " + accounts::make_key(accounts::KeyKind::api)));
  const auto malformed = refusal(identify("Bearer sk-1"));
  const auto admin = refusal(identify(issue({}, accounts::KeyKind::admin)));
  const auto basic = refusal(identify("Basic " + secret_.substr(7)));
  for (const auto* one : {&malformed, &admin, &basic}) EXPECT_EQ(one->error, unknown.error);
  EXPECT_EQ(unknown.error.status, 401);
  EXPECT_EQ(unknown.error.code, "invalid_api_key");
  EXPECT_EQ(unknown.error.message.find("sk-1"), std::string::npos);
  EXPECT_TRUE(std::holds_alternative<Visitor>(identify(secret_)));
}

TEST_F(ProviderTest, OneLookAtTheBookCountsForATurnAndNoLonger) {
  constexpr int64_t kNever = 3'600'000;  // of its own accord
  provider_ = std::move(*Provider::open({.folder = folder_, .look_ms = kNever}));
  const auto is_in = [&](uint64_t turn) {
    auto who = provider().identify({.authorization = secret_, .scope = "chat", .turn = turn});
    return std::holds_alternative<Visitor>(who);
  };
  EXPECT_TRUE(is_in(7));
  ASSERT_TRUE(book_->suspend(account_.id, "for a test", "", "ann").ok());
  EXPECT_TRUE(is_in(7)) << "it had arrived before";
  EXPECT_FALSE(is_in(8)) << "it may have been sent after the suspension was acknowledged";
  ASSERT_TRUE(book_->reinstate(account_.id, "for a test", "ann").ok());
  EXPECT_FALSE(is_in(8));
  EXPECT_TRUE(is_in(0)) << "one that stands alone asks for itself";
  ASSERT_TRUE(book_->suspend(account_.id, "for a test", "", "ann").ok());
  EXPECT_FALSE(is_in(0));
  EXPECT_FALSE(is_in(8));
}

TEST_F(ProviderTest, MetricsAreForTheAdministrationAlone) {
  const auto admin = issue({}, accounts::KeyKind::admin);
  EXPECT_TRUE(std::holds_alternative<Visitor>(identify(admin, "metrics")));
  EXPECT_EQ(refusal(identify(secret_, "metrics")).error.status, 401);
}

TEST_F(ProviderTest, AKeysOwnBounds) {
  const auto key = issue({.scopes = {"chat"}, .models = {"small*"}, .addresses = {"10.0.0.0/8"}});
  EXPECT_EQ(refusal(identify(key)).error.code, "ip_not_authorized");
  EXPECT_EQ(refusal(identify(key, "completions", "10.1.1.1")).error.code, "endpoint_not_allowed");
  auto visitor = identify(key, "chat", "10.1.1.1");
  ASSERT_TRUE(std::holds_alternative<Visitor>(visitor));
  const auto& who = std::get<Visitor>(visitor);
  EXPECT_TRUE(std::holds_alternative<Ticket>(provider().admit(who, {.model = "small-2"})));
  const auto refused = refusal(provider().admit(who, {.model = "large"}));
  EXPECT_EQ(refused.error.status, 403);
  EXPECT_EQ(header(refused.headers, "x-should-retry"), "false");
}

TEST_F(ProviderTest, ASuspensionIsToldAndComesAtOnce) {
  ASSERT_TRUE(std::holds_alternative<Visitor>(identify(secret_)));
  ASSERT_TRUE(book_->suspend(account_.id, "clause 2.2(e)", "case_9", "ann").ok());
  const auto refused = refusal(identify(secret_));
  EXPECT_EQ(refused.error.status, 403);
  EXPECT_EQ(refused.error.type, "account_suspended");
  EXPECT_THAT(refused.error.message, HasSubstr("clause 2.2(e)"));
  EXPECT_THAT(openai::print_error(refused.error), HasSubstr(R"("case_id":"case_9")"));
  EXPECT_EQ(header(refused.headers, "x-should-retry"), "false");
  ASSERT_TRUE(book_->reinstate(account_.id, "the appeal was right", "ann").ok());
  EXPECT_TRUE(std::holds_alternative<Visitor>(identify(secret_)));
}

TEST_F(ProviderTest, AStreamOfASuspendedAccountIsCut) {
  auto ticket = std::move(std::get<Ticket>(admit({.model = "small", .output_tokens = 100})));
  EXPECT_TRUE(ticket.note(1));
  ASSERT_TRUE(book_->suspend(account_.id, "clause 2.2(e)", "", "ann").ok());
  for (int i = 0; i < 200 && ticket.note(2); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(ticket.note(3));
}

TEST_F(ProviderTest, LimitsRefuseWithWhatAClientNeeds) {
  limit("account:" + account_.id, Resource::requests, Window::minute, 2);
  limit("organisation:example", Resource::output_tokens, Window::minute, 1000);
  auto first = std::move(std::get<Ticket>(admit({.model = "small", .output_tokens = 400})));
  EXPECT_EQ(header(first.headers(), "x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(header(first.headers(), "x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(header(first.headers(), "x-ratelimit-remaining-tokens"), "600");
  const auto tokens = refusal(admit({.model = "small", .output_tokens = 601}));
  EXPECT_EQ(tokens.error.status, 429);
  EXPECT_EQ(tokens.error.type, "tokens");
  EXPECT_EQ(tokens.error.code, "rate_limit_exceeded");
  EXPECT_NE(header(tokens.headers, "Retry-After"), "");
  EXPECT_EQ(header(tokens.headers, "x-should-retry"), "") << "within the minute: ask again";
  const auto never = refusal(admit({.model = "small", .output_tokens = 1001}));
  EXPECT_EQ(header(never.headers, "x-should-retry"), "false") << "more than there ever is";
  EXPECT_THAT(never.error.message, HasSubstr("1,001"));
  first.finish(5, 10);
  auto second = std::move(std::get<Ticket>(admit({.model = "small", .output_tokens = 601})));
  second.finish(5, 601);
  const auto requests = refusal(admit({.model = "small", .output_tokens = 1}));
  EXPECT_EQ(requests.error.type, "requests");
}

TEST_F(ProviderTest, ALimitOfDaysSaysThatWaitingIsNoUse) {
  limit("all", Resource::requests, Window::month, 1);
  ASSERT_TRUE(std::holds_alternative<Ticket>(admit({.model = "small"})));
  const auto refused = refusal(admit({.model = "small"}));
  EXPECT_EQ(refused.error.code, "insufficient_quota");
  EXPECT_EQ(header(refused.headers, "x-should-retry"), "false");
}

TEST_F(ProviderTest, MoneyIsExactAndRoundedUp) {
  limit("all", Resource::cost_micros, Window::month, 100);
  // 0.15 and 0.60 of the unit for a million: 10 x 0.15 + 100 x 0.60 = 61.5 millionths.
  auto ticket = std::move(
      std::get<Ticket>(admit({.model = "small", .input_tokens = 10, .output_tokens = 100})));
  ticket.finish(10, 100);
  const auto refused = refusal(admit({.model = "small", .input_tokens = 10, .output_tokens = 100}));
  EXPECT_THAT(refused.error.message, HasSubstr("38 are left"));
  EXPECT_EQ(refused.error.type, "insufficient_quota");
}

TEST_F(ProviderTest, AnUnknownPriceIsRefusedWhereMoneyIsLimited) {
  ASSERT_TRUE(std::holds_alternative<Ticket>(admit({.model = "other"})));
  provider_.reset();
  limit("all", Resource::cost_micros, Window::month, 1'000'000);
  EXPECT_EQ(refusal(admit({.model = "other"})).error.code, "price_unknown");
}

TEST_F(ProviderTest, WithoutAccountsItDoesNotOpen) {
  EXPECT_EQ(Provider::open({.folder = folder_ + "/none"}).error().code, ErrorCode::not_found);
}

TEST(ResetTextTest, IsOpenAisWay) {
  EXPECT_EQ(reset_text(12), "12ms");
  EXPECT_EQ(reset_text(1000), "1s");
  EXPECT_EQ(reset_text(359'500), "6m0s");
  EXPECT_EQ(reset_text(3'660'000), "1h1m0s");
}

}  // namespace
}  // namespace retort::provider
