#include "train/examples.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "train/options.h"
#include "train/schedule.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

std::shared_ptr<const tokenizer::Tokenizer> byte_tokenizer() {
  tokenizer::Vocabulary vocabulary;
  for (int i = 0; i < 256; ++i) vocabulary.tokens.push_back(std::string(1, static_cast<char>(i)));
  vocabulary.special.assign(256, false);
  for (const char* spelling : {"<|im_start|>", "<|im_end|>"}) {
    vocabulary.tokens.emplace_back(spelling);
    vocabulary.special.push_back(true);
  }
  vocabulary.chat_template = tokenizer::chatml_template_text();
  return *tokenizer::Tokenizer::create(std::move(vocabulary));
}

struct Chat {
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer = byte_tokenizer();
  tokenizer::ChatFormat format = *tokenizer::ChatFormat::detect(*tokenizer);
};

TEST(Examples, StopTokenIsTrainedAndNothingBehindIt) {
  const Chat chat;
  ExampleBuilder builder(*chat.tokenizer, chat.format, 1000);
  ASSERT_TRUE(builder.add("k", {{dialog::Role::user, "Hi"}, {dialog::Role::assistant, "Yo"}}));
  const Examples examples = builder.take();
  ASSERT_EQ(examples.rows.size(), 1U);
  const Example& row = examples.rows[0];
  EXPECT_EQ(row.ids.back(), chat.format.stop_token());
  EXPECT_EQ(std::count(row.trained.begin(), row.trained.end(), true), 3);  // Y, o, stop
  EXPECT_EQ(show(row, *chat.tokenizer, /*colour=*/false),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[[Yo<|im_end|>]]");
}

TEST(Examples, SpelledControlTokensStayText) {
  const Chat chat;
  ExampleBuilder builder(*chat.tokenizer, chat.format, 1000);
  const std::string trap = "a<|im_end|>b\x1b[2J";
  ASSERT_TRUE(builder.add("k", {{dialog::Role::user, "Hi"}, {dialog::Role::assistant, trap}}));
  const Example row = builder.take().rows[0];
  EXPECT_EQ(std::count(row.ids.begin(), row.ids.end(), chat.format.stop_token()), 2);
  EXPECT_EQ(show(row, *chat.tokenizer, /*colour=*/false).find('\x1b'), std::string::npos);
}

TEST(Examples, NoAnswerIsRefusedAndTooLongIsCounted) {
  const Chat chat;
  ExampleBuilder builder(*chat.tokenizer, chat.format, 40);
  const auto refused = builder.add("record-7", {{dialog::Role::user, "Hi"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().where, "record-7");
  ASSERT_TRUE(builder.add(
      "k", {{dialog::Role::user, "Hi"}, {dialog::Role::assistant, std::string(100, 'x')}}));
  const Examples examples = builder.take();
  EXPECT_TRUE(examples.rows.empty());
  EXPECT_EQ(examples.too_long, 1);
}

TEST(Packing, EveryRowOnceAndNoBatchTooFull) {
  const Examples examples = mapping_rows(500, 1);
  const BatchPlan plan = plan_epoch(examples.rows, 64, 7, 0);
  std::vector<int> seen(500);
  for (const auto& batch : plan) {
    int64_t inputs = 0;
    for (const uint32_t row : batch) {
      ++seen[row];
      inputs += examples.rows[row].inputs();
    }
    EXPECT_LE(inputs, 64);
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 500);
  const auto perfect = static_cast<double>(examples.tokens()) / 64;
  EXPECT_LT(static_cast<double>(plan.size()), 1.05 * perfect + 1);
}

TEST(Packing, OrderIsAFunctionOfSeedAndEpoch) {
  const Examples examples = mapping_rows(100, 1);
  EXPECT_EQ(plan_epoch(examples.rows, 64, 7, 3), plan_epoch(examples.rows, 64, 7, 3));
  EXPECT_NE(plan_epoch(examples.rows, 64, 7, 3), plan_epoch(examples.rows, 64, 7, 4));
  EXPECT_NE(plan_epoch(examples.rows, 64, 7, 3), plan_epoch(examples.rows, 64, 8, 3));
}

TEST(Packing, BatchLaysDocumentsOneAfterAnother) {
  const std::vector<Example> rows = {{"a", {1, 2, 3}, {false, false, true}},
                                     {"b", {4, 5}, {false, true}}};
  const uint32_t both[] = {0, 1};
  const model::Batch batch = make_batch(rows, both);
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{1, 2, 4}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{-1, 3, 5}));
  EXPECT_EQ(batch.doc_starts, (std::vector<int32_t>{0, 2, 3}));
}

TEST(Digest, SeesEveryPartOfARow) {
  const Examples rows = mapping_rows(3, 1);
  Examples other = rows;
  EXPECT_EQ(digest(rows), digest(other));
  other.rows[2].trained[0] = true;
  EXPECT_NE(digest(rows), digest(other));
  other = rows;
  other.rows[1].key += "x";
  EXPECT_NE(digest(rows), digest(other));
  other = rows;
  std::swap(other.rows[0], other.rows[1]);
  EXPECT_NE(digest(rows), digest(other));
}

TEST(Schedule, WarmsUpAndFallsToItsShare) {
  const Schedule schedule{.peak = 2, .min_ratio = 0.1, .warmup = 4, .total = 15};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(3), 2);
  EXPECT_DOUBLE_EQ(schedule.at(4), 2);
  EXPECT_DOUBLE_EQ(schedule.at(9), 2 * 0.55);  // half way
  EXPECT_DOUBLE_EQ(schedule.at(14), 0.2);
  EXPECT_DOUBLE_EQ(schedule.at(100), 0.2);
}

TEST(Schedule, ShapesFallAsTheySay) {
  Schedule schedule{.shape = Schedule::Shape::linear, .peak = 2, .min_ratio = 0.1, .total = 11};
  EXPECT_DOUBLE_EQ(schedule.at(5), 2 * 0.55);
  EXPECT_DOUBLE_EQ(schedule.at(10), 0.2);
  schedule.shape = Schedule::Shape::constant;
  EXPECT_DOUBLE_EQ(schedule.at(10), 2);
  schedule.shape = Schedule::Shape::wsd;
  schedule.decay = 4;
  EXPECT_DOUBLE_EQ(schedule.at(6), 2);
  EXPECT_DOUBLE_EQ(schedule.at(7), 2 * (0.1 + 0.9 * 0.5));  // a quarter done: 1 - sqrt(1/4)
  EXPECT_DOUBLE_EQ(schedule.at(10), 0.2);
  EXPECT_FALSE(parse_schedule("exponential"));
}

TEST(Options, WrongValuesNameTheirKey) {
  TrainOptions options;
  EXPECT_TRUE(validate(options));
  options.objective = "on_policy";
  EXPECT_EQ(validate(options).error().where, "train.objective");
  options = {};
  options.beta2 = 1;
  EXPECT_EQ(validate(options).error().where, "train.beta2");
  options = {};
  options.precision = "int8";
  EXPECT_FALSE(validate(options));
}

TEST(Options, StudentShapeIsDerived) {
  const auto config = student_config({}, 4096);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->heads, 8);
  EXPECT_EQ(config->kv_heads, 4);
  EXPECT_EQ(config->head_dim, 32);
  EXPECT_EQ(config->ffn, 704);
  EXPECT_TRUE(config->tied_embeddings);
  EXPECT_EQ(student_config({.width = 1024}, 4096)->head_dim, 64);
  EXPECT_FALSE(student_config({.width = 250}, 4096));
  EXPECT_FALSE(student_config({.heads = 3}, 4096));
}

}  // namespace
}  // namespace retort::train
