#include "accounts/book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files.h"
#include "store/database.h"

namespace retort::accounts {
namespace {

using ::testing::HasSubstr;

class BookTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/book_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    book_ = open();
    account_ = *book_->create({.name = "Example Ltd", .organisation = "example"}, "ann");
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  std::string path() const { return base::join(folder_, "accounts.db"); }
  std::unique_ptr<Book> open() { return std::move(*Book::open(path(), {.clock = &clock_})); }
  IssuedKey issue(KeyLimits limits = {}) {
    return *book_->issue({.account = account_.id, .label = "ci", .limits = std::move(limits)},
                         "ann");
  }

  std::string folder_;
  base::ManualClock clock_;
  std::unique_ptr<Book> book_;
  Account account_;
};

TEST_F(BookTest, AKeyStandsForItsAccount) {
  const auto issued = issue({.scopes = {"chat"}, .models = {"small-*"}, .addresses = {"::1"}});
  const auto found = *book_->find(issued.secret);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->account.id, account_.id);
  EXPECT_EQ(found->account.training, Training::forbidden);
  EXPECT_EQ(found->key.id, issued.key.id);
  EXPECT_EQ(found->key.limits, issued.key.limits);
}

TEST_F(BookTest, TheKeyItselfIsNowhereInTheFile) {
  const auto issued = issue();
  book_.reset();
  const auto bytes = *base::read_file(path());
  EXPECT_EQ(bytes.find(issued.secret), std::string::npos);
  EXPECT_EQ(bytes.find(issued.secret.substr(7, 12)), std::string::npos);
}

TEST_F(BookTest, UnknownMalformedRevokedAndExpiredAreAlike) {
  const auto expiring = issue({.expires_ms = clock_.wall_ms() + 1000});
  const auto revoked = issue();
  ASSERT_TRUE(book_->find(expiring.secret)->has_value());
  ASSERT_TRUE(book_->revoke(revoked.key.id, "ann").ok());
  clock_.sleep_ms(1000);
  for (const auto& secret : {expiring.secret, revoked.secret, make_key(KeyKind::api),
                             std::string("rt_api_x"), std::string()}) {
    const auto found = book_->find(secret);
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(found->has_value()) << secret;
  }
}

TEST_F(BookTest, RotationOverlapsAndKeepsLimitsAndHistory) {
  const auto old = issue({.models = {"small"}});
  const auto made = *book_->rotate(old.key.id, 5000, "bob");
  EXPECT_NE(made.secret, old.secret);
  EXPECT_EQ(made.key.limits, old.key.limits);
  EXPECT_TRUE(book_->find(old.secret)->has_value());
  EXPECT_TRUE(book_->find(made.secret)->has_value());
  clock_.sleep_ms(5000);
  EXPECT_FALSE(book_->find(old.secret)->has_value());
  EXPECT_TRUE(book_->find(made.secret)->has_value());
  EXPECT_EQ(book_->rotate(old.key.id, 0, "bob").error().code, ErrorCode::usage);
  const auto keys = *book_->keys(account_.id);
  ASSERT_EQ(keys.size(), 2U);
  const auto history = *book_->history(account_.id);
  ASSERT_EQ(history.size(), 4U);
  EXPECT_EQ(history[0].what, "created");
  EXPECT_EQ(history[3].what, "key rotated");
  EXPECT_EQ(history[3].actor, "bob");
  EXPECT_EQ(history[3].after, made.key.id);
}

TEST_F(BookTest, SuspensionNeedsAReasonAndIsSeenByAnotherProcess) {
  const auto issued = issue();
  auto server = open();  // another connection
  const auto before = *server->version();
  EXPECT_THAT(book_->suspend(account_.id, "", "", "ann").error().text(), HasSubstr("reason"));
  ASSERT_TRUE(book_->suspend(account_.id, "harvested the model", "case_1", "ann").ok());
  EXPECT_NE(*server->version(), before);
  const auto found = *server->find(issued.secret);
  ASSERT_TRUE(found) << "a suspended account is told why";
  EXPECT_EQ(found->account.state, State::suspended);
  EXPECT_EQ(found->account.case_id, "case_1");
  EXPECT_THAT(book_->suspend(account_.id, "again", "", "ann").error().text(),
              HasSubstr("is not active"));
  ASSERT_TRUE(book_->reinstate(account_.id, "the appeal was right", "ann").ok());
  EXPECT_EQ(server->find(issued.secret)->value().account.state, State::active);
  const auto history = *book_->history(account_.id);
  EXPECT_EQ(history.back().what, "reinstated");
  EXPECT_EQ(history.back().before, "suspended");
}

TEST_F(BookTest, RefusesWhatCannotBe) {
  EXPECT_EQ(book_->create({.name = ""}, "ann").error().code, ErrorCode::usage);
  EXPECT_EQ(book_->create({.name = "two\nlines"}, "ann").error().code, ErrorCode::usage);
  EXPECT_EQ(book_->create({.name = std::string(2000, 'x')}, "ann").error().code, ErrorCode::usage);
  EXPECT_EQ(book_->account("acct_x").error().code, ErrorCode::not_found);
  EXPECT_EQ(book_->issue({.account = "acct_x"}, "ann").error().code, ErrorCode::not_found);
  EXPECT_THAT(
      book_->issue({.account = account_.id, .limits = {.addresses = {"10.0.0.0/64"}}}, "ann")
          .error()
          .text(),
      HasSubstr("10.0.0.0/64"));
  EXPECT_EQ(book_->revoke("key_x", "ann").error().code, ErrorCode::not_found);
  EXPECT_EQ(Book::open(base::join(folder_, "none.db"), {.create = false}).error().code,
            ErrorCode::not_found);
}

TEST_F(BookTest, ANewerOrDamagedBookIsRefused) {
  {
    auto database = *store::Database::open(path());
    ASSERT_TRUE(database->execute("UPDATE meta SET value = 9 WHERE key = 'schema'").ok());
  }
  EXPECT_THAT(Book::open(path()).error().text(), HasSubstr("schema 9"));
  ASSERT_TRUE(base::write_file_atomic(path(), std::string(5000, 'x')).ok());
  EXPECT_EQ(Book::open(path()).error().code, ErrorCode::storage);
}

}  // namespace
}  // namespace retort::accounts
