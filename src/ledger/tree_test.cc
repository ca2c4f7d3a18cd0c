#include "ledger/tree.h"

#include <gtest/gtest.h>

#include "ledger/checkpoint.h"

namespace retort::ledger {
namespace {

// The inputs and results of the reference implementation of RFC 6962 (certificate-transparency).
const std::vector<std::string> kInputs = {"",
                                          "00",
                                          "10",
                                          "2021",
                                          "3031",
                                          "40414243",
                                          "5051525354555657",
                                          "606162636465666768696a6b6c6d6e6f"};
const std::vector<std::string> kRoots = {
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

std::vector<Digest> leaves(size_t count) {
  std::vector<Digest> out;
  for (size_t i = 0; i < count; ++i) {
    out.push_back(
        leaf_hash(i < kInputs.size() ? *crypto::from_hex(kInputs[i]) : std::to_string(i)));
  }
  return out;
}

std::vector<std::string> hex(const std::vector<Digest>& digests) {
  std::vector<std::string> out;
  for (const auto& digest : digests) out.push_back(crypto::to_hex(digest));
  return out;
}

TreeHead head(const std::vector<Digest>& all, size_t size) {
  return {static_cast<int64_t>(size), tree_root(std::span(all).first(size))};
}

TEST(TreeTest, RootsAreThoseOfRfc6962) {
  EXPECT_EQ(crypto::to_hex(tree_root({})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (size_t n = 1; n <= kRoots.size(); ++n) {
    EXPECT_EQ(crypto::to_hex(tree_root(leaves(n))), kRoots[n - 1]) << n;
  }
}

TEST(TreeTest, ProofsAreThoseOfRfc6962) {
  const auto all = leaves(8);
  EXPECT_EQ(hex(inclusion_proof(all, 0)),
            (std::vector<std::string>{
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}));
  EXPECT_EQ(hex(consistency_proof(all, 6)),
            (std::vector<std::string>{
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
}

TEST(TreeTest, EveryInclusionProofHoldsAndNoChangedOneDoes) {
  const auto all = leaves(19);
  for (size_t size = 1; size <= all.size(); ++size) {
    const auto tree = std::span(all).first(size);
    const TreeHead at = head(all, size);
    for (size_t i = 0; i < size; ++i) {
      const auto index = static_cast<int64_t>(i);
      auto proof = inclusion_proof(tree, index);
      ASSERT_TRUE(verify_inclusion(all[i], index, at, proof)) << i << " of " << size;
      EXPECT_FALSE(verify_inclusion(all[(i + 1) % all.size()], index, at, proof));
      EXPECT_FALSE(verify_inclusion(all[i], index + 1, at, proof));
      if (proof.empty()) continue;
      proof.back()[3] ^= 1;
      EXPECT_FALSE(verify_inclusion(all[i], index, at, proof));
      proof.back()[3] ^= 1;
      proof.push_back(all[0]);
      EXPECT_FALSE(verify_inclusion(all[i], index, at, proof));
      proof.resize(proof.size() - 2);
      EXPECT_FALSE(verify_inclusion(all[i], index, at, proof));
    }
  }
  EXPECT_FALSE(verify_inclusion(all[0], -1, head(all, 4), {}));
}

TEST(TreeTest, EveryConsistencyProofHoldsAndNoChangedOneDoes) {
  const auto all = leaves(17);
  for (size_t size = 1; size <= all.size(); ++size) {
    for (size_t old_size = 1; old_size <= size; ++old_size) {
      auto proof = consistency_proof(std::span(all).first(size), static_cast<int64_t>(old_size));
      TreeHead old_head = head(all, old_size);
      const TreeHead new_head = head(all, size);
      ASSERT_TRUE(verify_consistency(old_head, new_head, proof)) << old_size << " to " << size;
      old_head.root[0] ^= 1;
      EXPECT_FALSE(verify_consistency(old_head, new_head, proof));
      old_head.root[0] ^= 1;
      proof.push_back(all[0]);
      EXPECT_FALSE(verify_consistency(old_head, new_head, proof));
    }
  }
  EXPECT_FALSE(verify_consistency(head(all, 3), head(all, 2), {}));
}

TEST(CheckpointTest, OpensTheNoteOfTheGoDocumentation) {  // golang.org/x/mod/sumdb/note
  const auto key =
      parse_verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  ASSERT_TRUE(key.ok()) << key.error().text();
  const std::string text =
      "If you think cryptography is the answer to your problem,\n"
      "then you don't know what your problem is.\n";
  const std::string note = text +
                           "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZIn"
                           "NIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
  const auto opened = open_note(note, key->first, key->second);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ(*opened, text);
  std::string changed = note;
  changed[3] = 'x';
  EXPECT_FALSE(open_note(changed, key->first, key->second).ok());
}

TEST(CheckpointTest, SignsAndRefuses) {
  const auto key = *crypto::SigningKey::from_seed(std::string(32, 'k'));
  const auto all = leaves(5);
  const std::string note = sign_checkpoint("retort.local/x", head(all, 5), key);
  const auto opened = open_checkpoint(note, "retort.local/x", key.public_key());
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ(opened->head.size, 5);
  EXPECT_EQ(opened->head.root, tree_root(all));
  EXPECT_EQ(note.substr(0, note.find('\n', 16)), "retort.local/x\n5");

  const auto other = *crypto::SigningKey::from_seed(std::string(32, 'o'));
  EXPECT_FALSE(open_checkpoint(note, "retort.local/x", other.public_key()).ok());
  EXPECT_FALSE(open_checkpoint(note, "retort.local/y", key.public_key()).ok());
  std::string bigger = note;
  bigger[note.find('\n') + 1] = '6';
  EXPECT_FALSE(open_checkpoint(bigger, "retort.local/x", key.public_key()).ok());
  for (const std::string text : {"", "\n\n", "a\nb\n", "x\n1\nAAAA\n\n— retort.local/x AAAA\n"}) {
    EXPECT_FALSE(open_checkpoint(text, "retort.local/x", key.public_key()).ok());
  }
  for (const std::string text : {"x\n01\n", "x\n-1\n", "x\n1 \n", "x\n99999999999999999999\n"}) {
    const std::string signed_note =
        sign_note(text + crypto::to_base64(crypto::as_bytes(all[0])) + "\n", "x", key);
    EXPECT_FALSE(open_checkpoint(signed_note, "x", key.public_key()).ok()) << text;
  }
  EXPECT_FALSE(parse_verifier_key("a+b").ok());
  EXPECT_FALSE(parse_verifier_key("a+00000000+AAAA").ok());
}

}  // namespace
}  // namespace retort::ledger
