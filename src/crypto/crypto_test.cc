#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/files.h"
#include "base/random.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hmac_key.h"

namespace retort::crypto {
namespace {

TEST(HashTest, Sha256IsThatOfTheStandard) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.add("a");
  pieces.add("");
  pieces.add("bc");
  EXPECT_EQ(to_hex(pieces.finish()), sha256_hex("abc"));
}

TEST(HashTest, FileHashIsThatOfItsBytes) {
  const std::string path = ::testing::TempDir() + "retort_crypto_file";
  ASSERT_TRUE(base::write_file_atomic(path, "abc").ok());
  EXPECT_EQ(*sha256_file_hex(path), sha256_hex("abc"));
  EXPECT_FALSE(sha256_file_hex(path + ".none").ok());
}

TEST(HashTest, HmacIsThatOfRfc4231) {  // test case 2
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(HashTest, PlainFunctionsGiveWhatOpenSslsOwnInterfacesGive) {
  base::Random random(3);
  for (const size_t key_bytes : {0, 1, 16, 63, 64, 65, 200}) {
    for (size_t bytes = 0; bytes < 300; bytes += 7) {
      std::string key, text;
      for (size_t i = 0; i < key_bytes; ++i) key += static_cast<char>(random.below(256));
      for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(random.below(256));
      const auto* data = reinterpret_cast<const unsigned char*>(text.data());
      Digest wanted{};
      unsigned int size = 0;
      ASSERT_NE(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data, text.size(),
                     wanted.data(), &size),
                nullptr);
      const HmacKey once(key);
      EXPECT_EQ(once.of(text), wanted);
      EXPECT_EQ(once.of(text), wanted) << "used again";
      EXPECT_EQ(hmac_sha256(key, text), wanted);
      ASSERT_EQ(EVP_Digest(data, text.size(), wanted.data(), &size, EVP_sha256(), nullptr), 1);
      EXPECT_EQ(sha256(text), wanted);
    }
  }
}

// Texts of every length beside every other, after nothing and after a key; and what is hashed side
// by side is what each has alone.
TEST(HashTest, ManyAtOnceAreEachOnItsOwn) {
  base::Random random(4);
  const HmacKey key("a key");
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> texts(random.below(7));
    std::vector<HashJob> jobs;
    for (auto& text : texts) {
      text.resize(random.below(round % 2 == 0 ? 130 : 1'000));
      for (char& byte : text) byte = static_cast<char>(random.below(256));
      jobs.push_back(random.below(2) == 0 ? HashJob{.text = text} : key.inner(text));
    }
    auto by_libcrypto = jobs;
    hash_all(jobs);
    hash_all_reference(by_libcrypto);
    for (size_t i = 0; i < jobs.size(); ++i) {
      EXPECT_EQ(jobs[i].digest, by_libcrypto[i].digest) << texts[i].size();
      if (jobs[i].after != &empty_hash_state()) continue;
      EXPECT_EQ(jobs[i].digest, sha256(texts[i]));
    }
  }
}

TEST(EncodingTest, HexAndBase64AreStrict) {
  EXPECT_EQ(*from_hex("00fFa0"), std::string("\x00\xff\xa0", 3));
  EXPECT_FALSE(from_hex("0").ok());
  EXPECT_FALSE(from_hex("0g").ok());
  EXPECT_FALSE(digest_from_hex("abcd").ok());
  for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(to_base64(plain), coded);  // RFC 4648, section 10
    EXPECT_EQ(*from_base64(coded), plain);
  }
  for (const char* bad : {"Zg", "Zg=", "Zh==", "Z===", "====", "Zm9=", "Zg==Zg==", "Zm 9v"}) {
    EXPECT_FALSE(from_base64(bad).ok()) << bad;
  }
}

TEST(EncodingTest, ComparesInConstantTimeByValue) {
  EXPECT_TRUE(equal_in_constant_time("secret", "secret"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secreT"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secre"));
}

TEST(Ed25519Test, SignsAsRfc8032) {  // section 7.1, test 2
  const auto key = SigningKey::from_seed(
      *from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(to_hex({reinterpret_cast<const char*>(key->public_key().data()), 32}),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const std::string signature = key->sign("\x72");
  EXPECT_EQ(to_hex(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(verify(key->public_key(), "\x72", signature));
  EXPECT_FALSE(verify(key->public_key(), "\x73", signature));
  std::string changed = signature;
  changed[5] ^= 1;
  EXPECT_FALSE(verify(key->public_key(), "\x72", changed));
  EXPECT_FALSE(verify(key->public_key(), "\x72", signature.substr(1)));
}

TEST(Ed25519Test, KeysSurvivePem) {
  const auto key = SigningKey::generate();
  ASSERT_TRUE(key.ok());
  const auto again = SigningKey::from_pem(*key->to_pem());
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(again->public_key(), key->public_key());
  EXPECT_NE(SigningKey::generate()->public_key(), key->public_key());
  EXPECT_EQ(SigningKey::from_pem("nonsense", "key.pem").error().where, "key.pem");
  EXPECT_FALSE(SigningKey::from_seed("short").ok());
}

}  // namespace
}  // namespace retort::crypto
