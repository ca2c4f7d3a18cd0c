#include "train/logprob_align_internal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/random.h"

namespace retort::train {
namespace {

using corpus::TokenLogprobs;
using Pieces = std::vector<std::string>;

constexpr float kTaken = -0.5F;

// Bytes, the given merges, and ChatML's marks.
std::shared_ptr<const tokenizer::Tokenizer> student(
    const std::vector<std::pair<std::string, std::string>>& merges = {}) {
  tokenizer::Vocabulary made;
  for (int byte = 0; byte < 256; ++byte) made.tokens.emplace_back(1, static_cast<char>(byte));
  const auto id = [&](const std::string& token) {
    const auto found = std::find(made.tokens.begin(), made.tokens.end(), token);
    return static_cast<tokenizer::TokenId>(found - made.tokens.begin());
  };
  for (const auto& [left, right] : merges) {
    made.merges.emplace_back(id(left), id(right));
    if (id(left + right) == std::ssize(made.tokens)) made.tokens.push_back(left + right);
  }
  made.special.assign(made.tokens.size(), false);
  for (const char* spelling : {"<|im_start|>", "<|im_end|>"}) {
    made.tokens.emplace_back(spelling);
    made.special.push_back(true);
  }
  made.chat_template = tokenizer::chatml_template_text();
  return *tokenizer::Tokenizer::create(std::move(made));
}

TokenLogprobs token(const std::string& bytes, std::vector<TokenLogprobs::Entry> others = {}) {
  TokenLogprobs out;
  out.entries.push_back({bytes, kTaken});
  for (auto& other : others) out.entries.push_back(std::move(other));
  double mass = 0;
  for (const auto& entry : out.entries) {
    if (!std::isnan(entry.logprob)) mass += std::exp(static_cast<double>(entry.logprob));
  }
  out.tail = static_cast<float>(1 - mass);
  return out;
}

std::vector<TokenLogprobs> tokens_of(const Pieces& pieces) {
  std::vector<TokenLogprobs> out;
  for (const auto& piece : pieces) out.push_back(token(piece));
  return out;
}

struct Bench {
  explicit Bench(std::shared_ptr<const tokenizer::Tokenizer> of)
      : tokenizer(std::move(of)),
        format(*tokenizer::ChatFormat::detect(*tokenizer)),
        aligner(*tokenizer, format.stop_token()) {}

  Example example(const std::string& answer) const {
    return example({{dialog::Role::user, "Hi"}, {dialog::Role::assistant, answer}});
  }
  Example example(const dialog::Messages& messages) const {
    ExampleBuilder builder(*tokenizer, format, 100'000);
    EXPECT_TRUE(builder.add("k", messages).ok());
    return builder.take().rows.at(0);
  }
  tensor::SparseTargets align(const std::string& answer, const std::vector<TokenLogprobs>& tokens,
                              bool ended = true) {
    return aligner.align(example(answer), {.text = answer, .ended = ended, .tokens = tokens});
  }
  int32_t id(const std::string& bytes) const {
    const auto& all = tokenizer->vocabulary().tokens;
    return static_cast<int32_t>(std::find(all.begin(), all.end(), bytes) - all.begin());
  }

  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatFormat format;
  LogprobAligner aligner;
};

// One letter a row: x where something is known, . where nothing is.
std::string shape_text(const tensor::SparseTargets& rows) {
  std::string out;
  for (int64_t row = 0; row < rows.rows(); ++row) {
    const auto at = static_cast<size_t>(row);
    out += rows.starts[at] < rows.starts[at + 1] ? 'x' : '.';
  }
  return out;
}

TEST(LogprobAlign, TheSamePiecesOneToOne) {
  Bench bench(student({{"a", "b"}}));
  const auto rows = bench.align("abc", {token("ab", {{"c", -3}, {"<|im_end|>", -2}}), token("c"),
                                        token("<|im_end|>", {{"a", -4}})});
  ASSERT_EQ(shape_text(rows), "xxx");
  EXPECT_EQ(rows.ids, (std::vector<int32_t>{bench.id("ab"), 'c', bench.format.stop_token(), 'c',
                                            bench.format.stop_token(), 'a'}));
  EXPECT_EQ(rows.logprobs, (std::vector<float>{kTaken, -3, -2, kTaken, kTaken, -4}));
  EXPECT_NEAR(rows.tails[0], 1 - std::exp(-0.5) - std::exp(-3) - std::exp(-2), 1e-6);
  EXPECT_EQ(bench.aligner.counts().tokens, 2);
  EXPECT_EQ(bench.aligner.counts().aligned, 2);
  EXPECT_EQ(bench.aligner.counts().stops, 1);
}

TEST(LogprobAlign, WhatTheStudentHasNotGoesToTheTail) {
  Bench bench(student());
  const TokenLogprobs strange =
      token("a", {{"zz", -2}, {"", -3}, {"\xff", -4}, {"q", -5}, {"q", -6}, {"b", NAN}});
  const auto rows = bench.align("a", {strange});
  ASSERT_EQ(shape_text(rows), "x.");
  EXPECT_EQ(rows.ids, (std::vector<int32_t>{'a', 0xff}));
  EXPECT_NEAR(rows.tails[0], 1 - std::exp(-0.5) - std::exp(-4), 1e-6);
}

TEST(LogprobAlign, ATokenThatTwoIdsSpellIsNobodys) {
  tokenizer::Vocabulary pieces;  // SentencePiece: bytes as tokens of their own, and "a" once more
  pieces.tokens = {"<unk>", "<s>", "</s>"};
  pieces.special = {true, true, true};
  for (int byte = 0; byte < 256; ++byte) {
    pieces.byte_tokens.push_back(static_cast<int32_t>(pieces.tokens.size()));
    pieces.tokens.emplace_back(1, static_cast<char>(byte));
    pieces.scores.resize(pieces.tokens.size(), -1000);
  }
  pieces.tokens.emplace_back("a");
  pieces.special.resize(pieces.tokens.size(), false);
  pieces.scores.resize(pieces.tokens.size(), -1);
  pieces.eos = 2;
  pieces.chat_template = tokenizer::chatml_template_text();
  const auto made = tokenizer::Tokenizer::create(pieces);
  ASSERT_TRUE(made.ok()) << made.error().text();
  LogprobAligner aligner(**made, 2);
  const int32_t own = static_cast<int32_t>(pieces.tokens.size()) - 1;
  Example example{.key = "k", .ids = {1, own, 2}, .trained = {false, true, true}};
  const auto tokens =
      std::vector{token("a", {{"b", -2}, {"</s>", -3}}), token("</s>", {{"a", -1}})};
  const auto rows = aligner.align(example, {.text = "a", .ended = true, .tokens = tokens});
  ASSERT_EQ(shape_text(rows), "xx");
  EXPECT_EQ(rows.ids, (std::vector<int32_t>{own, 3 + 'b', 2, 2, own}))
      << "a byte's token where there is no other";
}

TEST(LogprobAlign, ACharacterInSeveralTokens) {
  Bench bench(student({{"\xf0", "\x9f"}, {"\x9a", "\xa3"}}));
  EXPECT_EQ(shape_text(bench.align("\xf0\x9f\x9a\xa3!", tokens_of({"\xf0\x9f", "\x9a\xa3", "!"}))),
            "xxx.");
  // A server that sends U+FFFD for what is no text: nothing from there on has the same place.
  EXPECT_EQ(shape_text(bench.align("a\xf0\x9f\x9a\xa3!",
                                   tokens_of({"a", "\xef\xbf\xbd", "\xef\xbf\xbd", "!"}))),
            "x....");
  EXPECT_EQ(shape_text(bench.align("abc", tokens_of({"a", "x", "c"}))), "x...")
      << "another context";
}

TEST(LogprobAlign, OnlyWhatBeginsAndEndsAtTheSameBytes) {
  Bench bench(student({{"b", "c"}}));
  // Merged across: a|bc|d beside ab|c|d.
  EXPECT_EQ(shape_text(bench.align("abcd", tokens_of({"ab", "c", "d", "<|im_end|>"}))), "..xx");
  EXPECT_EQ(shape_text(bench.align("abcd", tokens_of({"abcd", "<|eot_id|>"}))), "...x")
      << "another name for the same end";
  EXPECT_EQ(bench.aligner.counts().stops, 2);
}

TEST(LogprobAlign, EmptyAndTruncatedAnswers) {
  Bench bench(student());
  EXPECT_EQ(shape_text(bench.align("", {})), ".");
  EXPECT_EQ(bench.aligner.counts().without, 1);
  EXPECT_EQ(bench.aligner.counts().records, 0);
  EXPECT_EQ(shape_text(bench.align("", tokens_of({"<|im_end|>"}))), "x");
  EXPECT_EQ(shape_text(bench.align("ab", tokens_of({"a", "b"}))), "xx.") << "the stop was not sent";
  EXPECT_EQ(shape_text(bench.align("ab", tokens_of({"a", "b", ""}))), "xxx")
      << "sent without a name";
  EXPECT_EQ(shape_text(bench.align("ab", tokens_of({"a", "b"}), false)), "xx.");
  // Cut inside a character, which the text then lacks.
  EXPECT_EQ(shape_text(bench.align("ab", tokens_of({"a", "b", "\xf0\x9f"}), false)), "xx.");
  EXPECT_EQ(bench.aligner.counts().stops, 2);
}

TEST(LogprobAlign, ATextThatWasTrimmedHasNoEndOfTheTeachers) {
  Bench bench(student());
  const Example trimmed = bench.example("ab");
  const auto tokens = tokens_of({"a", "b", "\n"});
  const auto rows = bench.aligner.align(trimmed, {.text = "ab\n", .ended = true, .tokens = tokens});
  EXPECT_EQ(shape_text(rows), "xx.");
}

TEST(LogprobAlign, EarlierTurnsHaveEmptyRows) {
  Bench bench(student());
  const Example example = bench.example({{dialog::Role::user, "1"},
                                         {dialog::Role::assistant, "ab"},
                                         {dialog::Role::user, "2"},
                                         {dialog::Role::assistant, "ab"}});
  const auto tokens = tokens_of({"a", "b"});
  EXPECT_EQ(
      shape_text(bench.aligner.align(example, {.text = "ab", .ended = true, .tokens = tokens})),
      "...xx.");
  EXPECT_EQ(bench.aligner.counts().tokens, 2);
}

TEST(LogprobAlign, AValueNobodyKnowsIsNoTarget) {
  Bench bench(student());
  TokenLogprobs unknown{{{"a", NAN}}, 0, 1};
  TokenLogprobs unlikely{{{"b", -1}, {"a", NAN}}, 1, static_cast<float>(1 - std::exp(-1))};
  const auto rows = bench.align("aa", {unknown, unlikely});
  EXPECT_EQ(shape_text(rows), ".x.");
  EXPECT_EQ(rows.ids, (std::vector<int32_t>{'b'})) << "the token taken is in the tail";
  EXPECT_NEAR(rows.tails[1], 1 - std::exp(-1), 1e-6);
}

std::vector<std::pair<std::string, std::string>> random_merges(base::Random& random,
                                                               Pieces alphabet) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (int i = 0; i < 30; ++i) {
    const auto left = alphabet[random.below(alphabet.size())];
    const auto right = alphabet[random.below(alphabet.size())];
    if (left.size() + right.size() > 12) continue;
    if (std::find(alphabet.begin(), alphabet.end(), left + right) != alphabet.end()) continue;
    merges.emplace_back(left, right);
    alphabet.push_back(left + right);
  }
  return merges;
}

// Any two vocabularies, any text: aligned is what an index of all (begin, end) says, and every row
// is a distribution over distinct ids of the student.
TEST(LogprobAlign, AgreesWithAnIndexOfAllBordersOnRandomTexts) {
  const Pieces characters = {"a", "b", "c", " ", "\n", "é", "ß", "🚣", "漢"};
  Pieces bytes;
  for (const auto& one : characters) {
    for (const char c : one) bytes.emplace_back(1, c);
  }
  int64_t aligned = 0, apart = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    base::Random random(seed, 7);
    const auto own_merges = random_merges(random, bytes);
    Bench bench(student(own_merges));
    const auto teacher =
        random.below(3) == 0 ? bench.tokenizer : student(random_merges(random, bytes));
    std::string text;
    for (uint64_t i = random.below(40); i > 0; --i) {
      text += characters[random.below(characters.size())];
    }
    std::vector<TokenLogprobs> tokens;
    std::set<std::pair<size_t, size_t>> borders;
    size_t at = 0;
    for (const auto id : teacher->encode(text)) {
      const std::string piece(teacher->bytes(id));
      borders.emplace(at, at + piece.size());
      at += piece.size();
      std::vector<TokenLogprobs::Entry> others;
      for (uint64_t i = random.below(5); i > 0; --i) {
        const auto other =
            static_cast<int32_t>(random.below(static_cast<uint64_t>(teacher->size())));
        others.push_back({teacher->vocabulary().tokens[static_cast<size_t>(other)],
                          static_cast<float>(-3 - 5 * random.uniform())});
      }
      tokens.push_back(token(piece, std::move(others)));
    }
    std::string expected;
    at = 0;
    for (const auto id : bench.tokenizer->encode(text)) {
      const size_t end = at + bench.tokenizer->bytes(id).size();
      expected += borders.contains({at, end}) ? 'x' : '.';
      at = end;
    }
    const auto rows = bench.align(text, tokens, random.below(2) == 0);
    ASSERT_EQ(shape_text(rows), expected + ".") << seed;
    const bool is_own = teacher == bench.tokenizer;
    ASSERT_TRUE(!is_own || expected.find('.') == std::string::npos);
    aligned += bench.aligner.counts().aligned;
    apart += std::count(expected.begin(), expected.end(), '.');
    for (size_t row = 0; row + 1 < rows.starts.size(); ++row) {
      std::set<int32_t> seen;
      double mass = static_cast<double>(rows.tails[row]);
      for (auto i = static_cast<size_t>(rows.starts[row]);
           i < static_cast<size_t>(rows.starts[row + 1]); ++i) {
        ASSERT_TRUE(seen.insert(rows.ids[i]).second) << seed;
        ASSERT_GE(rows.ids[i], 0);
        ASSERT_LT(rows.ids[i], bench.tokenizer->size());
        mass += std::exp(static_cast<double>(rows.logprobs[i]));
      }
      ASSERT_NEAR(mass, 1, 1e-5) << seed;
    }
  }
  EXPECT_GT(aligned, 1000);
  EXPECT_GT(apart, 1000);
}

}  // namespace
}  // namespace retort::train
