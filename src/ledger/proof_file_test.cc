#include "ledger/proof_file.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace retort::ledger {
namespace {

std::unique_ptr<Ledger> proof_log(const std::string& name, int entries) {
  const std::string folder = ::testing::TempDir() + "retort_proof_" + name;
  EXPECT_TRUE(base::remove_all(folder).ok());
  auto ledger = *Ledger::open(folder);
  for (int i = 0; i < entries; ++i) {
    EXPECT_TRUE(ledger->append("thing", "n" + std::to_string(i), json::Value(i)).ok());
  }
  return ledger;
}

TEST(ProofFileTest, AnEntryIsProvenByAFileAlone) {
  auto log = proof_log("entry", 21);
  for (int64_t i = 0; i < 21; ++i) {
    const std::string text = write_proof(*log->prove(i));
    EXPECT_TRUE(text.starts_with("c2sp.org/tlog-proof@v1\nextra "));
    auto proof = read_proof(text, "f");
    ASSERT_TRUE(proof.ok()) << proof.error().text();
    EXPECT_EQ(write_proof(*proof), text);
    EXPECT_TRUE(verify_proof(*proof, log->origin(), log->public_key()).ok()) << i;
    proof->index = (i + 1) % 21;
    EXPECT_FALSE(verify_proof(*proof, log->origin(), log->public_key()).ok()) << i;
  }
}

// No byte of the file can be another.
TEST(ProofFileTest, EveryChangedByteIsNoticed) {
  auto log = proof_log("bytes", 6);
  const std::string good = write_proof(*log->prove(4));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string text = good;
    text[at] = static_cast<char>(text[at] ^ 1);
    const auto proof = read_proof(text, "f");
    const bool held = proof.ok() && verify_proof(*proof, log->origin(), log->public_key()).ok();
    EXPECT_FALSE(held) << "byte " << at;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    const auto proof = read_proof(good.substr(0, size), "f");
    EXPECT_FALSE(proof.ok() && verify_proof(*proof, log->origin(), log->public_key()).ok()) << size;
  }
}

TEST(ProofFileTest, TheLogOnlyGrew) {
  auto log = proof_log("grew", 5);
  const std::string old_checkpoint = *log->checkpoint();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(log->append("more", "", json::Value(i)).ok());
  const ConsistencyProof made{5, *log->prove_consistency(5), *log->checkpoint()};
  const std::string text = write_consistency_proof(made);
  EXPECT_TRUE(text.starts_with("old 5\n"));
  auto proof = read_consistency_proof(text, "f");
  ASSERT_TRUE(proof.ok()) << proof.error().text();
  const auto holds = [&](const ConsistencyProof& one, const std::string& before) {
    return verify_consistency_proof(one, before, log->origin(), log->public_key());
  };
  EXPECT_TRUE(holds(*proof, old_checkpoint).ok());
  EXPECT_NE(holds(*proof, *log->checkpoint()).error().text().find("begins at 5"),
            std::string::npos);
  proof->path[1][7] ^= 1;
  EXPECT_NE(holds(*proof, old_checkpoint).error().text().find("only grew"), std::string::npos);
  // Another log of the same key's name, or another history.
  EXPECT_FALSE(
      holds(*read_consistency_proof(text, "f"), *proof_log("other", 5)->checkpoint()).ok());
}

TEST(ProofFileTest, RefusesWhatIsNoProof) {
  const std::string note = "\no\n1\nAAAA\n";
  for (const std::string text :
       {"", "x\n", "c2sp.org/tlog-proof@v1\n", "c2sp.org/tlog-proof@v1\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nextra ?\nindex 0\n\n", "c2sp.org/tlog-proof@v1\nextra AA==\nindex",
        "c2sp.org/tlog-proof@v1\nextra AA==\nindex 01\n\n",
        "c2sp.org/tlog-proof@v1\nextra AA==\nindex -1\n\n",
        "c2sp.org/tlog-proof@v1\nextra AA==\nindex 1\nAAAA\n\n"}) {
    const auto read = read_proof(text, "the file");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, ErrorCode::bad_input);
    EXPECT_NE(read.error().text().find("the file"), std::string::npos);
  }
  std::string many = "old 1\n";
  for (int i = 0; i < 64; ++i) many += crypto::to_base64(std::string(32, 'x')) + "\n";
  EXPECT_FALSE(read_consistency_proof(many + note, "f").ok());
}

}  // namespace
}  // namespace retort::ledger
