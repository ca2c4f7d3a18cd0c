// A withdrawal is taken back by whoever holds the key that it names, and by nothing else.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "corpus/retraction.h"
#include "crypto/dsse.h"
#include "lineage/testing_internal.h"
#include "lineage/withdrawal.h"
#include "store/database.h"
#include "terms/statement.h"

namespace retort::lineage {
namespace {

using corpus::SubjectKind;
using corpus::Withdrawal;
using corpus::WithdrawalCase;
using testing::has;
using testing::House;

crypto::EcSigningKey new_key() {
  return std::move(*crypto::EcSigningKey::generate());
}

json::Value sign(const std::string& statement, const crypto::EcSigningKey& key) {
  return terms::envelope_json(crypto::sign_envelope(crypto::kInTotoPayload, statement, key));
}

// Two doors, a model of each, and one that learnt from both.
struct TakenBackStory {
  House house;
  crypto::EcSigningKey key = new_key();
  std::string alpha, beta;
  std::string of_alpha, of_beta, of_both;

  explicit TakenBackStory(const std::string& name) : house(name) {
    alpha = house.gather("alpha", 10, "shards-a");
    house.curate("shards-a", "curated-a");
    beta = house.gather("beta", 10, "shards-b");
    house.curate("shards-b", "curated-b");
    of_alpha = train("m-alpha", "curated-a");
    of_beta = train("m-beta", "curated-b");
    house.gather("alpha", 10, "shards-c");
    house.gather("beta", 10, "shards-c");
    house.curate("shards-c", "curated-c");
    of_both = train("m-both", "curated-c");
  }
  std::string train(const std::string& name, const std::string& from) {
    return testing::train(house, name, from).model;
  }
  std::string file(const std::string& name) {
    return house.write(name + ".gguf", "weights of " + name);
  }
  Withdrawal ended(const std::string& terms) const {
    return {.why = WithdrawalCase::account_ended,
            .kind = SubjectKind::terms,
            .id = terms,
            .holder = key.public_key().to_pem(),
            .reason = "the grant is over",
            .by = "N"};
  }
  // Of terms; its entry.
  Withdrawal withdrawn(const std::string& terms) {
    const auto done = withdraw(*house.log, ended(terms));
    EXPECT_TRUE(done.ok()) << (done ? "" : done.error().text());
    return done->withdrawal;
  }
  std::string statement(const Withdrawal& withdrawal) const {
    return corpus::retraction_text(*house.log, withdrawal, {.reason = "a mistake", .by = "M"});
  }
  State state(const std::string& model) {
    const auto standings = Standings::read(*house.log);
    EXPECT_TRUE(standings.ok()) << (standings ? "" : standings.error().text());
    return standings ? (*standings->find(model))->state : State::clear;
  }
  bool may_train(const std::string& from) {
    return house.clear().clear<testing::TrainGenerative>(house.selection("train", from)).ok();
  }
  // What was withdrawn is still out of use.
  void expect_withdrawn(const std::string& why) {
    EXPECT_EQ(state(of_alpha), State::frozen) << why;
    EXPECT_FALSE(check_usable(*house.log, file("m-alpha"), "serve").ok()) << why;
    EXPECT_FALSE(may_train("curated-a")) << why;
  }
};

TEST(TakeBackTest, ItsHolderTakesItBackWithWhatFollowedFromItAlone) {
  TakenBackStory story("holder");
  auto& house = story.house;
  const auto first = story.withdrawn(story.alpha);
  story.expect_withdrawn("before");
  const auto second = story.withdrawn(story.beta);
  EXPECT_EQ(story.state(story.of_both), State::frozen);
  const auto done = take_back(*house.log, first.entry, sign(story.statement(first), story.key));
  ASSERT_TRUE(done.ok()) << done.error().text();
  ASSERT_EQ(done->cleared.size(), 1u);
  EXPECT_EQ(done->cleared[0].model, story.of_alpha);
  ASSERT_EQ(done->barred.size(), 1u);
  EXPECT_EQ(done->barred[0].model.name, story.of_both);
  EXPECT_EQ(story.state(story.of_alpha), State::clear);
  EXPECT_TRUE(check_usable(*house.log, story.file("m-alpha"), "serve").ok());
  EXPECT_TRUE(story.may_train("curated-a"));
  EXPECT_FALSE(story.may_train("curated-b"));
  // The other one concerns these as well.
  EXPECT_EQ(story.state(story.of_both), State::frozen);
  EXPECT_EQ(story.state(story.of_beta), State::frozen);
  const auto then = take_back(*house.log, second.entry, sign(story.statement(second), story.key));
  ASSERT_TRUE(then.ok()) << then.error().text();
  EXPECT_EQ(then->cleared.size(), 2u);
  EXPECT_EQ(story.state(story.of_both), State::clear);
  EXPECT_TRUE(house.log->verify().ok());
  EXPECT_TRUE(house.log->verify_tiles().ok());
}

// It is another entry: the old statement says nothing of it.
TEST(TakeBackTest, WithdrawnOnceMoreItStandsAndTheOldStatementDoesNotTakeItBack) {
  TakenBackStory story("again");
  auto& house = story.house;
  const auto first = story.withdrawn(story.alpha);
  const auto old = sign(story.statement(first), story.key);
  ASSERT_TRUE(take_back(*house.log, first.entry, old).ok());
  EXPECT_EQ(take_back(*house.log, first.entry, old).error().code, ErrorCode::usage);
  const auto again = story.withdrawn(story.alpha);
  EXPECT_GT(again.entry, first.entry);
  story.expect_withdrawn("withdrawn once more");
  EXPECT_EQ(story.withdrawn(story.alpha).entry, again.entry) << "twice is one entry";
  const auto replayed = take_back(*house.log, again.entry, old);
  ASSERT_FALSE(replayed.ok());
  EXPECT_EQ(replayed.error().code, ErrorCode::refused_by_gate);
  EXPECT_TRUE(has(replayed.error().text(), "another withdrawal"));
  // As an entry by hand, about the new one.
  const auto by_hand = house.log->append(
      "retraction", "replayed",
      json::Value::object(
          {{"schema", "retort.retraction/1"}, {"withdrawal", again.entry}, {"envelope", old}}));
  ASSERT_TRUE(by_hand.ok());
  story.expect_withdrawn("an entry replayed");
}

TEST(TakeBackTest, NobodyElseTakesItBack) {
  TakenBackStory story("others");
  auto& house = story.house;
  const auto withdrawal = story.withdrawn(story.alpha);
  const auto other = story.withdrawn(story.beta);
  const std::string statement = story.statement(withdrawal);
  Withdrawal shifted = withdrawal;
  shifted.entry = other.entry;     // its name, the other's number
  Withdrawal before = withdrawal;  // what this number was before a log was rolled back
  before.reason = "something else";
  auto good = sign(statement, story.key);
  json::Value forged = good;
  auto& signature = forged.find("signatures")->as_array()[0];
  std::string bytes = *crypto::from_base64(*signature.string_at("sig"));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  signature.set("sig", crypto::to_base64(bytes));
  json::Value reworded = good;
  reworded.set("payload", crypto::to_base64(statement + " "));
  std::string elsewhere = statement;
  elsewhere.replace(elsewhere.find(house.log->origin()), house.log->origin().size(), "other.log");
  std::string unsaid = statement;
  unsaid.replace(unsaid.find("retraction/v1"), 13, "declaration/v1");
  const std::vector<std::pair<std::string, json::Value>> tries = {
      {"another key", sign(statement, new_key())},
      {"a forged signature", forged},
      {"another payload", reworded},
      {"another withdrawal's statement", sign(story.statement(other), story.key)},
      {"another withdrawal's number", sign(story.statement(shifted), story.key)},
      {"another withdrawal of this number", sign(story.statement(before), story.key)},
      {"another log", sign(elsewhere, story.key)},
      {"another kind of statement", sign(unsaid, story.key)},
      {"no statement", sign("{}", story.key)},
      {"no envelope", json::Value("yes")}};
  int64_t retraction = -1;
  for (const auto& [why, envelope] : tries) {
    EXPECT_FALSE(take_back(*house.log, withdrawal.entry, envelope).ok()) << why;
    // The log's own key signs whatever is appended, so it must not be enough.
    const auto entry = house.log->append("retraction", why,
                                         json::Value::object({{"schema", "retort.retraction/1"},
                                                              {"withdrawal", withdrawal.entry},
                                                              {"envelope", envelope}}));
    ASSERT_TRUE(entry.ok());
    retraction = *entry;
    story.expect_withdrawn(why);
  }
  // Nor is a state that leans on such an entry.
  StateEntry clear{.model = story.of_alpha,
                   .number = 2,
                   .state = State::clear,
                   .before = State::frozen,
                   .retraction = retraction,
                   .by = "M"};
  ASSERT_TRUE(house.log->append("state", name_of(clear), to_json(clear)).ok());
  story.expect_withdrawn("a state without its reason");
  ASSERT_TRUE(take_back(*house.log, other.entry, sign(story.statement(other), story.key)).ok());
  story.expect_withdrawn("the other one is taken back");
}

TEST(TakeBackTest, WithoutAHolderThereIsNoWayBack) {
  TakenBackStory story("no_holder");
  auto& house = story.house;
  Withdrawal nobody = story.ended(story.alpha);
  nobody.holder = "";
  const auto done = withdraw(*house.log, nobody);
  ASSERT_TRUE(done.ok());
  const auto refused = take_back(*house.log, done->withdrawal.entry,
                                 sign(story.statement(done->withdrawal), story.key));
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(has(refused.error().text(), "it names no key"));
  const auto absent = take_back(*house.log, 0, sign(story.statement(done->withdrawal), story.key));
  EXPECT_EQ(absent.error().code, ErrorCode::not_found);
  Withdrawal bad = story.ended(story.beta);
  bad.holder = "a key";
  EXPECT_FALSE(withdraw(*house.log, bad).ok());
  story.expect_withdrawn("no holder");
}

// A model that somebody froze by hand, gave up, or cleared again by other means.
TEST(TakeBackTest, WhatDidNotFollowFromItStays) {
  TakenBackStory story("stays");
  auto& house = story.house;
  const auto to = [&](const std::string& model, State state) {
    const auto moved = move(*house.log, {.model = model, .to = state, .by = "P"});
    EXPECT_TRUE(moved.ok()) << (moved ? "" : moved.error().text());
  };
  to(story.of_both, State::frozen);
  const auto withdrawal = story.withdrawn(story.alpha);
  to(story.of_alpha, State::withdrawn);
  const auto done =
      take_back(*house.log, withdrawal.entry, sign(story.statement(withdrawal), story.key));
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_TRUE(done->cleared.empty());
  EXPECT_EQ(story.state(story.of_both), State::frozen);
  EXPECT_EQ(story.state(story.of_alpha), State::withdrawn);
}

TEST(TakeBackTest, WhatWasTracedOrQuarantinedGoesBackToo) {
  TakenBackStory story("traced");
  auto& house = story.house;
  const auto withdrawal = story.withdrawn(story.alpha);
  for (const State state : {State::traced, State::quarantined}) {
    ASSERT_TRUE(move(*house.log, {.model = story.of_alpha, .to = state, .by = "P"}).ok());
  }
  const auto done =
      take_back(*house.log, withdrawal.entry, sign(story.statement(withdrawal), story.key));
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_EQ(story.state(story.of_alpha), State::clear);
}

// Doors behind which a concerned model answered open again with it.
TEST(TakeBackTest, WhatFollowedIsTakenBackWithIt) {
  TakenBackStory story("follows");
  auto& house = story.house;
  ASSERT_TRUE(log_served(*house.log, {{"example", "https://gamma.example.com/v1", ""}, "gamma"},
                         story.file("m-alpha"))
                  .ok());
  house.gather("gamma", 10, "shards-g");
  house.curate("shards-g", "curated-g");
  const auto student = story.train("m-gamma", "curated-g");
  const auto withdrawal = story.withdrawn(story.alpha);
  EXPECT_FALSE(story.may_train("curated-g"));
  const auto all = corpus::read_withdrawals(*house.log);
  ASSERT_EQ(all->size(), 2u);
  const auto follow =
      take_back(*house.log, all->back().entry, sign(story.statement(all->back()), story.key));
  ASSERT_FALSE(follow.ok());
  EXPECT_TRUE(has(follow.error().text(), "it follows from the withdrawal"));
  ASSERT_TRUE(
      take_back(*house.log, withdrawal.entry, sign(story.statement(withdrawal), story.key)).ok());
  EXPECT_TRUE(corpus::read_withdrawals(*house.log)->empty());
  EXPECT_EQ(corpus::read_all_withdrawals(*house.log)->size(), 2u);
  EXPECT_TRUE(story.may_train("curated-g"));
  EXPECT_EQ(story.state(student), State::clear);
}

void edit(House& house, const std::string& sql) {
  house.log = nullptr;
  {
    auto database = store::Database::open(house.path("ledger/log.db"), {.create = false});
    ASSERT_TRUE(database.ok()) << database.error().text();
    ASSERT_TRUE((*database)->execute(sql).ok()) << sql;
  }
  house.log = *ledger::Ledger::open(house.path("ledger"), {.create = false, .clock = &house.clock});
}

// An edited database frees nothing: whoever asks hears that the log was changed.
TEST(TakeBackTest, AnEditedDatabaseFreesNothing) {
  const auto refused = [](TakenBackStory& story) {
    EXPECT_FALSE(check_usable(*story.house.log, story.file("m-alpha"), "serve").ok());
    EXPECT_FALSE(Standings::read(*story.house.log).ok());
    EXPECT_FALSE(story.may_train("curated-a"));
  };
  {
    TakenBackStory story("edited_holder");
    const auto withdrawal = story.withdrawn(story.alpha);
    // A holder of one's own, and a retraction that this one signed.
    const auto thief = new_key();
    Withdrawal stolen = withdrawal;
    stolen.holder = thief.public_key().to_pem();
    const auto envelope = sign(story.statement(stolen), thief);
    const auto entry = *story.house.log->entry(withdrawal.entry);
    const json::Value whole = json::Value::object({{"body", corpus::to_json(stolen)},
                                                   {"kind", "withdrawal"},
                                                   {"name", entry.name},
                                                   {"time_ms", entry.time_ms}});
    const std::string hex = [&] {
      std::string out;
      for (const unsigned char c : json::canonical(whole)) out += fmt::format("{:02x}", c);
      return out;
    }();
    edit(story.house, "UPDATE entries SET entry = x'" + hex +
                          "' WHERE idx = " + std::to_string(withdrawal.entry));
    // The entry itself may still be appended; that it leans on an edited one is noticed.
    (void)story.house.log->append("retraction", "r",
                                  json::Value::object({{"schema", "retort.retraction/1"},
                                                       {"withdrawal", withdrawal.entry},
                                                       {"envelope", envelope}}));
    EXPECT_FALSE(corpus::read_withdrawals(*story.house.log).ok());
    refused(story);
  }
  for (const char* sql : {"DELETE FROM entries WHERE kind = 'withdrawal'",
                          "DELETE FROM entries WHERE kind IN ('withdrawal', 'state')",
                          "UPDATE entries SET kind = 'retraction' WHERE kind = 'withdrawal'",
                          "UPDATE entries SET kind = 'x' WHERE kind = 'state'"}) {
    TakenBackStory story("edited_rows");
    story.withdrawn(story.alpha);
    edit(story.house, sql);
    refused(story);
  }
}

}  // namespace
}  // namespace retort::lineage
