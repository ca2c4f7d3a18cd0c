#include "ledger/ledger.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "store/database.h"

namespace retort::ledger {
namespace {

std::string scratch(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "retort_ledger_" + name;
  EXPECT_TRUE(base::remove_all(folder).ok());
  EXPECT_TRUE(base::make_directories(folder).ok());
  return base::join(folder, "ledger");
}

json::Value body(int value) {
  return json::Value::object({{"value", value}});
}

std::unique_ptr<Ledger> filled(const std::string& folder, int entries) {
  auto ledger = Ledger::open(folder);
  EXPECT_TRUE(ledger.ok()) << ledger.error().text();
  for (int i = 0; i < entries; ++i) {
    EXPECT_EQ(*(*ledger)->append("thing", "n" + std::to_string(i), body(i)), i);
  }
  return std::move(*ledger);
}

void change(const std::string& folder, const std::string& sql) {
  auto database = *store::Database::open(base::join(folder, "log.db"));
  const auto done = database->execute(sql);
  ASSERT_TRUE(done.ok()) << done.error().text();
}

TEST(LedgerTest, KeepsEntriesWithoutGapsAndProvesThem) {
  const std::string folder = scratch("keeps");
  auto ledger = filled(folder, 11);
  EXPECT_EQ(*ledger->append("thing", "n3", body(99)), 3) << "a name is appended once";
  EXPECT_EQ(*ledger->append("verdict", "", body(1)), 11);
  EXPECT_EQ(*ledger->append("verdict", "", body(1)), 12) << "entries without a name repeat";
  EXPECT_EQ(ledger->head()->size, 13);
  EXPECT_EQ(ledger->find("thing", "n3")->body, body(3));
  EXPECT_EQ(ledger->find("thing", "n99").error().code, ErrorCode::not_found);
  EXPECT_EQ(ledger->entry(12)->kind, "verdict");
  int seen = 0;
  ASSERT_TRUE(ledger
                  ->for_each("thing",
                             [&](const Entry&) -> Result<void> {
                               ++seen;
                               return {};
                             })
                  .ok());
  EXPECT_EQ(seen, 11);

  std::string line = *base::read_file(base::join(folder, "verifier.key"));
  line.pop_back();
  EXPECT_EQ(parse_verifier_key(line)->second, ledger->public_key());
  for (int64_t i = 0; i < 13; ++i) {
    auto proof = *ledger->prove(i);
    EXPECT_TRUE(verify_proof(proof, ledger->origin(), ledger->public_key()).ok()) << i;
    proof.entry += " ";
    EXPECT_FALSE(verify_proof(proof, ledger->origin(), ledger->public_key()).ok()) << i;
  }
  EXPECT_EQ(*ledger->verify(), 13);
}

TEST(LedgerTest, SeveralEntriesComeTogetherOrNotAtAll) {
  const std::string folder = scratch("together");
  auto ledger = filled(folder, 3);
  EXPECT_TRUE(*ledger->append_all(3, {{"thing", "a", body(1)}, {"other", "b", body(2)}}));
  EXPECT_EQ(ledger->find("other", "b")->index, 4);
  EXPECT_EQ(ledger->entry(3)->name, "a");
  // Planned for another size: the log grew meanwhile.
  EXPECT_FALSE(*ledger->append_all(3, {{"thing", "c", body(3)}}));
  EXPECT_FALSE(*ledger->append_all(6, {{"thing", "c", body(3)}}));
  // The second is refused, and the first is not there either.
  const auto twice = ledger->append_all(5, {{"thing", "d", body(4)}, {"thing", "n1", body(5)}});
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().code, ErrorCode::bad_input);
  EXPECT_EQ(ledger->find("thing", "d").error().code, ErrorCode::not_found);
  const auto large = ledger->append_all(
      5, {{"thing", "e", body(6)}, {"thing", "f", json::Value(std::string(70'000, 'x'))}});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(ledger->head()->size, 5);
  EXPECT_TRUE(ledger->verify().ok());
  EXPECT_TRUE(ledger->verify_tiles().ok());
  EXPECT_EQ(*ledger->append("thing", "g", body(7)), 5) << "it goes on";
  EXPECT_TRUE(ledger->verify().ok());
}

TEST(LedgerTest, RootAndProofsAreThoseOfThePureTree) {
  auto ledger = filled(scratch("pure"), 0);
  std::vector<Digest> leaves;
  std::vector<TreeHead> heads;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(ledger->append("thing", "", body(i)).ok());
    leaves.push_back(leaf_hash(ledger->prove(i)->entry));
    heads.push_back(*ledger->head());
    EXPECT_EQ(heads.back().root, tree_root(leaves));
    EXPECT_EQ(ledger->prove(i / 2)->path, inclusion_proof(leaves, i / 2));
    for (const auto& old_head : heads) {
      EXPECT_TRUE(
          verify_consistency(old_head, heads.back(), *ledger->prove_consistency(old_head.size)));
    }
  }
  EXPECT_FALSE(ledger->prove_consistency(21).ok());
  EXPECT_FALSE(ledger->prove(20).ok());
}

TEST(LedgerTest, GoesOnAfterReopeningWithTheSameKey) {
  const std::string folder = scratch("reopen");
  const std::string origin = filled(folder, 3)->origin();
  struct stat info {};
  ASSERT_EQ(::stat(base::join(folder, "key.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto ledger = *Ledger::open(folder);
  EXPECT_EQ(ledger->origin(), origin);
  EXPECT_EQ(*ledger->append("thing", "n3", body(3)), 3);
  EXPECT_EQ(*ledger->verify(), 4);
  EXPECT_EQ(*base::read_file(base::join(folder, "checkpoint")), *ledger->checkpoint());
}

TEST(LedgerTest, TimesNeverGoBack) {
  base::ManualClock clock;
  const std::string folder = scratch("times");
  auto ledger = *Ledger::open(folder, {.clock = &clock});
  ASSERT_TRUE(ledger->append("a", "", body(1)).ok());
  base::ManualClock earlier(1'000'000);
  auto other = *Ledger::open(folder, {.clock = &earlier});
  ASSERT_TRUE(other->append("a", "", body(2)).ok());
  EXPECT_EQ(other->entry(1)->time_ms, ledger->entry(0)->time_ms);
}

TEST(LedgerTest, VerifyNamesTheFirstBadEntry) {
  const auto fault = [](const std::string& name, const std::string& sql) {
    const std::string folder = scratch(name);
    filled(folder, 6);
    change(folder, sql);
    const auto checked = (*Ledger::open(folder))->verify();
    return checked.ok() ? "good" : checked.error().text();
  };
  const auto names = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nwants " << part;
  };
  names(fault("edit", "UPDATE entries SET entry = replace(entry, '3', '4') WHERE idx = 3"),
        "entry 3");
  names(fault("column", "UPDATE entries SET kind = 'other' WHERE idx = 2"), "entry 2");
  names(fault("gap", "DELETE FROM entries WHERE idx = 4"), "entry 4");
  names(fault("note",
              "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 2) "
              "WHERE size = 3"),
        "entry 2");
  names(fault("cut",
              "DELETE FROM entries WHERE idx = 5; DELETE FROM checkpoints WHERE size = 6; "
              "DELETE FROM nodes WHERE level = 0 AND idx = 5"),
        "cut off");
  names(fault("node", "UPDATE nodes SET hash = zeroblob(32) WHERE level = 2"), "entry 3");
  names(fault("extra", "INSERT INTO nodes VALUES (0, 6, zeroblob(32))"), "that it has not");
  names(
      fault("note_ahead", "INSERT INTO checkpoints SELECT 9, note FROM checkpoints WHERE size = 6"),
      "that it has not");
  names(
      fault("reorder",
            "UPDATE entries SET idx = 99 WHERE idx = 2; UPDATE entries SET idx = 2 WHERE idx = 3; "
            "UPDATE entries SET idx = 3 WHERE idx = 99"),
      "entry 2");
  names(fault("leaf", "UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND idx = 1"),
        "entry 1");
}

TEST(LedgerTest, AForgedHashDoesNotFitTheSignedRoot) {
  const std::string folder = scratch("forged");
  filled(folder, 4);
  {
    auto database = *store::Database::open(base::join(folder, "log.db"));
    const std::string forged =
        R"({"body":{"value":7},"kind":"thing","name":"n1","time_ms":9999999999999})";
    auto select = *database->prepare("SELECT time_ms FROM entries WHERE idx = 1");
    ASSERT_TRUE(*select.step());
    std::string entry = forged;
    entry.replace(entry.find("9999999999999"), 13, std::to_string(select.integer(0)));
    select.reset();
    auto update = *database->prepare("UPDATE entries SET entry = ?1 WHERE idx = 1");
    ASSERT_TRUE(update.bind_blob(1, entry).run().ok());
    // With every hash above it to fit: the signature alone is left to tell.
    const auto hash_at = [&](int level, int64_t index) {
      auto row = *database->prepare("SELECT hash FROM nodes WHERE level = ?1 AND idx = ?2");
      EXPECT_TRUE(*row.bind(1, int64_t{level}).bind(2, index).step());
      Digest out{};
      std::copy_n(row.blob(0).begin(), out.size(), out.begin());
      return out;
    };
    const Digest leaf = leaf_hash(entry);
    const Digest above = node_hash(hash_at(0, 0), leaf);
    const Digest root = node_hash(above, hash_at(1, 1));
    auto node = *database->prepare("UPDATE nodes SET hash = ?1 WHERE level = ?2 AND idx = ?3");
    ASSERT_TRUE(node.bind_blob(1, crypto::as_bytes(leaf))
                    .bind(2, int64_t{0})
                    .bind(3, int64_t{1})
                    .run()
                    .ok());
    ASSERT_TRUE(node.bind_blob(1, crypto::as_bytes(above))
                    .bind(2, int64_t{1})
                    .bind(3, int64_t{0})
                    .run()
                    .ok());
    ASSERT_TRUE(node.bind_blob(1, crypto::as_bytes(root))
                    .bind(2, int64_t{2})
                    .bind(3, int64_t{0})
                    .run()
                    .ok());
  }
  const auto checked = (*Ledger::open(folder))->verify();
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().text().find("entry 1"), std::string::npos) << checked.error().text();
  EXPECT_NE(checked.error().text().find("signed"), std::string::npos);
}

TEST(LedgerTest, RefusesLostWrongAndOpenKeys) {
  const std::string folder = scratch("keys");
  filled(folder, 1);
  const std::string key = base::join(folder, "key.pem");
  ASSERT_EQ(::chmod(key.c_str(), 0644), 0);
  EXPECT_NE(Ledger::open(folder).error().text().find("chmod 600"), std::string::npos);
  const std::string another = scratch("keys_other");
  filled(another, 1);
  ASSERT_TRUE(base::write_file_atomic(key, *base::read_file(base::join(another, "key.pem"))).ok());
  ASSERT_EQ(::chmod(key.c_str(), 0600), 0);
  EXPECT_NE(Ledger::open(folder).error().text().find("not the one"), std::string::npos);
  ASSERT_TRUE(base::remove_all(key).ok());
  EXPECT_NE(Ledger::open(folder).error().text().find("missing"), std::string::npos);
  EXPECT_EQ(Ledger::open(scratch("none"), {.create = false}).error().code, ErrorCode::not_found);
}

TEST(LedgerTest, RefusesEntriesThatDoNotFit) {
  auto ledger = filled(scratch("big"), 1);
  EXPECT_EQ(ledger->append("thing", "big", std::string(70'000, 'x')).error().code,
            ErrorCode::bad_input);
  EXPECT_EQ(ledger->head()->size, 1);
  EXPECT_EQ(*ledger->verify(), 1);
}

TEST(LedgerTest, TwoProcessesAppendAtOnce) {
  const std::string folder = scratch("two");
  filled(folder, 0);
  std::vector<pid_t> children;
  for (int child = 0; child < 2; ++child) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      auto ledger = *Ledger::open(folder);
      bool good = true;
      for (int i = 0; i < 10; ++i) {
        good = good && ledger->append("thing", "n" + std::to_string(i), body(i)).ok();
        good = good && ledger->append("own", "", body(child)).ok();
      }
      ::_exit(good ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(*(*Ledger::open(folder))->verify(), 30) << "ten names once, ten entries each";
}

TEST(LedgerTest, IsReadAndVerifiedWhileAnotherProcessAppends) {
  const std::string folder = scratch("beside");
  filled(folder, 1);
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto ledger = *Ledger::open(folder);
    bool good = true;
    for (int i = 0; i < 150; ++i) good = good && ledger->append("own", "", body(i)).ok();
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    const auto opened = Ledger::open(folder);
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    const auto verified = (*opened)->verify();
    ASSERT_TRUE(verified.ok()) << verified.error().text();
  }
  EXPECT_EQ(status, 0);
  EXPECT_EQ(*(*Ledger::open(folder))->verify(), 151);
}

TEST(LedgerTest, IsFoundUpwards) {
  const std::string folder = scratch("find");
  const std::string deep = base::join(base::parent(folder), "a/b/c");
  ASSERT_TRUE(base::make_directories(deep).ok());
  EXPECT_EQ(find_ledger(deep).error().code, ErrorCode::not_found);
  filled(folder, 0);
  EXPECT_EQ(*find_ledger(deep), folder);
}

}  // namespace
}  // namespace retort::ledger
