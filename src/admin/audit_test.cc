// The audit as it is looked at over HTTP: a decision is in it, and its proofs hold for whoever has
// the log's key alone.
#include <gmock/gmock.h>

#include "admin/testing_internal.h"
#include "crypto/hash.h"
#include "ledger/ledger.h"
#include "provider/audit.h"

namespace retort::admin {
namespace {

using ::testing::HasSubstr;

class AdminAuditTest : public AdminTest {
 protected:
  void SetUp() override {
    AdminTest::SetUp();
    audit_ = std::move(
        *provider::Audit::open(folder_, base::join(folder_, "accounts.db"), &base::system_clock()));
    start();
  }
  void TearDown() override {
    audit_.reset();
    AdminTest::TearDown();
  }
  std::vector<json::Value> lines(const std::string& query) {
    const Got got = get("audit?" + query);
    EXPECT_EQ(got.status, 200) << got.body;
    std::vector<json::Value> out;
    const json::Value page = got.json();
    for (const auto& one : page.find("lines")->as_array()) {
      out.push_back(*json::parse(*one.string_at("text")));
      out.back().set("entry", *one.int_at("entry"));
    }
    return out;
  }
  static std::vector<ledger::Digest> path_of(const json::Value& proof) {
    std::vector<ledger::Digest> out;
    for (const auto& one : proof.find("path")->as_array()) {
      ledger::Digest digest{};
      for (size_t i = 0; i < digest.size(); ++i) {
        digest[i] = static_cast<uint8_t>(std::stoul(one.as_string().substr(2 * i, 2), nullptr, 16));
      }
      out.push_back(digest);
    }
    return out;
  }

  std::unique_ptr<provider::Audit> audit_;
};

TEST_F(AdminAuditTest, ADecisionIsInItWithWhoWhatBeforeAndAfter) {
  const std::string id = begin(policy::Step::throttle);
  ASSERT_EQ(post("cases/" + id + "/decide", R"({"decision": "lift", "reason": "a school"})").status,
            200);
  ASSERT_TRUE(audit_->work().ok());
  const auto of_case = lines("case=" + id + "&kind=case");
  ASSERT_FALSE(of_case.empty());
  EXPECT_EQ(*of_case[0].string_at("what"), "decided: lift");
  EXPECT_EQ(*of_case[0].string_at("actor"), actor_);
  EXPECT_EQ(*of_case[0].string_at("reason"), "a school");
  const auto of_account = lines("case=" + id + "&kind=account");
  ASSERT_EQ(of_account.size(), 1U);
  EXPECT_EQ(*of_account[0].string_at("before"), "throttle, open");
  EXPECT_EQ(*of_account[0].string_at("after"), "throttle, lifted");
  EXPECT_EQ(*of_account[0].string_at("account"), account_);
}

TEST_F(AdminAuditTest, AProofHoldsWithTheLogsKeyAlone) {
  ASSERT_TRUE(audit_->work().ok());
  ASSERT_TRUE(book_->suspend(account_, "unpaid", "", "ann").ok());
  ASSERT_TRUE(audit_->work().ok());
  const auto newest = lines("most=1");
  ASSERT_EQ(newest.size(), 1U);
  EXPECT_EQ(*newest[0].string_at("what"), "suspended");
  const std::string entry = std::to_string(*newest[0].int_at("entry"));
  const json::Value shown = get("audit/entries/" + entry).json();
  const ledger::Proof proof{*shown.int_at("index"), *shown.string_at("entry"), path_of(shown),
                            *shown.string_at("checkpoint")};
  const auto bytes = *crypto::from_base64(*shown.string_at("public_key"));
  crypto::PublicKey key{};
  ASSERT_EQ(bytes.size(), key.size());
  std::copy(bytes.begin(), bytes.end(), key.begin());
  EXPECT_TRUE(ledger::verify_proof(proof, *shown.string_at("origin"), key).ok());
  const Got segment = get("audit/segments/" + entry);
  EXPECT_THAT(proof.entry, HasSubstr(crypto::sha256_hex(segment.body)));
  EXPECT_THAT(segment.body, HasSubstr("unpaid"));
  EXPECT_EQ(get("audit/entries/99").status, 404);
  EXPECT_EQ(get("audit/entries/x").status, 400);
}

TEST_F(AdminAuditTest, GrowthIsProvedAndARolledBackLogIsNone) {
  ASSERT_TRUE(audit_->work().ok());
  const std::string before = *get("audit/checkpoint").json().string_at("checkpoint");
  for (int i = 0; i < 5; ++i) {
    const accounts::Change change{0, "ann", account_, "x", "", ""};
    ASSERT_TRUE(book_->note(account_, change).ok());
    ASSERT_TRUE(audit_->work().ok());
  }
  const json::Value growth = get("audit/growth?old=1").json();
  const json::Value shown = get("audit/checkpoint").json();
  const auto bytes = *crypto::from_base64(*shown.string_at("public_key"));
  crypto::PublicKey key{};
  std::copy(bytes.begin(), bytes.end(), key.begin());
  const std::string origin = *shown.string_at("origin");
  const auto old_one = *ledger::open_checkpoint(before, origin, key);
  const auto now = *ledger::open_checkpoint(*growth.string_at("checkpoint"), origin, key);
  EXPECT_EQ(old_one.head.size, 1);
  EXPECT_EQ(now.head.size, 6);
  EXPECT_TRUE(ledger::verify_consistency(old_one.head, now.head, path_of(growth)));
  EXPECT_EQ(get("audit/growth?old=7").status, 404) << "the log never had so many";
  EXPECT_EQ(get("audit/growth").status, 400);
}

TEST_F(AdminAuditTest, WhatWasChangedAfterwardsIsNotProved) {
  ASSERT_TRUE(audit_->work().ok());
  EXPECT_EQ(post("audit/verify", "{}").status, 200);
  const std::string folder = base::join(folder_, "audit");
  const auto names = *base::list_directory(folder);
  for (const auto& name : names) {
    if (name.starts_with("open-") || !name.ends_with(".jsonl")) continue;
    auto content = *base::read_file(base::join(folder, name));
    const size_t at = content.find("created");
    if (at == std::string::npos) continue;
    content.replace(at, 7, "crEated");
    ASSERT_TRUE(base::write_file_atomic(base::join(folder, name), content).ok());
  }
  EXPECT_EQ(get("audit").error(), "damaged");
  EXPECT_EQ(get("audit/entries/0").error(), "damaged");
  EXPECT_EQ(get("audit/segments/0").error(), "damaged");
  EXPECT_EQ(post("audit/verify", "{}").error(), "damaged");
}

TEST_F(AdminAuditTest, PagesGoBackwardsThroughEverySegmentOnce) {
  for (int i = 0; i < 20; ++i) {
    audit_->add({.time_ms = i, .request = "req_" + std::to_string(i), .account = account_});
    if (i % 3 == 0) {
      ASSERT_TRUE(audit_->seal().ok());
    }
  }
  ASSERT_TRUE(audit_->seal().ok());
  std::vector<std::string> seen;
  std::string next;
  do {
    const Got got = get("audit?kind=request&most=7" + (next.empty() ? "" : "&before=" + next));
    ASSERT_EQ(got.status, 200) << got.body;
    const json::Value page = got.json();
    for (const auto& one : page.find("lines")->as_array()) {
      seen.push_back(*json::parse(*one.string_at("text"))->string_at("request"));
    }
    next = page.find("next")->is_null() ? "" : page.find("next")->as_string();
  } while (!next.empty());
  ASSERT_EQ(seen.size(), 20U);
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], "req_" + std::to_string(19 - i));
  for (const char* wrong :
       {"before=x", "before=1", "most=0", "most=501", "kind=%3Cb%3E", "kind=a&kind=b"}) {
    EXPECT_EQ(get(std::string("audit?") + wrong).status, 400) << wrong;
  }
}

}  // namespace
}  // namespace retort::admin
