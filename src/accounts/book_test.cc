#include "accounts/book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "accounts/stores_testing_internal.h"
#include "base/files.h"
#include "store/cutting_proxy_testing.h"
#include "store/database.h"

namespace retort::accounts {
namespace {

using ::testing::HasSubstr;

class BookTest : public StoresTest {
 protected:
  void SetUpStore() override {
    address_ = store_address(GetParam(), base::join(folder_, "accounts.db"));
    book_ = open();
    account_ = *book_->create({.name = "Example Ltd", .organisation = "example"}, "ann");
  }

  std::unique_ptr<Book> open() { return std::move(*Book::open(address_, {.clock = &clock_})); }
  IssuedKey issue(KeyLimits limits = {}) {
    return *book_->issue({.account = account_.id, .label = "ci", .limits = std::move(limits)},
                         "ann");
  }

  std::string address_;
  base::ManualClock clock_;
  std::unique_ptr<Book> book_;
  Account account_;
};
RETORT_OVER_BOTH_STORES(BookTest);

TEST_P(BookTest, AKeyStandsForItsAccount) {
  const auto issued = issue({.scopes = {"chat"}, .models = {"small-*"}, .addresses = {"::1"}});
  const auto found = *book_->find(issued.secret);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->account.id, account_.id);
  EXPECT_EQ(found->account.training, Training::forbidden);
  EXPECT_EQ(found->key.id, issued.key.id);
  EXPECT_EQ(found->key.limits, issued.key.limits);
}

TEST_P(BookTest, WhoPaysIsKnownToTheKeyAndMayChange) {
  EXPECT_EQ(account_.payer, "");
  const auto issued = issue();
  EXPECT_EQ((*book_->find(issued.secret))->account.payer, "");
  const auto version = *book_->version();
  ASSERT_TRUE(book_->set_payer(account_.id, "card-1", "ann").ok());
  clock_.sleep_ms(1'000);
  EXPECT_GT(*open()->version(), version) << "servers look again";
  ASSERT_TRUE(book_->set_payer(account_.id, "card-2", "ben").ok());
  EXPECT_EQ((*book_->find(issued.secret))->account.payer, "card-2");
  EXPECT_EQ(book_->account(account_.id)->payer, "card-2");
  const auto other = *book_->create({.name = "Other", .payer = "card-2"}, "ann");
  EXPECT_EQ(book_->account(other.id)->payer, "card-2");
  EXPECT_EQ(book_->list()->size(), 2U);
  const auto history = *book_->history(account_.id);
  EXPECT_EQ(history.back().what + history.back().before + history.back().after,
            "payercard-1card-2");
  EXPECT_EQ(book_->set_payer("acct_nobody", "card-1", "ann").error().code, ErrorCode::not_found);
  EXPECT_FALSE(book_->set_payer(account_.id, "two\nlines", "ann").ok());
}

TEST_P(BookTest, TheKeyItselfIsNowhereInTheFile) {
  if (is_server()) GTEST_SKIP() << "the tables are the same";
  const auto issued = issue();
  book_.reset();
  const auto bytes = *base::read_file(address_);
  EXPECT_EQ(bytes.find(issued.secret), std::string::npos);
  EXPECT_EQ(bytes.find(issued.secret.substr(7, 12)), std::string::npos);
}

TEST_P(BookTest, UnknownMalformedRevokedAndExpiredAreAlike) {
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

TEST_P(BookTest, RotationOverlapsAndKeepsLimitsAndHistory) {
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

TEST_P(BookTest, SuspensionNeedsAReasonAndIsSeenByAnotherProcess) {
  const auto issued = issue();
  auto server = open();  // another connection
  const auto before = *server->version();
  EXPECT_THAT(book_->suspend(account_.id, "", "", "ann").error().text(), HasSubstr("reason"));
  ASSERT_TRUE(book_->suspend(account_.id, "harvested the model", "case_1", "ann").ok());
  base::system_clock().sleep_ms(20);  // a server is asked at most every 10 ms
  const auto after = *server->version();
  EXPECT_NE(after, before);
  base::system_clock().sleep_ms(20);
  EXPECT_EQ(*server->version(), after);
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

TEST_P(BookTest, RefusesWhatCannotBe) {
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

// The history is in the order in which its changes were made, whoever made them, and whoever
// follows it row by row misses none.
TEST_P(BookTest, ChangesOfManyFollowOneAnother) {
  constexpr int kThreads = 4, kChanges = 15;
  std::atomic<int> left{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      auto own = open();
      for (int i = 0; i < kChanges; ++i) {
        EXPECT_TRUE(own->issue({.account = account_.id}, std::to_string(t)).ok());
      }
      --left;
    });
  }
  int64_t row = 0, count = 0;
  for (bool is_last = false; !is_last;) {
    is_last = left == 0;
    const auto changes = *book_->changes_after(row, 1000);
    count += std::ssize(changes);
    for (const auto& one : changes) row = one.row;
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, 1 + kThreads * kChanges);
}

// Of a change whose answer is lost it is read back whether it was made.
TEST(BookServerTest, NothingIsDoneTwiceWhenAnswersAreLost) {
  auto* cluster = store::TestCluster::get();
  if (cluster == nullptr) GTEST_SKIP() << "PostgreSQL's programs are not installed";
  const std::string address = cluster->fresh();
  std::atomic<int> commits = 0;  // each connection has a thread
  store::CuttingProxy proxy(cluster->socket_folder(), [&commits] {
    constexpr store::Cut kTurns[] = {store::Cut::after, store::Cut::before, store::Cut::late};
    const int before = commits++;
    return before == 0 ? store::Cut::none : kTurns[(before + 1) % 3];
  });
  const std::string through =
      store::TestCluster::address_at(proxy.folder(), address.substr(14, address.find('?') - 14));
  auto book = std::move(*Book::open(through));
  size_t made = 0;
  for (int i = 0; i < 9; ++i) {
    const auto done = book->create({.name = "Example Ltd"}, "ann");
    if (done) {
      ++made;
      EXPECT_EQ(book->account(done->id)->id, done->id);
      EXPECT_EQ(book->history(done->id)->size(), 1U);
    } else {
      EXPECT_THAT(done.error().text(), HasSubstr("nothing was changed"));
    }
  }
  EXPECT_EQ(made, 6U) << "of three one does not arrive";
  EXPECT_EQ(book->list()->size(), made);
}

TEST_P(BookTest, ANewerOrDamagedBookIsRefused) {
  {
    auto database = *store::Database::open(address_);
    ASSERT_TRUE(database->execute("UPDATE meta SET value = 9 WHERE key = 'schema'").ok());
  }
  EXPECT_THAT(Book::open(address_).error().text(), HasSubstr("schema 9"));
  if (is_server()) return;
  ASSERT_TRUE(base::write_file_atomic(address_, std::string(5000, 'x')).ok());
  EXPECT_EQ(Book::open(address_).error().code, ErrorCode::storage);
}

}  // namespace
}  // namespace retort::accounts
