#include "provider/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "accounts/cases.h"
#include "base/files.h"
#include "http/raw_testing.h"
#include "http/server.h"
#include "provider/segments_internal.h"

namespace retort::provider {
namespace {

using ::testing::HasSubstr;

class AuditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/audit_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    book_ = std::move(*accounts::Book::open(base::join(folder_, "accounts.db")));
    account_ = book_->create({.name = "Example Ltd"}, "ann")->id;
    audit_ = open();
  }
  void TearDown() override {
    audit_.reset();
    (void)base::remove_all(folder_);
  }
  std::unique_ptr<Audit> open() {
    return std::move(*Audit::open(folder_, base::join(folder_, "accounts.db"), &clock_));
  }
  void served(int i) {
    audit_->add({.time_ms = i,
                 .request = "req_" + std::to_string(i),
                 .account = account_,
                 .outcome = "answered",
                 .output_tokens = 5});
  }
  // Lines of a kind, as "request" or "what".
  std::vector<std::string> lines(const std::string& kind, const char* member) {
    std::vector<std::string> out;
    const auto read = read_audit(folder_, [&](const json::Value& line) -> Result<void> {
      if (*line.string_at("kind") == kind) out.push_back(*line.string_at(member));
      return {};
    });
    if (!read) out.push_back(read.error().text());
    return out;
  }
  std::vector<std::string> files() {
    std::vector<std::string> out;
    const auto names = *base::list_directory(base::join(folder_, "audit"));
    for (const auto& name : names) {
      if (name.ends_with(".jsonl") && !name.starts_with("open-")) {
        out.push_back(base::join(base::join(folder_, "audit"), name));
      }
    }
    return out;
  }

  base::ManualClock clock_;
  std::string folder_, account_;
  std::unique_ptr<accounts::Book> book_;
  std::unique_ptr<Audit> audit_;
};

TEST_F(AuditTest, RequestsAndChangesComeInAndStay) {
  served(1);
  served(2);
  ASSERT_TRUE(audit_->work().ok());
  EXPECT_THAT(lines("request", "request"), ::testing::ElementsAre("req_1", "req_2"));
  EXPECT_THAT(lines("account", "what"), ::testing::ElementsAre("created"));
  ASSERT_TRUE(book_->suspend(account_, "unpaid", "", "ben").ok());
  ASSERT_TRUE(audit_->work().ok());
  EXPECT_THAT(lines("account", "what"), ::testing::ElementsAre("created", "suspended"));
  EXPECT_THAT(lines("account", "actor"), ::testing::ElementsAre("ann", "ben"));
}

TEST_F(AuditTest, RequestsOfNobodyAreALineAMinuteHoweverManyThereAre) {
  ASSERT_TRUE(audit_->work().ok());
  for (int i = 0; i < 10'000; ++i) audit_->count_nameless("invalid_api_key");
  audit_->count_nameless("unknown_url");
  clock_.sleep_ms(59'000);
  ASSERT_TRUE(audit_->work().ok());
  EXPECT_THAT(lines("nameless", "outcome"), ::testing::IsEmpty());
  clock_.sleep_ms(1'000);
  ASSERT_TRUE(audit_->work().ok());
  audit_->count_nameless("invalid_api_key");
  ASSERT_TRUE(audit_->seal().ok());  // what the door ends with is not lost
  std::vector<std::pair<std::string, int64_t>> seen;
  ASSERT_TRUE(read_audit(folder_, [&](const json::Value& line) -> Result<void> {
                if (*line.string_at("kind") != "nameless") return {};
                seen.emplace_back(*line.string_at("outcome"), *line.int_at("requests"));
                return {};
              }).ok());
  EXPECT_THAT(seen,
              ::testing::ElementsAre(std::pair{"invalid_api_key", 10'000},
                                     std::pair{"unknown_url", 1}, std::pair{"invalid_api_key", 1}));
}

TEST_F(AuditTest, SealsInAMinuteWhatNothingElseSeals) {
  ASSERT_TRUE(audit_->work().ok());
  served(1);
  clock_.sleep_ms(59'000);
  ASSERT_TRUE(audit_->work().ok());
  EXPECT_TRUE(lines("request", "request").empty());
  clock_.sleep_ms(1'000);
  ASSERT_TRUE(audit_->work().ok());
  EXPECT_EQ(lines("request", "request").size(), 1U);
}

TEST_F(AuditTest, AProcessThatWasKilledLosesNoLine) {
  served(1);
  served(2);
  // As a kill leaves it: the file is there, cut in its last line, and nobody holds it.
  const std::string left = base::join(folder_, "audit/open-999999999-0.jsonl");
  ASSERT_TRUE(
      base::write_file_atomic(left, "{\"kind\":\"request\",\"request\":\"req_9\"}\n{\"kin").ok());
  const auto second = open();
  EXPECT_THAT(lines("request", "request"), ::testing::ElementsAre("req_9"));
  EXPECT_FALSE(base::exists(left));
  ASSERT_TRUE(audit_->seal().ok()) << "what a living process holds was left alone";
  EXPECT_THAT(lines("request", "request"), ::testing::ElementsAre("req_9", "req_1", "req_2"));
}

TEST_F(AuditTest, EditsCutsAndMissingSegmentsAreFound) {
  served(1);
  served(2);
  ASSERT_TRUE(audit_->work().ok());
  const std::string file = files().front();
  const std::string content = *base::read_file(file);
  std::string edited = content;
  edited[edited.find("req_1") + 4] = '3';
  for (const std::string& other :
       {edited, content.substr(0, content.size() - 10), content + content}) {
    ASSERT_TRUE(base::write_file_atomic(file, other).ok());
    EXPECT_THAT(lines("request", "request").back(), HasSubstr("changed after it was sealed"));
  }
  ASSERT_EQ(::unlink(file.c_str()), 0);
  EXPECT_THAT(lines("request", "request").back(), HasSubstr("is gone"));
  ASSERT_TRUE(base::write_file_atomic(file, content).ok());
  EXPECT_EQ(lines("request", "request").size(), 2U);
}

TEST_F(AuditTest, ManyThreadsWriteWholeLines) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 200; ++i) served(t * 1000 + i);
    });
  }
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(audit_->seal().ok());
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(audit_->seal().ok());
  const auto all = lines("request", "request");
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 800U);
}

// What is in the files of the audit at this moment, sealed or not.
std::string everything_in(const std::string& folder) {
  std::string out;
  const auto names = *base::list_directory(folder);
  for (const auto& name : names) {
    if (name.ends_with(".jsonl")) out += *base::read_file(base::join(folder, name));
  }
  return out;
}

TEST_F(AuditTest, ALineIsWithTheSystemBeforeItsAnswerLeaves) {
  std::atomic<int> number{0};
  const auto server = std::move(*http::Server::start(
      {}, [&](const http::ServerRequest&, const std::shared_ptr<http::Responder>& responder) {
        const int mine = ++number;
        served(mine);
        responder->reply({200, {}, "<req_" + std::to_string(mine) + ">"});
      }));
  constexpr int kTogether = 3;
  std::string requests;
  for (int i = 0; i < kTogether; ++i) requests += "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      auto socket = http::RawSocket::connect(server->port());
      for (int round = 0; round < 25; ++round) {
        socket.write(requests);
        std::string got;
        while (std::count(got.begin(), got.end(), '>') < kTogether) {
          ASSERT_TRUE(socket.read_some(got, 5000)) << got;
          const size_t begin = got.rfind('<');
          if (begin == std::string::npos || got.find('>', begin) == std::string::npos) continue;
          const std::string id = got.substr(begin + 1, got.find('>', begin) - begin - 1);
          EXPECT_THAT(everything_in(base::join(folder_, "audit")),
                      ::testing::HasSubstr('"' + id + '"'));
        }
      }
    });
  }
  for (auto& one : clients) one.join();
}

TEST(LineTest, IsWhatAnObjectPrints) {
  const std::string odd = "q\"b\\n\n\x01 \u00e9 \xff end";
  std::string out = "before";
  Line(out)
      .digits("d", "09af")
      .text("odd", odd)
      .number("n", INT64_MIN)
      .text("", "")
      .number("m", 0)
      .end();
  const auto object = json::Value::object(
      {{"d", "09af"}, {"odd", odd}, {"n", int64_t{INT64_MIN}}, {"", ""}, {"m", 0}});
  EXPECT_EQ(out, "before" + json::dump(object) + "\n");
}

TEST_F(AuditTest, ChangesAreFollowedThroughARestart) {
  ASSERT_TRUE(audit_->work().ok());
  audit_.reset();
  ASSERT_TRUE(book_->suspend(account_, "unpaid", "", "ben").ok());
  audit_ = open();
  ASSERT_TRUE(audit_->work().ok());
  EXPECT_THAT(lines("account", "what"), ::testing::ElementsAre("created", "suspended"));
}

}  // namespace
}  // namespace retort::provider
