#include "corpus/record.h"

#include <gtest/gtest.h>

#include "corpus/record_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

Record full() {
  Record record;
  record.door = {.provider = "example", .endpoint = "https://example.com/v1", .plan = "paid"};
  record.model = "m-1";
  record.messages = {{dialog::Role::system, "Be brief."},
                     {dialog::Role::user, "Why? ü 👩‍👩‍👧"}};
  record.sampling = {.temperature = 0.7,
                     .top_p = 0.9,
                     .top_k = 40,
                     .repetition_penalty = 1.15,
                     .max_tokens = 80,
                     .seed = 7,
                     .stop = {"\n\n"}};
  record.sample = 2;
  record.slots = {{"noun", "boat"}};
  record.template_index = 1;
  record.terms = {{std::string(64, 'a'), terms::Object::outputs},
                  {std::string(64, 'b'), terms::Object::texts}};
  record.model_answered = "m-1-0601";
  record.answer = "Because.";
  record.finish_reason = "stop";
  record.usage = {11, 3};
  record.request_id = "r-1";
  record.captured_ms = 1'780'272'000'000;
  record.preference = terms::Preference::yes;
  record.preference_text = "train-ai=y";
  record.features = kStreamed | kJsonMode;
  record.cost_micros = 1'250'001;
  record.principal = "account-1";
  record.sampling.top_logprobs = 20;
  record.logprob_tokens = 17;
  record.split = "train";
  for (size_t i = 0; i < record.salt.size(); ++i) record.salt[i] = static_cast<uint8_t>(i * 7);
  record.key = record_key(record);
  return record;
}

Result<Record> again(const Record& record) {
  const auto value = json::parse(json::dump(to_json(record)));
  if (!value) return value.error();
  return record_from_json(*value, "here");
}

TEST(RecordTest, JsonKeepsEveryField) {
  const auto read = again(full());
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(*read, full());
}

TEST(RecordTest, JsonKeepsParentsAndOrigins) {
  Record record = full();
  record.kind = Kind::merged;
  record.parents = {{std::string(64, '1'), 3, std::string(64, '2')},
                    {std::string(64, '3'), 0, std::string(64, '4')}};
  record.origins = {origin_of(full()), Origin{.kind = Kind::human, .captured_ms = 5}};
  record.key = record_key(record);
  const auto read = again(record);
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(*read, record);
  EXPECT_EQ(facts_of(*read).size(), 2u) << "each ancestor is judged";
}

TEST(RecordTest, KeyIsWhatWasAskedAndNotWhatCameBack) {
  const Record record = full();
  Record other = full();
  other.answer = "No reason.";
  other.captured_ms += 1;
  other.terms.clear();
  EXPECT_EQ(record_key(other), record.key);
  other.sample = 3;
  EXPECT_NE(record_key(other), record.key);
  Record own = full();
  own.kind = Kind::human;
  Record another = own;
  another.answer = "No reason.";
  EXPECT_NE(record_key(own), record_key(another)) << "own texts are their content";
}

// What was asked before anyone asked for log-probabilities keeps its key.
TEST(RecordTest, KeyOfARequestWithoutLogprobsIsAsItWas) {
  Record record;
  record.model = "m";
  record.messages = {{dialog::Role::user, "Hi."}};
  const std::string json =
      R"({"door":{"endpoint":"","plan":"","provider":""},)"
      R"("messages":[{"content":"Hi.","role":"user"}],"model":"m","sample":0,)"
      R"("sampling":{"max_tokens":0,"repetition_penalty":1,"temperature":1,"top_k":0,"top_p":1}})";
  EXPECT_EQ(record_key(record), crypto::sha256_hex(json));
  record.sampling.top_logprobs = 20;
  EXPECT_NE(record_key(record), crypto::sha256_hex(json));
}

TEST(RecordTest, RefusesWhatDoesNotFitItsKey) {
  auto value = to_json(full());
  (*value.find("retort")).set("model", "m-2");
  const auto read = record_from_json(value, "here");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::bad_input);
  EXPECT_NE(read.error().text().find("does not fit its key"), std::string::npos);
}

TEST(RecordTest, RefusesNewerSchemasAndWrongTypes) {
  const auto refused = [](const char* key, json::Value wrong, const char* word) {
    auto value = to_json(full());
    (*value.find("retort")).set(key, std::move(wrong));
    const auto read = record_from_json(value, "here");
    ASSERT_FALSE(read.ok()) << key;
    EXPECT_NE(read.error().text().find(word), std::string::npos) << read.error().text();
  };
  refused("schema", "retort.record/2", "newer");
  refused("kind", "alien", "kind");
  refused("kind", "derived", "parents");
  refused("terms", "none", "terms");
  refused("features", 70'000, "features");
  refused("salt", "00", "salt");
  refused("captured_ms", "now", "captured_ms");
  refused("captured_ms", 0, "captured_ms");
  refused("preference", 9, "preference");
  EXPECT_FALSE(record_from_json(json::Value::array(), "here").ok());
  EXPECT_FALSE(record_from_json(json::Value::object({{"retort", 3}}), "here").ok());
}

TEST(RecordTest, ContentHashesAreSalted) {
  const Record record = full();
  Record other = full();
  other.salt[3] ^= 1;
  const std::string a = leaf_bytes(record, {1, 2});
  const std::string b = leaf_bytes(other, {1, 2});
  ASSERT_EQ(a.size(), 91u);
  EXPECT_NE(a.substr(2, 32), b.substr(2, 32)) << "prompt";
  EXPECT_NE(a.substr(34, 32), b.substr(34, 32)) << "answer";
  EXPECT_EQ(a.substr(66), b.substr(66));
  EXPECT_EQ(a.find(crypto::as_bytes(crypto::sha256(record.answer))), std::string::npos);
}

TEST(RecordTest, LeafCommitsToWhatPermissionDependsOn) {
  const std::string before = leaf_bytes(full(), {1, 2});
  const auto changes = [&](auto change) {
    Record record = full();
    change(record);
    EXPECT_NE(leaf_bytes(record, {1, 2}), before);
  };
  changes([](Record& r) { r.kind = Kind::human; });
  changes([](Record& r) { r.captured_ms -= 1; });
  changes([](Record& r) { r.preference = terms::Preference::absent; });
  changes([](Record& r) { r.features = 0; });
  changes([](Record& r) { r.messages[0].content += "!"; });
  changes([](Record& r) { r.parents = {{std::string(64, '1'), 3, std::string(64, '2')}}; });
  EXPECT_NE(leaf_bytes(full(), {3, 2}), before);
  EXPECT_NE(leaf_bytes(full(), {1, 3}), before);
}

TEST(RecordTest, MoneyIsExact) {
  EXPECT_EQ(parse_micros("5.00").value_or(-1), 5'000'000);
  EXPECT_EQ(parse_micros("0.000125").value_or(-1), 125);
  EXPECT_EQ(format_micros(125), "0.000125");
  EXPECT_EQ(format_micros(5'000'000), "5.00");
  for (const char* wrong : {"", ".", "1.", "-1", "1e3", "1.0000001", "9999999999999"}) {
    EXPECT_FALSE(parse_micros(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace retort::corpus
