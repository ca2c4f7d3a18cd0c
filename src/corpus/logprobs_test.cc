// Log-probabilities: the packed file alone, and on their way from an answer to cleared records.
#include <cmath>

#include "base/random.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"
#include "store/database.h"

namespace retort::corpus {
namespace {

using testing::execute;
using testing::has;
using testing::request;
using testing::Workshop;

constexpr float kBound = 1.0F / 4096;

// `count` tokens of 20 alternatives from 5,000 strings; every fourth takes a token that is none of
// them, every seventh one whose value nobody knows.
std::vector<TokenLogprobs> some_tokens(int64_t count, uint64_t seed) {
  base::Random random(seed);
  std::vector<TokenLogprobs> out;
  for (int64_t i = 0; i < count; ++i) {
    TokenLogprobs token;
    const size_t entries = i % 4 == 0 ? 21 : 20;
    double left = 1;
    for (size_t entry = 0; entry < entries; ++entry) {
      const double mass = left * (0.1 + 0.8 * random.uniform());
      left -= mass;
      std::string bytes = "\xf0\x9f" + std::to_string(random.below(5000));
      token.entries.push_back({std::move(bytes), static_cast<float>(std::log(mass))});
    }
    token.chosen = i % 4 == 0 ? 20 : static_cast<int64_t>(random.below(20));
    if (i % 7 == 0) token.entries[static_cast<size_t>(token.chosen)].logprob = NAN;
    token.tail = i % 3 == 0 ? 0 : static_cast<float>(left);
    out.push_back(std::move(token));
  }
  return out;
}

void expect_same(const std::vector<TokenLogprobs>& kept, const std::vector<TokenLogprobs>& given) {
  ASSERT_EQ(kept.size(), given.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    ASSERT_EQ(kept[i].entries.size(), given[i].entries.size());
    EXPECT_EQ(kept[i].chosen, given[i].chosen);
    EXPECT_NEAR(kept[i].tail, given[i].tail, given[i].tail * kBound * 1.01F + 1e-13F);
    for (size_t j = 0; j < kept[i].entries.size(); ++j) {
      const auto& [bytes, logprob] = kept[i].entries[j];
      EXPECT_EQ(bytes, given[i].entries[j].bytes);
      if (std::isnan(given[i].entries[j].logprob)) {
        EXPECT_TRUE(std::isnan(logprob));
      } else if (given[i].entries[j].logprob > -31.99F) {
        EXPECT_NEAR(logprob, given[i].entries[j].logprob, kBound);
      }
    }
  }
}

std::string key_of(char digit) {
  return std::string(64, digit);
}

TEST(LogprobFileTest, AValueIsOffByAtMostAQuarterOfAThousandth) {
  float worst = 0;
  for (float value = 0; value > -31.99F; value -= 0.00037F) {
    worst = std::max(worst, std::abs(logprob_of(logprob_code(value)) - value));
  }
  EXPECT_LE(worst, kBound);
  EXPECT_GT(worst, kBound * 0.9F);
  for (int code = 0; code <= 65'535; ++code) {
    ASSERT_EQ(logprob_code(logprob_of(static_cast<uint16_t>(code))), code);
  }
  EXPECT_TRUE(std::isnan(logprob_of(logprob_code(NAN))));
  EXPECT_EQ(logprob_of(logprob_code(1e-6F)), 0);
  for (const float far : {-32.0F, -9999.0F, -INFINITY}) {
    EXPECT_EQ(logprob_code(far), 65'534) << far;
  }
}

TEST(LogprobFileTest, WhatWasPackedComesBack) {
  const auto first = some_tokens(500, 1);
  const auto third = some_tokens(77, 2);
  LogprobWriter writer;
  writer.add(key_of('a'), first);
  writer.add(key_of('b'), {});
  writer.add(key_of('c'), third);
  const std::string bytes = writer.finish();
  const auto file = LogprobFile::parse(bytes, "test");
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_EQ((*file)->records(), 3);
  EXPECT_EQ((*file)->tokens(), 577);
  EXPECT_EQ((*file)->tokens_of(1), 0);
  EXPECT_TRUE((*file)->is_of(2, key_of('c')));
  EXPECT_FALSE((*file)->is_of(2, key_of('b')));
  expect_same((*file)->read(0), first);
  EXPECT_TRUE((*file)->read(1).empty());
  expect_same((*file)->read(2), third);
  // Packing what came back changes nothing: derived shards lose no more.
  LogprobWriter again;
  for (int64_t row = 0; row < 3; ++row) again.add(key_of("abc"[row]), (*file)->read(row));
  EXPECT_EQ(again.finish(), bytes);
}

TEST(LogprobFileTest, ATokenOfTwentyAlternativesTakes89Bytes) {
  auto tokens = some_tokens(20'000, 3);
  for (size_t i = 0; i < tokens.size(); i += 4) {
    tokens[i].entries.pop_back();
    tokens[i].chosen = 3;
  }
  LogprobWriter writer;
  writer.add(key_of('a'), tokens);
  const std::string bytes = writer.finish();
  const auto file = *LogprobFile::parse(bytes, "test");
  LogprobWriter without;
  without.add(key_of('a'), {});
  size_t dictionary = 0;
  for (int i = 0; i < 5000; ++i) dictionary += 3 + std::to_string(i).size();
  EXPECT_EQ(file->strings(), 5000);
  EXPECT_EQ(bytes.size(), without.finish().size() + dictionary + 20'000 * 89);
  std::printf("%.2f bytes a token\n", static_cast<double>(bytes.size()) / 20'000);
}

TEST(LogprobFileTest, WhatHasNoPlaceGoesToTheTail) {
  const std::string longest(255, 'x');
  TokenLogprobs token{
      {{longest, -1}, {longest + "x", -2}, {"a", -3}, {longest + "y", -4}}, 2, 0.5F};
  LogprobWriter writer;
  writer.add(key_of('a'), {&token, 1});
  token.chosen = 3;
  writer.add(key_of('b'), {&token, 1});
  // Then the dictionary runs full.
  std::vector<TokenLogprobs> many(1100);
  for (size_t i = 0; i < many.size(); ++i) {
    for (int j = 0; j < 255; ++j) {
      many[i].entries.push_back({std::to_string(i) + "." + std::to_string(j), -10});
    }
    many[i].chosen = 254;
  }
  writer.add(key_of('c'), many);
  const auto parsed = LogprobFile::parse(writer.finish(), "test");
  ASSERT_TRUE(parsed.ok()) << parsed.error().text();
  const auto& file = **parsed;
  const TokenLogprobs kept = file.read(0)[0];
  ASSERT_EQ(kept.entries.size(), 2u);
  EXPECT_EQ(kept.entries[1].bytes, "a");
  EXPECT_EQ(kept.chosen, 1);
  EXPECT_NEAR(kept.tail, 0.5 + std::exp(-2) + std::exp(-4), 1e-3);
  const TokenLogprobs taken = file.read(1)[0];
  ASSERT_EQ(taken.entries.size(), 3u);
  EXPECT_EQ(taken.chosen, 2);
  EXPECT_EQ(taken.entries[2].bytes, "");
  EXPECT_EQ(taken.entries[2].logprob, -4);
  EXPECT_EQ(file.strings(), 1 << 18);
  const auto all = file.read(2);
  expect_same({all.begin(), all.begin() + 1000}, {many.begin(), many.begin() + 1000});
  const TokenLogprobs last = all.back();
  ASSERT_EQ(last.entries.size(), 1u);
  EXPECT_EQ(last.entries[0].bytes, "");
  EXPECT_NEAR(last.tail, 254 * std::exp(-10), 1e-5);
}

// A file made by hand after docs/reference/logprobs.md, not by this program.
TEST(LogprobFileTest, TheLayoutIsThatOfThePage) {
  const auto file = LogprobFile::parse(
      *base::read_file(RETORT_SOURCE_DIR "/tests/fuzz/corpus/logprobs/one"), "one");
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_TRUE((*file)->is_of(0, key_of('a')));
  expect_same((*file)->read(0), {{{{" the", -0.5F}, {"\xe2\x80", -2}, {"", -9}}, 0, 0.25F},
                                 {{{"<|im_end|>", -0.01F}}, 0, 0}});
}

TEST(LogprobFileTest, CutOffOrChangedBytesAreNeverReadPastTheirEnd) {
  LogprobWriter writer;
  writer.add(key_of('a'), some_tokens(9, 4));
  writer.add(key_of('b'), some_tokens(3, 5));
  const std::string good = writer.finish();
  for (size_t size = 0; size < good.size(); ++size) {
    const auto cut = LogprobFile::parse(good.substr(0, size), "cut.logprobs");
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_TRUE(has(cut.error().text(), "cut.logprobs"));
  }
  EXPECT_FALSE(LogprobFile::parse(good + "x", "test").ok());
  int64_t refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char mask : {'\x01', '\x80', '\xff'}) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      const auto file = LogprobFile::parse(changed, "test");
      refused += file.ok() ? 0 : 1;
      for (int64_t row = 0; file && row < (*file)->records(); ++row) (void)(*file)->read(row);
    }
  }
  EXPECT_GT(refused, 100);
}

// As answer(i), with log-probabilities that tell it from others; none for every third.
Answer with_told_logprobs(int64_t i) {
  Answer out = testing::answer(i);
  out.features = kLogprobs;
  if (i % 3 != 2) out.logprobs = some_tokens(5 + i / 2, 100 + static_cast<uint64_t>(i));
  return out;
}

// Requests first .. first + count - 1, asked for log-probabilities and answered.
void gather(Gathering& gathering, int64_t first, int64_t count,
            const std::vector<terms::Reference>& references) {
  std::vector<Record> requests;
  for (int64_t i = first; i < first + count; ++i) {
    requests.push_back(request(i, references));
    requests.back().sampling.top_logprobs = 20;
  }
  ASSERT_EQ(gathering.plan(requests).value_or(-1), count);
  const auto jobs = gathering.claim(count);
  ASSERT_TRUE(jobs.ok()) << jobs.error().text();
  for (size_t i = 0; i < jobs->size(); ++i) {
    ASSERT_TRUE(
        gathering.commit((*jobs)[i], with_told_logprobs(first + static_cast<int64_t>(i))).ok());
  }
}

std::string sealed(Workshop& shop, int64_t count = 5) {
  auto gathering = shop.gathering();
  gather(*gathering, 0, count, shop.bind({}));
  return shop.seal(*gathering).shards.at(0);
}

Selection with_told_logprobs(const std::string& folder) {
  return {.folder = folder, .path_label = "test", .logprobs = true};
}

std::string refusal(Workshop& shop, bool asked = true) {
  Selection selection = shop.selection();
  selection.logprobs = asked;
  const auto cleared = shop.clearance().clear<TrainGenerative>(selection);
  EXPECT_TRUE(cleared.ok() || cleared.error().code == ErrorCode::bad_input);
  return cleared.ok() ? "" : cleared.error().text();
}

TEST(LogprobsTest, GatheredSealedClearedCurated) {
  Workshop shop("logprobs");
  const std::string path = sealed(shop);
  EXPECT_TRUE(base::exists(logprobs_path(path)));
  const auto cleared = shop.clearance().clear<TrainGenerative>(with_told_logprobs(shop.shards()));
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  ASSERT_EQ(cleared->size(), 5);
  for (int64_t row = 0; row < 5; ++row) {
    const auto given = with_told_logprobs(row).logprobs;
    EXPECT_EQ((*cleared)[row].logprob_tokens, std::ssize(given));
    EXPECT_EQ((*cleared)[row].sampling.top_logprobs, 20);
    expect_same(cleared->logprobs(row), given);
  }
  const auto text_alone = shop.clearance().clear<TrainGenerative>(shop.selection());
  ASSERT_TRUE(text_alone.ok());
  EXPECT_EQ(text_alone->digest(), cleared->digest());

  const auto view = shop.clearance().curate(shop.selection("curate"));
  ASSERT_TRUE(view.ok()) << view.error().text();
  DerivedWriter writer(*view, *shop.log, {.folder = shop.path("curated")}, "curate");
  writer.keep(view->parent(3), "train");
  writer.keep(view->parent(2), "train");
  writer.add(view->parent(1), {.messages = {}, .answer = "Rewritten.", .split = "train"});
  const auto report = writer.finish();
  ASSERT_TRUE(report.ok()) << report.error().text();
  const auto derived =
      shop.clearance().clear<TrainGenerative>(with_told_logprobs(shop.path("curated")));
  ASSERT_TRUE(derived.ok()) << derived.error().text();
  ASSERT_EQ(derived->size(), 3);
  expect_same(derived->logprobs(0), with_told_logprobs(3).logprobs);
  EXPECT_TRUE(derived->logprobs(1).empty());
  EXPECT_TRUE(derived->logprobs(2).empty()) << "a new text has none";
  EXPECT_EQ((*derived)[2].logprob_tokens, 0);
}

TEST(LogprobsTest, AShardWithoutAnyHasNoFile) {
  Workshop shop("logprobs_none");
  const std::string path = shop.sealed(3).shards.at(0);
  EXPECT_FALSE(base::exists(logprobs_path(path)));
  const auto cleared = shop.clearance().clear<TrainGenerative>(with_told_logprobs(shop.shards()));
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  EXPECT_TRUE(cleared->logprobs(0).empty());
  ASSERT_TRUE(base::write_file_atomic(logprobs_path(path), "RTLOGPRB").ok());
  EXPECT_TRUE(has(refusal(shop), "was sealed without log-probabilities"));
}

TEST(LogprobsTest, DamageIsFoundByWhoeverReads) {
  Workshop shop("logprobs_damage");
  const std::string path = sealed(shop);
  const std::string file = logprobs_path(path);
  const std::string good = *base::read_file(file);
  for (const size_t at : {size_t{0}, size_t{33}, size_t{60}, good.size() / 2, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    ASSERT_TRUE(base::write_file_atomic(file, bad).ok());
    EXPECT_TRUE(has(refusal(shop), "log-probabilities were changed")) << at;
    EXPECT_TRUE(has(refusal(shop, false), "log-probabilities were changed")) << at;
    EXPECT_FALSE(shop.clearance().curate(shop.selection()).ok());
    EXPECT_FALSE(verify(*Shard::open(path), *shop.log).ok());
  }
  ASSERT_TRUE(base::write_file_atomic(file, good.substr(0, good.size() - 7)).ok());
  EXPECT_TRUE(has(refusal(shop), "log-probabilities were changed"));
  ASSERT_TRUE(base::remove_all(file).ok());
  EXPECT_TRUE(has(refusal(shop), "log-probabilities are missing"));
  EXPECT_TRUE(has(refusal(shop, false), file)) << "the file is named";

  // Those of another shard, as good as they are.
  Workshop other("logprobs_other");
  const std::string foreign = logprobs_path(sealed(other, 7));
  ASSERT_TRUE(base::write_file_atomic(file, *base::read_file(foreign)).ok());
  EXPECT_TRUE(has(refusal(shop), "log-probabilities were changed"));
  ASSERT_TRUE(base::write_file_atomic(file, good).ok());
  EXPECT_EQ(refusal(shop), "");
}

// Even where the digest is the log's, as a sealer with a mistake in it would leave things.
TEST(LogprobsTest, RowsThatDoNotBelongAreRefused) {
  std::vector<CheckedRow> rows(2);
  for (size_t i = 0; i < 2; ++i) {
    rows[i] = {*crypto::digest_from_hex(key_of("ab"[i])), 3};
  }
  const auto refused = [&rows](const std::string& keys, int64_t tokens) {
    LogprobWriter writer;
    for (const char key : keys) writer.add(key_of(key), some_tokens(tokens, 1));
    const auto kept = match_logprobs(*LogprobFile::parse(writer.finish(), "x"), rows, "x");
    EXPECT_EQ(kept ? std::ssize(*kept) : 2, 2);
    return kept.ok() ? "" : kept.error().text();
  };
  EXPECT_EQ(refused("ab", 3), "");
  EXPECT_TRUE(has(refused("ba", 3), "of record 0 belong to another"));
  EXPECT_TRUE(has(refused("aa", 3), "of record 1 belong to another"));
  EXPECT_TRUE(has(refused("ab", 4), "of record 0 belong to another"));
  EXPECT_TRUE(has(refused("a", 3), "of 1 records, the shard has 2"));
}

TEST(LogprobsTest, TheDatabaseIsCheckedBeforeItIsSealed) {
  const std::pair<const char*, const char*> changes[] = {
      {"DELETE FROM logprobs WHERE job = 2", "are gone"},
      {"UPDATE logprobs SET file = (SELECT file FROM logprobs WHERE job = 1), "
       "digest = (SELECT digest FROM logprobs WHERE job = 1) WHERE job = 2",
       "not those that were written"},
      {"UPDATE logprobs SET file = substr(file, 1, length(file) - 1) WHERE job = 2",
       "not those that were written"},
      {"UPDATE answers SET record = replace(record, '\"logprob_tokens\":5', "
       "'\"logprob_tokens\":4') WHERE job = 2",
       "not the one that was written"}};
  for (const auto& [sql, said] : changes) {
    Workshop shop("logprobs_database");
    auto gathering = shop.gathering();
    gather(*gathering, 0, 3, shop.bind({}));
    gathering = nullptr;
    execute(shop.database(), sql);
    gathering = shop.gathering();
    const auto report = seal(*gathering, *shop.log, shop.terms, {.folder = shop.shards()});
    ASSERT_FALSE(report.ok()) << sql;
    EXPECT_TRUE(has(report.error().text(), said)) << sql;
    EXPECT_TRUE(has(report.error().text(), "job 2"));
  }
}

// What a seal left that was killed before its leaf was written goes, with all that lies beside.
TEST(LogprobsTest, ACrashBeforeTheLeafLeavesNothing) {
  Workshop shop("logprobs_crash");
  const std::string path = sealed(shop);
  const std::string name = base::join(shop.shards(), "0123456789abcdef.jsonl.zst");
  ASSERT_TRUE(base::write_file_atomic(name + ".pending", "half").ok());
  ASSERT_TRUE(base::write_file_atomic(logprobs_path(name), "half").ok());
  ASSERT_TRUE(mend_folder(shop.shards(), *shop.log).ok());
  EXPECT_FALSE(base::exists(logprobs_path(name)));
  EXPECT_TRUE(base::exists(logprobs_path(path)));
  EXPECT_EQ(refusal(shop), "");
}

}  // namespace
}  // namespace retort::corpus
