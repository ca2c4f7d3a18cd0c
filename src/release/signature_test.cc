#include "release/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "crypto/dsse.h"
#include "lineage/manifest.h"
#include "release/signed_facts.h"
#include "terms/statement.h"

namespace retort::release {
namespace {

using ::testing::HasSubstr;

const std::string kGolden = RETORT_SOURCE_DIR "/tests/golden/signing";

class SignatureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/signature_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    model_ = base::join(folder_, "model");
    ASSERT_TRUE(base::make_directories(base::join(model_, "sub")).ok());
    write("config.json", "{}");
    write("model.safetensors", "weights");
    write("sub/a.txt", "a");
    write("sub-b.txt", "b");
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(base::write_file_atomic(base::join(model_, name), text).ok());
  }
  std::string signature() const { return signature_path(model_); }
  void sign(json::Value facts = {}) {
    const auto made = sign_model(model_, key_, std::move(facts), signature());
    ASSERT_TRUE(made.ok()) << made.error().text();
  }
  Result<Signature> verify() { return verify_model(model_, key_.public_key(), signature()); }
  std::string refusal() {
    const auto verified = verify();
    return verified ? "" : verified.error().text();
  }
  // The bundle with another statement, signed by the right key all the same.
  void resign(const std::function<void(terms::Statement&)>& change) {
    auto bundle = *json::parse(*base::read_file(signature()), "bundle");
    const auto envelope = *terms::envelope_from_json(*bundle.find("dsseEnvelope"), "bundle");
    auto statement = *terms::parse_statement(envelope.payload, "statement");
    change(statement);
    bundle.set("dsseEnvelope",
               terms::envelope_json(crypto::sign_envelope(crypto::kInTotoPayload,
                                                          terms::statement_text(statement), key_)));
    ASSERT_TRUE(base::write_file_atomic(signature(), json::dump(bundle)).ok());
  }

  std::string folder_, model_;
  crypto::EcSigningKey key_ = *crypto::EcSigningKey::generate();
};

TEST(GoldenSignatureTest, OfAnotherProgramIsRead) {
  const auto key = *crypto::EcPublicKey::from_pem(*base::read_file(kGolden + "/public.pem"));
  const auto folder = verify_model(kGolden + "/model", key, kGolden + "/model.sig");
  ASSERT_TRUE(folder.ok()) << folder.error().text();
  EXPECT_EQ(folder->name, "model");
  ASSERT_EQ(folder->files.size(), 4U);
  EXPECT_EQ(folder->files[2].name, "sub/a.txt") << "by path, not by bytes";
  EXPECT_TRUE(folder->facts.is_null());
  const auto single = verify_model(kGolden + "/single.gguf", key, kGolden + "/single.sig");
  ASSERT_TRUE(single.ok()) << single.error().text();
  EXPECT_FALSE(verify_model(kGolden + "/single.gguf", key, kGolden + "/model.sig").ok());
}

TEST_F(SignatureTest, VerifiesWithWhatWasSignedAlong) {
  sign(json::Value::object({{"note", "ours"}}));
  const auto verified = verify();
  ASSERT_TRUE(verified.ok()) << verified.error().text();
  EXPECT_EQ(verified->name, "model");
  EXPECT_EQ(verified->files.size(), 4U);
  EXPECT_EQ(*verified->facts.string_at("note"), "ours");
  EXPECT_EQ(verified->key, key_.public_key().id());
}

TEST_F(SignatureTest, OfASingleFileStandsBesideIt) {
  const std::string file = base::join(folder_, "student.gguf");
  ASSERT_TRUE(base::write_file_atomic(file, "weights").ok());
  ASSERT_TRUE(sign_model(file, key_, {}, signature_path(file)).ok());
  EXPECT_TRUE(base::exists(file + ".sig"));
  EXPECT_TRUE(verify_model(file, key_.public_key(), file + ".sig").ok());
  ASSERT_TRUE(base::write_file_atomic(file, "others").ok());
  EXPECT_EQ(verify_model(file, key_.public_key(), file + ".sig").error().code,
            ErrorCode::refused_by_gate);
}

TEST_F(SignatureTest, EveryChangeOfTheFilesIsFound) {
  sign();
  write("model.safetensors", "weightz");
  EXPECT_THAT(refusal(), HasSubstr("model.safetensors"));
  write("model.safetensors", "weights");
  EXPECT_EQ(refusal(), "");
  write("sub/more.txt", "x");
  EXPECT_THAT(refusal(), HasSubstr("sub/more.txt"));
  ASSERT_TRUE(base::remove_all(base::join(model_, "sub/more.txt")).ok());
  std::filesystem::rename(base::join(model_, "sub-b.txt"), base::join(model_, "sub-c.txt"));
  EXPECT_THAT(refusal(), HasSubstr("sub-b.txt"));
  std::filesystem::rename(base::join(model_, "sub-c.txt"), base::join(model_, "sub-b.txt"));
  std::filesystem::rename(base::join(model_, "sub/a.txt"), base::join(folder_, "a.txt"));
  std::filesystem::create_symlink(base::join(folder_, "a.txt"), base::join(model_, "sub/a.txt"));
  EXPECT_THAT(refusal(), HasSubstr("link"));
}

TEST_F(SignatureTest, WhatGitKeepsIsNoPartOfAModel) {
  sign();
  ASSERT_TRUE(base::make_directories(base::join(model_, ".git")).ok());
  write(".git/index", "x");
  write(".gitattributes", "x");
  EXPECT_EQ(refusal(), "");
}

TEST_F(SignatureTest, AnotherKeyOrAnotherPayloadIsRefused) {
  sign();
  const auto other = *crypto::EcSigningKey::generate();
  EXPECT_EQ(verify_model(model_, other.public_key(), signature()).error().code,
            ErrorCode::refused_by_gate);
  auto bundle = *json::parse(*base::read_file(signature()), "bundle");
  auto* envelope = bundle.find("dsseEnvelope");
  envelope->set("payloadType", "application/json");
  ASSERT_TRUE(base::write_file_atomic(signature(), json::dump(bundle)).ok());
  EXPECT_THAT(refusal(), HasSubstr("in-toto"));
}

TEST_F(SignatureTest, AnEditedStatementIsRefused) {
  sign(json::Value::object({{"note", "ours"}}));
  auto bundle = *json::parse(*base::read_file(signature()), "bundle");
  auto* envelope = bundle.find("dsseEnvelope");
  std::string payload = *crypto::from_base64(*envelope->string_at("payload"));
  payload.replace(payload.find("ours"), 4, "mine");
  envelope->set("payload", crypto::to_base64(payload));
  ASSERT_TRUE(base::write_file_atomic(signature(), json::dump(bundle)).ok());
  EXPECT_THAT(refusal(), HasSubstr("not by this key"));
}

TEST_F(SignatureTest, HostileBundlesAreRefusedWithASentence) {
  for (const char* text : {"", "[]", "{}", "null", R"({"mediaType":"x"})",
                           R"({"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"})",
                           R"({"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",)"
                           R"("dsseEnvelope":{"payload":"","payloadType":"x","signatures":[]}})"}) {
    ASSERT_TRUE(base::write_file_atomic(signature(), text).ok());
    EXPECT_EQ(verify().error().code, ErrorCode::bad_input) << text;
  }
  const auto with_name = [this](const std::string& name) {
    sign();
    resign([&name](terms::Statement& statement) {
      json::Value resources = *statement.predicate.find("resources");
      resources.as_array()[0].set("name", name);
      statement.predicate.set("resources", std::move(resources));
    });
    return refusal();
  };
  for (const char* name : {"../config.json", "/etc/passwd", "sub/../config.json", ""}) {
    EXPECT_THAT(with_name(name), HasSubstr("no path within a model")) << name;
  }
  EXPECT_THAT(with_name("sub/a.txt"), HasSubstr("listed twice"));
  sign();
  resign([](terms::Statement& statement) { statement.subjects[std::string(64, 'a')] = "other"; });
  EXPECT_THAT(refusal(), HasSubstr("one subject"));
  sign();
  resign([](terms::Statement& statement) {
    statement.subjects = {{std::string(64, 'a'), "model"}};
  });
  EXPECT_THAT(refusal(), HasSubstr("do not add up"));
  sign();
  resign([](terms::Statement& statement) { statement.predicate_type = "https://example.com"; });
  EXPECT_THAT(refusal(), HasSubstr("model-signing"));
}

// A signer's list of ignored paths does not hide a file that was signed.
TEST_F(SignatureTest, AFileThatWasSignedCannotBeIgnored) {
  sign();
  resign([](terms::Statement& statement) {
    json::Value serialization = *statement.predicate.find("serialization");
    serialization.set("ignore_paths", json::Value::array({"model.safetensors"}));
    statement.predicate.set("serialization", std::move(serialization));
  });
  EXPECT_EQ(refusal(), "");
  write("model.safetensors", "weightz");
  EXPECT_THAT(refusal(), HasSubstr("model.safetensors"));
}

class SignedFactsTest : public SignatureTest {
 protected:
  void SetUp() override {
    SignatureTest::SetUp();
    log_ = std::move(*ledger::Ledger::open(base::join(folder_, "ledger")));
    const auto logged =
        lineage::log_model(*log_, {.path = model_, .model_id = "student", .form = "safetensors"});
    ASSERT_TRUE(logged.ok()) << logged.error().text();
    verifier_ = *base::read_file(base::join(folder_, "ledger/verifier.key"));
    while (verifier_.ends_with('\n')) verifier_.pop_back();
    const auto facts = signed_facts(*log_, logged->name);
    ASSERT_TRUE(facts.ok()) << facts.error().text();
    sign(*facts);
  }
  std::unique_ptr<ledger::Ledger> log_;
  std::string verifier_;
};

TEST_F(SignedFactsTest, ProveThatTheLogHeldTheModel) {
  const auto said = check_facts(*verify(), verifier_);
  ASSERT_TRUE(said.ok()) << said.error().text();
  EXPECT_THAT(said->front(), HasSubstr("held this model as entry 0 of 1"));
}

TEST_F(SignedFactsTest, OfAnotherLogAreRefused) {
  auto other = *ledger::Ledger::open(base::join(folder_, "other"));
  const auto key = ledger::verifier_key(other->origin(), other->public_key());
  EXPECT_EQ(check_facts(*verify(), key).error().code, ErrorCode::refused_by_gate);
}

TEST_F(SignedFactsTest, OfAnotherModelAreRefused) {
  const auto facts = verify()->facts;
  write("model.safetensors", "another model");
  sign(facts);
  EXPECT_THAT(check_facts(*verify(), verifier_).error().text(), HasSubstr("another model"));
}

TEST_F(SignedFactsTest, AnEditedEntryIsRefused) {
  auto facts = verify()->facts;
  std::string entry = *facts.string_at("entry");
  entry.replace(entry.find("student"), 7, "teacher");
  facts.set("entry", entry);
  sign(facts);
  EXPECT_THAT(check_facts(*verify(), verifier_).error().text(), HasSubstr("did not hold"));
}

TEST_F(SignedFactsTest, AModelThatNobodyLoggedHasNone) {
  EXPECT_EQ(signed_facts(*log_, std::string(64, 'a')).error().code, ErrorCode::not_found);
  sign();
  EXPECT_THAT(check_facts(*verify(), verifier_).error().text(), HasSubstr("nothing of a log"));
}

}  // namespace
}  // namespace retort::release
