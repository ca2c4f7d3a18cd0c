// What a signed declaration can do, and what was tried with one.
#include "corpus/declarations.h"

#include <algorithm>

#include "corpus/testing_internal.h"
#include "crypto/hash.h"
#include "store/database.h"
#include "terms/reading.h"

namespace retort::corpus {
namespace {

using testing::has;
using testing::replaced;
using testing::TermsText;
using testing::Workshop;

constexpr int64_t kDay_ms = 86'400'000;

const TermsText kCompeting{
    .more =
        "[[rule]]\neffect = \"prohibit\"\naction = \"train.generative\"\nscope = \"competing\"\n"
        "object = \"outputs\"\nclause = \"2.3(e)\"\ntext = \"not to build a rival\"\n"};

terms::DeclarationDraft draft() {
  return {.declarant = "C. Ounsel",
          .role = "counsel",
          .model_id = "student",
          .statement = "The student answers one prompt of ours and competes with no product of A.",
          .valid_until = "2026-12-31",
          .max_records = 10};
}

// Five records under terms with a competing clause, and counsel with a key.
struct Office : Workshop {
  crypto::EcSigningKey counsel = *crypto::EcSigningKey::generate();
  terms::Terms bound;

  explicit Office(const std::string& name, const TermsText& text = kCompeting)
      : Workshop("declarations_" + name), bound(testing::terms_of(text)) {
    deciders = {counsel.public_key()};
    sealed(5, text);
  }
  std::string drafted(const terms::DeclarationDraft& what = draft()) const {
    auto text = terms::draft_declaration(what, {&bound});
    EXPECT_TRUE(text.ok()) << text.error().text();
    return text.value_or("");
  }
  static json::Value envelope(const std::string& statement, const crypto::EcSigningKey& key) {
    return terms::envelope_json(crypto::sign_envelope(crypto::kInTotoPayload, statement, key));
  }
  LoggedDeclaration declare(const std::string& statement) {
    auto logged = log_declaration(*log, envelope(statement, counsel), deciders, "d.json");
    EXPECT_TRUE(logged.ok()) << logged.error().text();
    return logged.value_or({});
  }
  // Past the interfaces: any envelope, under any name.
  void smuggle(const json::Value& envelope, const std::string& id) {
    ASSERT_TRUE(log->append("declaration", crypto::sha256_hex(json::canonical(envelope)),
                            json::Value::object({{"id", id}, {"envelope", envelope}}))
                    .ok());
  }
};

// Every refusal names the clause, the version and a record.
void expect_refused(Office& office, const std::string& reason,
                    terms::Purpose purpose = testing::any_purpose()) {
  const std::string text = office.refusal(std::move(purpose));
  EXPECT_TRUE(has(text, reason));
  EXPECT_TRUE(has(text, "door 1: prohibit train.generative (2.3(e)"));
  EXPECT_TRUE(has(text, "records "));
}

TEST(DeclarationsTest, ASignedAndLoggedOneLetsTheRunThroughAndIsOnRecord) {
  Office office("good");
  expect_refused(office, "not for a program to say");
  const auto declared = office.declare(office.drafted());
  EXPECT_EQ(declared.key, office.counsel.public_key().id());

  Clearance clearance = office.clearance();
  const auto cleared = clearance.clear<TrainGenerative>(office.selection());
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  EXPECT_EQ(cleared->permit().declarations, std::vector<std::string>{declared.declaration.id});
  const auto verdict = office.log->entry(cleared->permit().leaf);
  ASSERT_TRUE(verdict.ok());
  EXPECT_TRUE(has(json::dump(verdict->body), "\"records\":5"));
  EXPECT_TRUE(has(json::dump(*verdict->body.find("declarations")), declared.declaration.id));

  const std::string path = office.path("permission.json");
  ASSERT_TRUE(clearance.write_permission(path).ok());
  const std::string permission = *base::read_file(path);
  EXPECT_TRUE(has(permission, draft().statement)) << "word for word";
  EXPECT_TRUE(has(permission, "\"valid_until\": \"2026-12-31\""));
  EXPECT_TRUE(has(permission, declared.key));
}

TEST(DeclarationsTest, ThePlanKnowsThem) {
  Office office("plan");
  Origin origin;
  origin.door = {.provider = "example", .endpoint = "https://example.com/v1", .plan = "paid"};
  origin.model = origin.model_answered = "m-1";
  origin.captured_ms = office.clock.wall_ms();
  origin.terms = {{office.bound.id, terms::Object::outputs}};
  EXPECT_EQ(office.clearance().preview(origin).decision, terms::Decision::needs_declaration);
  office.declare(office.drafted());
  EXPECT_EQ(office.clearance().preview(origin).decision, terms::Decision::permit);
}

TEST(DeclarationsTest, ReplayedForAnotherModel) {
  Office office("model");
  office.declare(office.drafted());
  terms::Purpose other = testing::any_purpose();
  other.model_id = "student-2";
  expect_refused(office, "bound to the model student, and this is student-2", other);
}

TEST(DeclarationsTest, ForAnotherVersionOfTheTerms) {
  Office office("version");
  office.declare(office.drafted());
  TermsText newer = kCompeting;
  newer.version = "2";
  newer.time = "effective = 2026-05-01";
  office.bind(newer);
  const std::string text = office.refusal();
  EXPECT_TRUE(has(text, "door 2: prohibit train.generative (2.3(e)"));
  EXPECT_TRUE(has(text, "it lists door 1"));
}

TEST(DeclarationsTest, Expired) {
  Office office("expired");
  const auto declared = office.declare(office.drafted());
  office.clock.sleep_ms(declared.declaration.ends_ms - office.clock.wall_ms() - 1);
  EXPECT_EQ(office.refusal(), "") << "its last day";
  office.clock.sleep_ms(1);
  expect_refused(office, "it ended with 2026-12-31");
  // The clock set back does not help: the log has a later entry.
  office.clock.sleep_ms(-10 * kDay_ms);
  expect_refused(office, "it ended with 2026-12-31");
}

TEST(DeclarationsTest, ForLongerThanAYear) {
  Office office("long");
  terms::DeclarationDraft what = draft();
  what.valid_until = "9999-12-31";
  office.declare(office.drafted(what));
  expect_refused(office, "more than a year");
}

TEST(DeclarationsTest, SignedByAnotherKey) {
  Office office("key");
  const auto other = *crypto::EcSigningKey::generate();
  const auto envelope = Office::envelope(office.drafted(), other);
  const auto refused = log_declaration(*office.log, envelope, office.deciders, "d.json");
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(has(refused.error().text(), "no key among the deciders"));
  office.smuggle(envelope, crypto::sha256_hex(office.drafted()));
  expect_refused(office, "it is signed by no key among the deciders");
  // Whose name the envelope claims changes nothing, and it blocks no true one.
  json::Value claimed = envelope;
  claimed.find("signatures")->as_array()[0].set("keyid", office.counsel.public_key().id());
  office.smuggle(claimed, crypto::sha256_hex(office.drafted()));
  expect_refused(office, "it is signed by no key among the deciders");
  office.declare(office.drafted());
  EXPECT_EQ(office.refusal(), "");
  office.deciders.clear();
  expect_refused(office, "no deciders are named");
}

TEST(DeclarationsTest, AStatementEditedAfterItWasSigned) {
  Office office("edited");
  const auto signed_one = Office::envelope(office.drafted(), office.counsel);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"max_records\": 10", "\"max_records\": 99"},
           {"2026-12-31", "2027-05-31"},
           {"no product", "a product"}}) {
    json::Value edited = signed_one;
    const std::string text = replaced(office.drafted(), from, to);
    edited.set("payload", crypto::to_base64(text));
    EXPECT_FALSE(log_declaration(*office.log, edited, office.deciders, "d.json").ok());
    office.smuggle(edited, crypto::sha256_hex(text));
    expect_refused(office, "it is signed by no key among the deciders");
  }
  json::Value retyped = signed_one;
  retyped.set("payloadType", "application/json");
  EXPECT_FALSE(log_declaration(*office.log, retyped, office.deciders, "d.json").ok());
}

TEST(DeclarationsTest, Revoked) {
  Office office("revoked");
  const auto declared = office.declare(office.drafted());
  EXPECT_EQ(office.refusal(), "");
  const auto unknown = revoke_declaration(*office.log, {std::string(64, 'a'), "C. Ounsel", ""});
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  ASSERT_TRUE(
      revoke_declaration(*office.log, {declared.declaration.id, "C. Ounsel", "the plan changed"})
          .ok());
  expect_refused(office, "it was revoked on 2026-06-01 by C. Ounsel");
  // The same words signed and logged once more stay revoked.
  EXPECT_TRUE(has(office.declare(office.drafted()).declaration.void_reason, "revoked"));
  expect_refused(office, "it was revoked");
  terms::DeclarationDraft again = draft();
  again.statement += " It was looked at again.";
  office.declare(office.drafted(again));
  EXPECT_EQ(office.refusal(), "");
}

TEST(DeclarationsTest, BackDated) {
  Office office("dated");
  // There is no date to choose: a member that would hold one is refused.
  const std::string dated =
      replaced(office.drafted(), "\"role\"", "\"declared_on\": \"2026-01-01\", \"role\"");
  const auto refused =
      log_declaration(*office.log, Office::envelope(dated, office.counsel), office.deciders, "d");
  EXPECT_TRUE(has(refused.ok() ? "" : refused.error().text(), "declared_on"));
  office.smuggle(Office::envelope(dated, office.counsel), crypto::sha256_hex(dated));
  expect_refused(office, "not for a program to say");

  // Nor can its entry be made older by hand.
  office.declare(office.drafted());
  EXPECT_EQ(office.refusal(), "");
  const auto edited = (*store::Database::open(office.path("ledger/log.db")))
                          ->execute(
                              "UPDATE entries SET entry = replace(entry, '\"time_ms\":17802', "
                              "'\"time_ms\":17702') WHERE kind = 'declaration'");
  ASSERT_TRUE(edited.ok()) << edited.error().text();
  EXPECT_TRUE(has(office.refusal(), "does not fit its columns"));
}

TEST(DeclarationsTest, Blankets) {
  Office office("wildcard");
  const std::string good = office.drafted();
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"model_id\": \"student\"", "\"model_id\": \"*\""},
           {"\"terms\": [\n      \"" + office.bound.id + "\"", "\"terms\": [\n      \"*\""}}) {
    const std::string text = replaced(good, from, to);
    const auto envelope = Office::envelope(text, office.counsel);
    const auto refused = log_declaration(*office.log, envelope, office.deciders, "d.json");
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(has(refused.error().text(), "d.json: predicate"));
    office.smuggle(envelope, crypto::sha256_hex(text));
    expect_refused(office, "not for a program to say");
  }
}

TEST(DeclarationsTest, SignedButNotLogged) {
  Office office("unlogged");
  (void)Office::envelope(office.drafted(), office.counsel);
  expect_refused(office, "not for a program to say");
  // Nor does it count that another log holds it.
  Office other("elsewhere");
  other.declare(office.drafted());
  expect_refused(office, "not for a program to say");
}

TEST(DeclarationsTest, AgainstAPlainDenial) {
  Office office("denial", {.forbidden = "train.generative"});
  office.declare(office.drafted());
  const std::string text = office.refusal();
  EXPECT_TRUE(has(text, "door 1: prohibit train.generative (7.2"));
  EXPECT_TRUE(has(text, "it forbids this use"));
}

TEST(DeclarationsTest, ForMoreRecordsThanItIsFor) {
  Office office("many");
  terms::DeclarationDraft few = draft();
  few.max_records = 4;
  office.declare(office.drafted(few));
  expect_refused(office, "counts for at most 4 records, and 5 rely on it");
  terms::DeclarationDraft more = draft();
  more.max_records = 5;
  office.declare(office.drafted(more));
  EXPECT_EQ(office.refusal(), "") << "the one for most records is taken";
}

TEST(DeclarationsTest, WeightsAreDeclaredAsRecordsAre) {
  Office office("weights");
  TermsText text = kCompeting;
  text.series = "weights";
  text.more = replaced(text.more, "\"outputs\"", "\"weights\"");
  const std::string file = office.write_terms(text);
  office.bound = testing::terms_of(text);
  const std::string weights = office.path("model.bin");
  ASSERT_TRUE(base::write_file_atomic(weights, "weights").ok());
  const auto clear = [&] {
    auto cleared = office.clearance().clear_weights<TrainGenerative>(weights, "m", {file});
    return cleared.ok() ? "" : cleared.error().text();
  };
  EXPECT_TRUE(has(clear(), "weights 1: prohibit train.generative (2.3(e)"));
  office.declare(office.drafted());
  EXPECT_EQ(clear(), "");
}

// An own reading that tightens or loosens, signed or not, is in the log with its signature.
TEST(SignedReadingTest, CountsAgainFromTheLog) {
  Workshop shop("signed_reading");
  const auto key = *crypto::EcSigningKey::generate();
  auto own = testing::terms_of({.more = "[review]\nsig = \"s.json\"\n#"});
  own.envelope = json::dump(terms::envelope_json(
      crypto::sign_envelope(crypto::kInTotoPayload, terms::reading_statement(own), key)));
  shop.terms.add(own);
  auto store = shop.gathering();
  shop.gather(*store, 0, 2, {{own.id, terms::Object::outputs}});
  shop.seal(*store);
  EXPECT_TRUE(has(shop.refusal(), "its signature is no decider's over this text"));
  shop.deciders = {key.public_key()};
  EXPECT_EQ(shop.refusal(), "");
  shop.terms = {};
  EXPECT_EQ(shop.refusal(), "") << "the log keeps the signature";
}

}  // namespace
}  // namespace retort::corpus
