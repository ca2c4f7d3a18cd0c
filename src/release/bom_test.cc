#include "release/bom.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files.h"
#include "crypto/hash.h"

namespace retort::release {
namespace {

using json::Value;
using ::testing::HasSubstr;

constexpr const char* kTerms = R"(schema = "retort.terms/1"
series = "example.api"
version = "2026-01-01"
assigner = "Example"
[time]
effective = 2026-01-01
[source]
url = "https://example.com/terms"
basis = "express"
[[rule]]
effect = "permit"
action = "train.generative"
clause = "2"
text = "words"
[duty]
name_prefix = "Example"
display = ["Built with Example"]
[review]
reader = "R"
)";

// A log with one run: 30 answers of a door, from two shards, base weights and a declaration.
class BomTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/bom_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    log_ = std::move(*ledger::Ledger::open(base::join(folder_, "ledger"), {.clock = &clock_}));
    const auto terms = *terms::parse_terms(kTerms, "terms");
    add("terms", terms.id, Value::object({{"text", kTerms}}));
    lineage::RunManifest run;
    run.model_id = "Example-small";
    run.program = "retort 1";
    run.purpose = Value::object();
    run.by_door = {{add("door", "d",
                        Value::object({{"provider", "example.com"},
                                       {"endpoint", "https://api.example.com/v1"},
                                       {"plan", "paid"},
                                       {"model", "large"}})),
                    30}};
    for (const int64_t records : {10, 20}) {
      run.shards.push_back(add("shard", digest(std::to_string(records)),
                               Value::object({{"records", records},
                                              {"root", digest("root")},
                                              {"source", "collect"},
                                              {"captured_from_ms", 1'780'000'000'000 + records},
                                              {"captured_to_ms", 1'780'000'100'000 + records}})));
    }
    run.records = 30;
    run.split = "train";
    run.selection = digest("selection");
    run.by_terms = {{{terms.id}, 30}};
    run.verdicts = {add("verdict", "",
                        Value::object({{"path", "optimizer"},
                                       {"action", "train.generative"},
                                       {"decision", "permit_with_duties"},
                                       {"records", 30},
                                       {"refused", 2}}))};
    run.base = lineage::WeightsUsed{digest("base"), "base-model", run.verdicts[0], {terms.id}, {}};
    run.declarations = {
        add("declaration", "x",
            *json::parse(
                R"({"envelope":{"payload":"c2FpZCBieSBhIHBlcnNvbg==","payloadType":)"
                R"("application/vnd.in-toto+json","signatures":[{"keyid":"","sig":"c2ln"}]}})"))};
    run.objective = "sequence_kd";
    run.evaluation = lineage::Evaluation{run.shards, "held_out", 5};
    const auto body = lineage::to_json(run);
    const int64_t entry = add("run", lineage::run_name(body), body);
    model_ = base::join(folder_, "student.gguf");
    ASSERT_TRUE(base::write_file_atomic(model_, "weights").ok());
    logged_ = *lineage::log_model(*log_, {.path = model_,
                                          .model_id = run.model_id,
                                          .form = "gguf",
                                          .run = entry,
                                          .made_from = {digest("base")}});
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  int64_t add(const std::string& kind, const std::string& name, Value body) {
    const auto index = log_->append(kind, name, std::move(body));
    EXPECT_TRUE(index.ok()) << index.error().text();
    return *index;
  }
  static std::string digest(const std::string& text) { return crypto::sha256_hex(text); }
  Bom bom() {
    auto made = bom_of(*log_, logged_.name, "retort 1");
    EXPECT_TRUE(made.ok()) << (made ? "" : made.error().text());
    return std::move(*made);
  }

  base::ManualClock clock_;
  std::string folder_, model_;
  std::unique_ptr<ledger::Ledger> log_;
  lineage::ModelEntry logged_;
};

TEST_F(BomTest, GathersWhatTheLogSays) {
  const Bom made = bom();
  ASSERT_EQ(made.terms.size(), 1U);
  EXPECT_EQ(made.terms[0].records, 30);
  EXPECT_EQ(made.doors[0].model, "large");
  EXPECT_EQ(made.shards.size(), 2U);
  EXPECT_EQ(made.shards[0].records + made.shards[1].records, records_of(made));
  EXPECT_EQ(captured(made).first, 1'780'000'000'010);
  EXPECT_EQ(captured(made).second, 1'780'000'100'020);
  EXPECT_EQ(made.verdicts[0].refused, 2);
  EXPECT_EQ(made.verdicts[0].decision, "permit_with_duties");
  EXPECT_EQ(made.declarations[0].statement, "said by a person");
  ASSERT_EQ(made.duties.size(), 2U);
  EXPECT_EQ(made.duties[0].value, "Example");
  EXPECT_EQ(made.size, log_->head()->size);
}

TEST_F(BomTest, CycloneDxNamesTeacherTermsDatasetAndBase) {
  const std::string text = json::dump(cyclonedx(bom()));
  for (const char* part : {R"("bomFormat":"CycloneDX")", R"("specVersion":"1.6")",
                           R"("type":"machine-learning-model")", "https://api.example.com/v1",
                           "example.api 2026-01-01", "name_prefix: Example", "2 refused",
                           R"("ancestors")", R"("content":"c2FpZCBieSBhIHBlcnNvbg==")"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, HasSubstr(digest("base")));
  EXPECT_THAT(text, HasSubstr(R"("name":"retort:records","value":"30")"));
}

TEST_F(BomTest, SpdxHasWhatItsProfilesAskFor) {
  const Value document = spdx(bom());
  std::map<std::string, int> types;
  for (const auto& item : document.find("@graph")->as_array()) {
    ++types[*item.string_at("type")];
    if (*item.string_at("type") == "CreationInfo") continue;
    EXPECT_NE(item.find("spdxId"), nullptr);
    EXPECT_NE(item.find("creationInfo"), nullptr);
  }
  EXPECT_EQ(types["ai_AIPackage"], 2) << "the model and its base";
  EXPECT_EQ(types["dataset_DatasetPackage"], 1);
  EXPECT_EQ(types["SpdxDocument"], 1);
  EXPECT_EQ(types["Relationship"], 3) << "trainedOn, hasDeclaredLicense, descendantOf";
}

TEST_F(BomTest, TheSameLogGivesTheSameBytes) {
  EXPECT_EQ(json::dump(cyclonedx(bom())), json::dump(cyclonedx(bom())));
  EXPECT_EQ(json::dump(spdx(bom())), json::dump(spdx(bom())));
}

TEST_F(BomTest, DisclosuresSayWhatIsKnownAndWhatIsNot) {
  const std::string text = disclosures(bom());
  EXPECT_THAT(text, HasSubstr("used to train the model?** Yes"));
  EXPECT_THAT(text, HasSubstr("large at https://api.example.com/v1: 30 records"));
  EXPECT_THAT(text, HasSubstr("12. *Synthetic data generation*: 30 of 30"));
  EXPECT_THAT(text, HasSubstr("not in the log"));
}

TEST_F(BomTest, AModelOfNoRunOrOfNoLog) {
  const std::string other = base::join(folder_, "other.gguf");
  ASSERT_TRUE(base::write_file_atomic(other, "others").ok());
  const auto foreign =
      *lineage::log_model(*log_, {.path = other, .model_id = "other", .form = "foreign"});
  const auto made = bom_of(*log_, foreign.name, "retort 1");
  ASSERT_TRUE(made.ok());
  EXPECT_FALSE(made->run);
  EXPECT_THAT(json::dump(cyclonedx(*made)), HasSubstr("foreign"));
  EXPECT_THAT(json::dump(spdx(*made)), HasSubstr("ai_AIPackage"));
  EXPECT_THAT(disclosures(*made), HasSubstr("can answer nothing"));
  EXPECT_EQ(bom_of(*log_, digest("x"), "retort 1").error().code, ErrorCode::not_found);
}

// For tests/peers/bom_peers.py, which holds them against the standards' own schemas.
TEST_F(BomTest, WritesBothForOthersToCheck) {
  const char* folder = std::getenv("RETORT_BOM_OUT");
  if (folder == nullptr) GTEST_SKIP() << "RETORT_BOM_OUT names no folder";
  ASSERT_TRUE(base::make_directories(folder).ok());
  ASSERT_TRUE(
      base::write_file_atomic(base::join(folder, "bom.cdx.json"), json::dump(cyclonedx(bom()), 1))
          .ok());
  ASSERT_TRUE(
      base::write_file_atomic(base::join(folder, "bom.spdx.json"), json::dump(spdx(bom()), 1))
          .ok());
}

}  // namespace
}  // namespace retort::release
