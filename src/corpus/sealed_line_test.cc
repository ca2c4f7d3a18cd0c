#include "corpus/sealed_line_internal.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

constexpr LeafCodes kCodes{.terms_set = 7, .door = 300'001};

std::string some_text(base::Random& random) {
  static const std::vector<std::string> kPieces = {"a", "word ", "\n",   "\"",   "\\", "\t",
                                                   "é", "😀",     "\x01", "\x1f", "/",  "{",
                                                   "}", ",",     "\x7f", ""};
  std::string out;
  const auto pieces = random.below(30);
  for (uint64_t i = 0; i < pieces; ++i) out += kPieces[random.below(kPieces.size())];
  return out;
}

std::string some_digest(base::Random& random) {
  return crypto::sha256_hex(std::to_string(random.below(1'000'000)));
}

Sampling some_sampling(base::Random& random) {
  Sampling out;
  if (random.below(2) == 0) out.temperature = static_cast<double>(random.below(200)) / 100;
  if (random.below(3) == 0) out.top_p = 0.9;
  if (random.below(3) == 0) out.repetition_penalty = 1e-7;
  out.max_tokens = static_cast<int64_t>(random.below(3)) * 80;
  if (random.below(2) == 0) out.seed = static_cast<int64_t>(random.below(1'000'000'000));
  if (random.below(3) == 0) out.top_logprobs = 20;
  if (random.below(3) == 0) out.stop = {"\n", some_text(random)};
  return out;
}

Record some_record(base::Random& random) {
  Record out;
  out.kind = static_cast<Kind>(1 + random.below(4));
  out.door = {"local", "https://example.com/v1", random.below(2) == 0 ? "" : some_text(random)};
  out.model = random.below(4) == 0 ? "" : "m-1";
  const auto turns = random.below(3);
  for (uint64_t i = 0; i < turns; ++i) {
    out.messages.push_back({static_cast<dialog::Role>(random.below(3)), some_text(random)});
  }
  out.sampling = some_sampling(random);
  out.sample = static_cast<int64_t>(random.below(3));
  if (random.below(2) == 0) out.slots = {{"a", some_text(random)}, {"noun", "x"}};
  if (random.below(2) == 0) out.template_index = static_cast<int64_t>(random.below(4));
  const auto references = random.below(3);
  for (uint64_t i = 0; i < references; ++i) {
    out.terms.push_back({some_digest(random), terms::Object::outputs});
  }
  out.model_answered = "m-1-0601";
  out.answer = some_text(random);
  out.finish_reason = "stop";
  out.usage = {10, static_cast<int64_t>(random.below(100))};
  out.request_id = some_text(random);
  out.captured_ms = testing::kNow_ms + static_cast<int64_t>(random.below(1'000));
  out.preference = static_cast<terms::Preference>(random.below(3));
  out.features = static_cast<uint16_t>(random.below(64));
  out.cost_micros = static_cast<int64_t>(random.below(3)) * 125;
  out.logprob_tokens = static_cast<int64_t>(random.below(2)) * 12;
  out.split = random.below(2) == 0 ? "" : "train";
  if (out.kind == Kind::derived || out.kind == Kind::merged) {
    const auto parents = 1 + random.below(3);
    for (uint64_t i = 0; i < parents; ++i) {
      out.parents.push_back(
          {some_digest(random), static_cast<int64_t>(i) * 70'000, some_digest(random)});
    }
  }
  for (auto& byte : out.salt) byte = static_cast<uint8_t>(random.below(256));
  out.key = record_key(out);
  return out;
}

// What was taken must be what the ordinary way takes, to the leaf.
void expect_same(SealedLine& sealed, const std::string& line) {
  const auto value = json::parse(line);
  ASSERT_TRUE(value.ok()) << line;
  const auto record = record_from_json(*value, "");
  ASSERT_TRUE(record.ok()) << record.error().text() << line;
  EXPECT_EQ(sealed.record(), *record) << line;
  EXPECT_EQ(crypto::to_hex(sealed.key()), record->key);
  EXPECT_EQ(sealed.features(), record->features);
  EXPECT_EQ(sealed.logprob_tokens(), record->logprob_tokens);
  EXPECT_EQ(sealed.leaf(kCodes), leaf_of(*record, kCodes)) << line;
}

TEST(SealedLineTest, TakesWhatThisProgramWrites) {
  base::Random random(11);
  SealedLine sealed;
  for (int round = 0; round < 5'000; ++round) {
    const Record record = some_record(random);
    const std::string line = json::dump(to_json(record));
    ASSERT_TRUE(sealed.read(line)) << line;
    EXPECT_EQ(sealed.record(), record);
    expect_same(sealed, line);
  }
}

// One byte changed, taken away or put in, or a stretch repeated, at any place: what is taken all
// the same means the same.
TEST(SealedLineTest, TakesNothingElse) {
  base::Random random(12);
  SealedLine sealed;
  int taken = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string line = json::dump(to_json(some_record(random)));
    const auto at = random.below(line.size());
    const auto how = random.below(5);
    if (how == 0) line[at] = static_cast<char>(random.below(256));
    if (how == 1) line.erase(at, 1 + random.below(3));
    if (how == 2) line.insert(at, 1, "0 ,\"}]\\9-"[random.below(9)]);
    if (how == 3) line.insert(at, line.substr(at, 1 + random.below(60)));
    if (how == 4) {
      const auto digit = line.find_first_of("0123456789", at);
      if (digit != std::string::npos) line[digit] = static_cast<char>('0' + random.below(10));
    }
    if (!sealed.read(line)) continue;
    ++taken;
    expect_same(sealed, line);
    if (HasFailure()) return;
  }
  EXPECT_GT(taken, 1'000);
}

// Other spellings of the same record, and lines that are no record, go the ordinary way.
TEST(SealedLineTest, LeavesOtherSpellingsToTheOrdinaryWay) {
  Record record = testing::request(1, {{std::string(64, 'c')}});
  record.answer = "An answer.";
  record.captured_ms = testing::kNow_ms;
  record.sampling.seed = 5;
  record.slots = {{"a", "x"}, {"b", "y"}};
  record.key = record_key(record);
  const std::string good = json::dump(to_json(record));
  SealedLine sealed;
  ASSERT_TRUE(sealed.read(good));
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"An answer", "\\u0041n answer"},
           {"\"sample\":0", "\"sample\": 0"},
           {"\"sample\":0", "\"sample\":-0"},
           {"{\"a\":\"x\",\"b\":\"y\"}", "{\"b\":\"y\",\"a\":\"x\"}"},
           {"{\"a\":\"x\",\"b\":\"y\"}", "{\"a\":\"x\",\"a\":\"y\"}"},
           {"\"seed\":5", "\"seed\":5.0"},
           {"\"max_tokens\":0", "\"max_tokens\":00"},
           {"\"temperature\":1.0", "\"temperature\":01.0"},
           {"\"temperature\":1.0", "\"temperature\":.5"},
           {"\"cost\":\"0.00\"", "\"cost\":\"x\""},
           {"\"preference\":0", "\"preference\":3"},
           {"\"features\":0", "\"features\":65536"},
           {"retort.record/1", "retort.record/2"},
           {"\"kind\":\"teacher\"", "\"kind\":\"derived\""},
           {"\"kind\":\"teacher\"", "\"kind\":\"other\""},
           {"\"object\":\"outputs\"", "\"object\":\"others\""},
           {"\"role\":\"assistant\"", "\"role\":\"user\""},
           {"\"salt\":\"00", "\"salt\":\"0"},
           {"\"salt\":\"00", "\"salt\":\"0G"},
           {"An answer",
            "An\xff"
            "answer"},
           {"}}", "}} "},
           {"}}", "}"},
       }) {
    EXPECT_FALSE(sealed.read(testing::replaced(good, from, to))) << from << " to " << to;
  }
  EXPECT_FALSE(sealed.read(""));
  EXPECT_TRUE(sealed.read(good)) << "and is as good as new";
  expect_same(sealed, good);
}

TEST(SealedLineTest, CodesAreAskedForWhereDoorOrTermsChange) {
  Record record = testing::request(1, {{std::string(64, 'c')}});
  record.captured_ms = 1;
  int asked = 0;
  SealedLine sealed;
  const auto code_of = [&](const Record& one) {
    Record whole = one;
    whole.key = record_key(whole);
    const std::string line = json::dump(to_json(whole));
    EXPECT_TRUE(sealed.read(line));
    return sealed
        .codes([&](const Record& found) -> Result<LeafCodes> {
          EXPECT_EQ(found.door, one.door);
          EXPECT_EQ(found.model, one.model);
          EXPECT_EQ(found.terms, one.terms);
          return LeafCodes{.terms_set = static_cast<uint32_t>(++asked), .door = 0};
        })
        ->terms_set;
  };
  EXPECT_EQ(code_of(record), 1u);
  EXPECT_EQ(code_of(record), 1u);
  record.model = "m-2";
  EXPECT_EQ(code_of(record), 2u);
  record.terms.push_back({std::string(64, 'd'), terms::Object::texts});
  EXPECT_EQ(code_of(record), 3u);
  record.sampling.max_tokens = 80;
  EXPECT_EQ(code_of(record), 3u);
  record.sampling.max_tokens = 800;
  EXPECT_EQ(code_of(record), 3u) << "not taken for 80";
}

}  // namespace
}  // namespace retort::corpus
