#include "terms/declaration.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "terms/evaluate.h"
#include "terms/reading.h"

namespace retort::terms {
namespace {

std::string toml(const std::string& series, const std::string& version, const std::string& more,
                 const std::string& review = "reader = \"R\"") {
  return "schema = \"retort.terms/1\"\nseries = \"" + series + "\"\nversion = \"" + version +
         "\"\nassigner = \"A\"\n[time]\neffective = 2026-01-01\n[source]\nbasis = \"express\"\n"
         "[[rule]]\neffect = \"permit\"\naction = \"train.generative\"\n" +
         more + "[review]\n" + review + "\n";
}

const char* const kCompeting =
    "[[rule]]\neffect = \"prohibit\"\naction = \"train.generative\"\nscope = \"competing\"\n"
    "clause = \"2.3(e)\"\ntext = \"not to build a rival\"\n";

Terms terms_of(const std::string& text) {
  auto parsed = parse_terms(text, "t.toml");
  EXPECT_TRUE(parsed.ok()) << parsed.error().text();
  return std::move(*parsed);
}

DeclarationDraft draft() {
  return {.declarant = "C. Ounsel",
          .role = "counsel",
          .model_id = "student",
          .statement = "The student answers one prompt of ours and competes with no product of A.",
          .valid_until = "2026-12-31",
          .max_records = 1000};
}

std::string drafted(const DeclarationDraft& what, const std::vector<const Terms*>& terms) {
  auto text = draft_declaration(what, terms);
  EXPECT_TRUE(text.ok()) << text.error().text();
  return text.value_or("");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string refusal(const std::string& statement) {
  const auto parsed = parse_declaration(statement, "d.json");
  return parsed.ok() ? "accepted" : parsed.error().text();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(DeclarationTest, IsBoundToOneModelAndListedVersions) {
  const Terms a = terms_of(toml("a", "1", kCompeting));
  const Terms b = terms_of(toml("b", "1", kCompeting));
  const std::string text = drafted(draft(), {&a, &b, &a});
  const auto parsed = parse_declaration(text, "d.json");
  ASSERT_TRUE(parsed.ok()) << parsed.error().text();
  EXPECT_EQ(parsed->id, crypto::sha256_hex(text));
  EXPECT_EQ(parsed->terms.size(), 2u);
  EXPECT_TRUE(parsed->lists(a.id) && parsed->lists(b.id));
  EXPECT_EQ(parsed->max_records, 1000);
  EXPECT_EQ(base::iso_date(parsed->ends_ms), "2027-01-01") << "the last day counts";
  EXPECT_TRUE(has(text, "\"name\": \"a 1\"")) << "a person reads which terms they are";
}

TEST(DeclarationTest, RefusesBlanketsAndWhatItDoesNotKnow) {
  const Terms a = terms_of(toml("a", "1", kCompeting));
  const std::string good = drafted(draft(), {&a});
  EXPECT_EQ(refusal(good), "accepted");
  const auto contains = [&](const std::string& from, const std::string& to,
                            const std::string& part) {
    const std::string sentence = refusal(replaced(good, from, to));
    EXPECT_TRUE(has(sentence, part)) << sentence << "\nwants " << part;
  };
  contains("\"student\"", "\"*\"", "blanket");
  contains("\"student\"", "\"stud*\"", "blanket");
  contains("\"student\"", "\"\"", "model_id");
  contains("[\n      \"" + a.id + "\"\n    ]", "[]", "blanket");
  contains("[\n      \"" + a.id + "\"", "[\n      \"*\"", "not the id of one version");
  contains("[\n      \"" + a.id + "\"", "[\n      \"" + a.id.substr(0, 16) + "\"", "not the id");
  contains("[\n      \"" + a.id + "\"", "[\n      \"" + std::string(64, 'a') + "\"", "subjects");
  contains("1000", "0", "max_records");
  contains("1000", "9000000000", "max_records");
  contains("\"2026-12-31\"", "\"\"", "end on a day");
  contains("\"2026-12-31\"", "\"never\"", "is not a date");
  contains("\"counsel\"", "\"intern\"", "intern");
  contains("\"C. Ounsel\"", "\" \"", "declarant");
  contains("declaration/v1", "declaration/v2", "no declaration");
  contains("Statement/v1", "Statement/v0.1", "in-toto");
  contains("\"role\"", "\"declared_on\": \"2026-01-01\", \"role\"", "declared_on");
  EXPECT_FALSE(parse_declaration("{", "d.json").ok());
  EXPECT_FALSE(draft_declaration(draft(), {}).ok()) << "about no terms";
}

// One record under terms with a competing clause, and declarations about it.
struct DeclarationCase {
  TermsSet known;
  Facts facts;
  Purpose purpose{.actions = {Action::train_generative}, .model_id = "student"};
  std::vector<Declaration> declarations;

  explicit DeclarationCase(const std::string& more = kCompeting) {
    facts.endpoint = "https://example.com/v1";
    facts.models = {"m-1"};
    facts.captured_ms = base::parse_iso_date("2026-06-01");
    add(toml("a", "1", more));
  }
  const Terms& add(const std::string& text) {
    const Terms terms = terms_of(text);
    known.add(terms);
    facts.terms.push_back({terms.id, Object::outputs});
    return *known.find(terms.id);
  }
  const Terms& terms(size_t i = 0) const { return *known.find(facts.terms[i].id); }
  Declaration& declare(const std::vector<const Terms*>& terms, DeclarationDraft what = draft()) {
    declarations.push_back(*parse_declaration(drafted(what, terms), "d.json"));
    return declarations.back();
  }
  Verdict verdict() const {
    return evaluate(facts, known, purpose, Action::train_generative, declarations);
  }
  std::string sentence() const {
    const auto found = verdict().findings;
    return found.empty() ? "" : found[0].sentence();
  }
};

TEST(DeclarationTest, LiftsWhatNeedsOneAndSaysSo) {
  DeclarationCase c;
  EXPECT_EQ(c.verdict().decision, Decision::needs_declaration);
  const std::string id = c.declare({&c.terms()}).id;
  const Verdict verdict = c.verdict();
  EXPECT_EQ(verdict.decision, Decision::permit) << c.sentence();
  ASSERT_EQ(verdict.declared.size(), 1u);
  EXPECT_EQ(verdict.declared[0].declaration_id, id);
  EXPECT_EQ(verdict.declared[0].declarant, "C. Ounsel");
  EXPECT_TRUE(has(verdict.declared[0].question.clause, "2.3(e)"));
  EXPECT_EQ(meet(verdict, verdict).declared.size(), 1u);

  c.purpose.distributed = true;
  c.known.add(terms_of(toml("b", "1", "[duty]\nname_prefix = \"B\"\n")));
  c.facts.terms.push_back({c.known.versions("b")[0]->id, Object::outputs});
  EXPECT_EQ(c.verdict().decision, Decision::permit_with_duties) << "duties stay";
}

TEST(DeclarationTest, ForAnotherModelOrVersionItDoesNotCount) {
  DeclarationCase c;
  c.declare({&c.terms()});
  c.purpose.model_id = "student-2";
  EXPECT_EQ(c.verdict().decision, Decision::needs_declaration);
  EXPECT_TRUE(has(c.sentence(), "a 1: prohibit train.generative (2.3(e)")) << c.sentence();
  EXPECT_TRUE(has(c.sentence(), "bound to the model student, and this is student-2"));
  EXPECT_TRUE(has(c.sentence(), c.declarations[0].id.substr(0, 16)));

  DeclarationCase other;
  const Terms newer = terms_of(replaced(toml("a", "2", kCompeting), "2026-01-01", "2026-03-01"));
  other.declare({&other.terms()});
  other.known.add(newer);
  EXPECT_EQ(other.verdict().decision, Decision::needs_declaration);
  EXPECT_TRUE(has(other.sentence(), "a 2: prohibit")) << other.sentence();
  EXPECT_TRUE(has(other.sentence(), "it lists a 1")) << other.sentence();
  other.declare({&newer});
  EXPECT_EQ(other.verdict().decision, Decision::permit);
}

TEST(DeclarationTest, AVoidOneIsNamedWithItsReason) {
  DeclarationCase c;
  c.declare({&c.terms()}).void_reason = "it was revoked on 2026-05-01";
  EXPECT_EQ(c.verdict().decision, Decision::needs_declaration);
  EXPECT_TRUE(has(c.sentence(), "it was revoked on 2026-05-01")) << c.sentence();
  DeclarationDraft again = draft();
  again.valid_until = "2026-11-30";
  c.declare({&c.terms()}, again);
  EXPECT_EQ(c.verdict().decision, Decision::permit) << "another one counts";
}

TEST(DeclarationTest, LiftsNoPlainDenial) {
  const std::string plain =
      "[[rule]]\neffect = \"prohibit\"\naction = \"train.generative\"\nclause = \"4\"\n";
  for (const auto& more : {plain, plain + kCompeting}) {
    DeclarationCase c(more);
    c.declare({&c.terms()});
    EXPECT_EQ(c.verdict().decision, Decision::deny) << more;
  }
  DeclarationCase silent(kCompeting);
  const Terms none = terms_of(replaced(toml("n", "1", kCompeting), "\"permit\"", "\"prohibit\""));
  silent.known.add(none);
  silent.facts.terms = {{none.id, Object::outputs}};
  silent.declare({&none});
  EXPECT_EQ(silent.verdict().decision, Decision::deny) << "no clause permits it";
  DeclarationCase competes;
  competes.declare({&competes.terms()});
  competes.purpose.competing = true;
  EXPECT_EQ(competes.verdict().decision, Decision::deny) << "the purpose says that it competes";
}

TEST(DeclarationTest, ServesAnExceptionAndResearchToo) {
  DeclarationCase order(
      "[[rule]]\neffect = \"prohibit\"\naction = \"train.generative\"\nunless = \"order\"\n");
  EXPECT_EQ(order.verdict().decision, Decision::needs_declaration);
  order.declare({&order.terms()});
  EXPECT_EQ(order.verdict().decision, Decision::permit);

  DeclarationCase research;
  research.known = {};
  research.facts.terms.clear();
  research.add(replaced(toml("r", "1", ""), "action", "scope = \"research\"\naction"));
  EXPECT_EQ(research.verdict().decision, Decision::needs_declaration);
  research.declare({&research.terms()});
  EXPECT_EQ(research.verdict().decision, Decision::permit);
}

TEST(StatementTest, EnvelopesSurviveJsonAndAreReadStrictly) {
  const auto key = *crypto::EcSigningKey::generate();
  const auto envelope = crypto::sign_envelope(crypto::kInTotoPayload, "{}", key);
  const json::Value value = envelope_json(envelope);
  const auto again = envelope_from_json(value, "e");
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(again->payload, "{}");
  EXPECT_EQ(again->signatures, envelope.signatures);
  EXPECT_EQ(signer(*again, {key.public_key()})->id(), key.public_key().id());
  EXPECT_EQ(signer(*again, {}), nullptr);

  const auto refused = [&](auto change) {
    json::Value bad = value;
    change(bad);
    return !envelope_from_json(bad, "e").ok();
  };
  EXPECT_TRUE(refused([](json::Value& v) { v.set("payload", "not base64!"); }));
  EXPECT_TRUE(refused([](json::Value& v) { v.set("signatures", json::Value::array()); }));
  EXPECT_TRUE(refused([](json::Value& v) { v.set("signatures", 7); }));
  EXPECT_TRUE(refused([](json::Value& v) { v.set("more", 7); }));
  EXPECT_FALSE(envelope_from_json(json::Value(7), "e").ok());
}

TEST(StatementTest, DecidersComeFromFilesWithOneKeyOrMore) {
  const auto a = crypto::EcSigningKey::generate()->public_key();
  const auto b = crypto::EcSigningKey::generate()->public_key();
  const std::string path = ::testing::TempDir() + "retort_deciders.pem";
  ASSERT_TRUE(base::write_file_atomic(path, "# counsel\n" + a.to_pem() + "\n" + b.to_pem()).ok());
  const auto keys = load_deciders({path});
  ASSERT_TRUE(keys.ok()) << keys.error().text();
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0].id(), a.id());
  EXPECT_EQ((*keys)[1].id(), b.id());
  ASSERT_TRUE(base::write_file_atomic(path, "nothing\n").ok());
  EXPECT_EQ(load_deciders({path}).error().where, path);
  EXPECT_FALSE(load_deciders({path + ".missing"}).ok());
}

// An own reading with a signature, and what becomes of it.
struct Signed {
  crypto::EcSigningKey key = *crypto::EcSigningKey::generate();
  Terms terms = terms_of(toml("own", "1", "", "reader = \"R\"\nrole = \"owner\"\nsig = \"s\""));
  void sign(const std::string& statement) {
    const auto envelope = crypto::sign_envelope(crypto::kInTotoPayload, statement, key);
    terms.envelope = json::dump(envelope_json(envelope));
  }
  bool counts(const Deciders& deciders) {
    check_signature(terms, deciders);
    return terms.is_signed;
  }
};

TEST(ReadingTest, ASignatureCountsForThisFileByADecider) {
  Signed own;
  const Deciders deciders = {own.key.public_key()};
  EXPECT_FALSE(own.counts(deciders)) << "unsigned";
  own.sign(reading_statement(own.terms));
  EXPECT_TRUE(own.counts(deciders));
  EXPECT_FALSE(own.counts({})) << "no decider is named";
  EXPECT_FALSE(own.counts({crypto::EcSigningKey::generate()->public_key()}));

  Terms other = own.terms;
  other.id = std::string(64, '0');
  own.sign(reading_statement(other));
  EXPECT_FALSE(own.counts(deciders)) << "the signature of another text";
  other = own.terms;
  other.reader = "S";
  own.sign(reading_statement(other));
  EXPECT_FALSE(own.counts(deciders)) << "another reader's name";
  own.terms.envelope = "{}";
  EXPECT_FALSE(own.counts(deciders));
}

TEST(ReadingTest, TheSignatureFileStandsBesideTheTerms) {
  const std::string folder = ::testing::TempDir() + "retort_signed_reading";
  ASSERT_TRUE(base::make_directories(folder).ok());
  const std::string path = base::join(folder, "own.toml");
  const std::string text = toml("own", "1", "", "reader = \"R\"\nsig = \"own.sig.json\"");
  ASSERT_TRUE(base::write_file_atomic(path, text).ok());
  ASSERT_TRUE(base::remove_all(base::join(folder, "own.sig.json")).ok());
  EXPECT_TRUE(has(load_terms(path).error().text(), "terms sign"))
      << load_terms(path).error().text();
  ASSERT_TRUE(base::write_file_atomic(base::join(folder, "own.sig.json"), "{\"a\": 1}").ok());
  const auto loaded = load_terms(path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  EXPECT_EQ(loaded->envelope, "{\"a\": 1}");
}

}  // namespace
}  // namespace retort::terms
