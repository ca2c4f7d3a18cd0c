#include "crypto/ecdsa.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "crypto/dsse.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"

namespace retort::crypto {
namespace {

// RFC 6979, A.2.5: a public key, and the signature of "sample" by it.
std::string rfc_public_key() {
  const std::string der = *from_hex(
      "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
      "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
  std::string text = to_base64(der);
  text.insert(64, "\n");
  return "-----BEGIN PUBLIC KEY-----\n" + text + "\n-----END PUBLIC KEY-----\n";
}
const char* const kRfcSignature =
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";

TEST(EcdsaTest, VerifiesTheSignatureOfRfc6979) {
  const auto key = EcPublicKey::from_pem(rfc_public_key());
  ASSERT_TRUE(key.ok()) << key.error().text();
  EXPECT_EQ(key->to_pem(), rfc_public_key());
  EXPECT_EQ(key->id(), sha256_hex(rfc_public_key()));
  EXPECT_TRUE(key->verify("sample", *from_hex(kRfcSignature)));
  EXPECT_FALSE(key->verify("test", *from_hex(kRfcSignature)));
}

TEST(EcdsaTest, ASignatureFitsItsMessageAndItsKeyAlone) {
  const auto key = EcSigningKey::generate();
  ASSERT_TRUE(key.ok());
  const std::string signature = key->sign("message");
  EXPECT_TRUE(key->public_key().verify("message", signature));
  EXPECT_FALSE(key->public_key().verify("massage", signature));
  EXPECT_FALSE(EcSigningKey::generate()->public_key().verify("message", signature));
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string changed = signature;
    changed[i] ^= 1;
    EXPECT_FALSE(key->public_key().verify("message", changed)) << "byte " << i;
  }
  EXPECT_FALSE(key->public_key().verify("message", ""));
  EXPECT_FALSE(key->public_key().verify("message", signature + "x"));
  EXPECT_FALSE(key->public_key().verify("message", signature.substr(1)));
}

TEST(EcdsaTest, KeysSurvivePemAndOthersAreRefused) {
  const auto key = EcSigningKey::generate();
  const std::string pem = *key->to_pem();
  const auto again = EcSigningKey::from_pem(pem);
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(again->public_key().id(), key->public_key().id());
  EXPECT_TRUE(EcPublicKey::from_pem(key->public_key().to_pem())->verify("m", again->sign("m")));

  EXPECT_EQ(EcSigningKey::from_pem("nonsense", "key.pem").error().where, "key.pem");
  EXPECT_EQ(EcPublicKey::from_pem("nonsense", "key.pub").error().where, "key.pub");
  EXPECT_FALSE(EcPublicKey::from_pem(pem).ok()) << "a private key is no public one";
  EXPECT_FALSE(EcSigningKey::from_pem(key->public_key().to_pem()).ok());
  const auto other = EcSigningKey::from_pem(*SigningKey::generate()->to_pem(), "log.pem");
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().text().find("P-256"), std::string::npos) << other.error().text();
}

class OpensslTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "retort_crypto_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    ASSERT_TRUE(base::make_directories(folder_).ok());
  }
  std::string path(const std::string& name) const { return base::join(folder_, name); }
  void write(const std::string& name, const std::string& content) const {
    ASSERT_TRUE(base::write_file_atomic(path(name), content).ok());
  }
  // Runs `openssl ARGUMENTS` in the folder; whether it succeeded.
  bool openssl(const std::string& arguments) const {
    const std::string line = "cd '" + folder_ + "' && openssl " + arguments + " >out.txt 2>&1";
    return std::system(line.c_str()) == 0;  // NOLINT(cert-env33-c): the oracle is a program
  }
  std::string folder_;
};

TEST_F(OpensslTest, VerifiesOurSignatures) {
  const auto key = EcSigningKey::generate();
  const Envelope envelope = sign_envelope(kInTotoPayload, "{\"a\":1}", *key);
  write("key.pub", key->public_key().to_pem());
  write("message", "DSSEv1 28 application/vnd.in-toto+json 7 {\"a\":1}");
  write("signature", envelope.signatures[0].signature);
  EXPECT_TRUE(openssl("dgst -sha256 -verify key.pub -signature signature message"));
  write("message", "DSSEv1 28 application/vnd.in-toto+json 7 {\"a\":2}");
  EXPECT_FALSE(openssl("dgst -sha256 -verify key.pub -signature signature message"));
}

TEST_F(OpensslTest, ItsKeysAndSignaturesAreTaken) {
  ASSERT_TRUE(openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem"));
  ASSERT_TRUE(openssl("ecparam -name prime256v1 -genkey -noout -out sec1.pem"));
  ASSERT_TRUE(openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem"));
  ASSERT_TRUE(openssl("pkey -in key.pem -pubout -out key.pub"));
  ASSERT_TRUE(openssl("pkey -in key.pem -aes256 -passout pass:secret -out locked.pem"));
  write("message", "of openssl");
  ASSERT_TRUE(openssl("dgst -sha256 -sign key.pem -out signature message"));

  const auto key = EcSigningKey::from_pem(*base::read_file(path("key.pem")));
  ASSERT_TRUE(key.ok()) << key.error().text();
  EXPECT_EQ(key->public_key().to_pem(), *base::read_file(path("key.pub")));
  EXPECT_TRUE(key->public_key().verify("of openssl", *base::read_file(path("signature"))));
  EXPECT_TRUE(EcSigningKey::from_pem(*base::read_file(path("sec1.pem"))).ok());
  EXPECT_FALSE(EcSigningKey::from_pem(*base::read_file(path("p384.pem"))).ok());
  EXPECT_FALSE(EcSigningKey::from_pem(*base::read_file(path("locked.pem"))).ok());
}

TEST(DsseTest, EncodesAsTheSpecificationSays) {
  EXPECT_EQ(pae("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_EQ(pae("", ""), "DSSEv1 0  0 ");
  EXPECT_EQ(pae("t", "\xC3\xA9"), "DSSEv1 1 t 2 \xC3\xA9") << "lengths are bytes";
}

TEST(DsseTest, TypePayloadAndKeyAreBound) {
  const auto key = EcSigningKey::generate();
  const auto other = EcSigningKey::generate();
  const Envelope good = sign_envelope("type", "payload", *key);
  EXPECT_TRUE(verify_envelope(good, key->public_key()));
  EXPECT_FALSE(verify_envelope(good, other->public_key()));
  Envelope changed = good;
  changed.payload = "payloaD";
  EXPECT_FALSE(verify_envelope(changed, key->public_key()));
  changed = good;
  changed.payload_type = "typE";
  EXPECT_FALSE(verify_envelope(changed, key->public_key()));
  changed = good;
  changed.signatures.clear();
  EXPECT_FALSE(verify_envelope(changed, key->public_key()));
  changed.signatures = {{"", other->sign(pae("type", "payload"))},
                        {"", good.signatures[0].signature}};
  EXPECT_TRUE(verify_envelope(changed, key->public_key())) << "one of several is enough";
  changed = sign_envelope("type", "payload", *other);
  changed.signatures[0].keyid = key->public_key().id();
  EXPECT_FALSE(verify_envelope(changed, key->public_key())) << "a claimed keyid is no signature";
}

}  // namespace
}  // namespace retort::crypto
