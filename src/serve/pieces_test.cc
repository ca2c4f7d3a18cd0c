#include "serve/pieces_internal.h"

#include <gtest/gtest.h>

#include <cmath>

#include "serve/testing_internal.h"

namespace retort::serve {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

engine::Event event_of(const std::string& text, std::vector<tokenizer::TokenId> tokens,
                       const std::string& finish = "") {
  engine::Event event;
  event.text = text;
  event.tokens = std::move(tokens);
  for (const auto id : event.tokens) event.chosen.push_back({id, -1.0f});
  event.done = !finish.empty();
  event.finish_reason = finish;
  return event;
}

// "é" is two tokens, the first of which gives no text yet.
std::vector<engine::Event> cafe() {
  return {event_of("ca", {'c', 'a'}), event_of("", {0xc3}), event_of("\xc3\xa9", {0xa9}),
          event_of("!", {'!'}, "length")};
}

struct Made {
  Plan plan;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer = byte_tokenizer();
  std::vector<Piece> pieces(const std::vector<engine::Event>& events) const {
    ChoicePieces generator(0, plan, plan.choices[0], *tokenizer);
    std::vector<Piece> out;
    for (const auto& event : events) out.push_back(generator.take(event));
    return out;
  }
  Piece whole(const std::vector<engine::Event>& events) const {
    Piece out;
    for (Piece& piece : pieces(events)) out.append(std::move(piece));
    return out;
  }
};

Made made(bool chat, bool logprobs) {
  Made out;
  out.plan.chat = chat;
  out.plan.logprobs = logprobs;
  out.plan.choices.resize(1);
  return out;
}

TEST(PiecesTest, WholeAnswerIsThePiecesPutTogether) {
  for (const bool chat : {true, false}) {
    const Made one = made(chat, true);
    const AnswerHead head{"id", "m", 1, chat, true, false};
    const Piece whole = one.whole(cafe());
    std::string text;
    std::string reason;
    size_t tokens = 0;
    for (Piece& piece : one.pieces(cafe())) {
      if (piece.says_nothing()) continue;
      const std::string printed = print_piece(head, std::move(piece));
      if (chat) {
        const auto read = openai::parse_chat_piece(printed);
        ASSERT_TRUE(read.ok()) << printed;
        text += read->choices[0].content.value_or("");
        reason += read->choices[0].finish_reason;
        tokens += read->choices[0].logprobs ? read->choices[0].logprobs->size() : 0;
      } else {
        const auto read = openai::parse_completion(printed);
        ASSERT_TRUE(read.ok()) << printed;
        text += read->choices[0].text;
        reason += read->choices[0].finish_reason;
        tokens += read->choices[0].logprobs->tokens.size();
      }
    }
    EXPECT_EQ(text, "ca\xc3\xa9!");
    EXPECT_EQ(text, whole.text);
    EXPECT_EQ(reason, "length");
    EXPECT_EQ(tokens, 5u);
    EXPECT_EQ(whole.tokens.size(), 5u);
  }
}

TEST(PiecesTest, OnlyTheFirstPieceThatSpeaksOpensTheChoice) {
  const Made one = made(true, false);
  const auto pieces =
      one.pieces({event_of("", {0xc3}), event_of("\xc3\xa9", {0xa9}), event_of("", {}, "stop")});
  EXPECT_TRUE(pieces[0].says_nothing());
  EXPECT_TRUE(pieces[1].opens);
  EXPECT_FALSE(pieces[2].opens);
  const auto end =
      openai::parse_chat_piece(print_piece({"i", "m", 1, true, false, false}, pieces[2]));
  EXPECT_EQ(end->choices[0].content, std::nullopt);
  EXPECT_EQ(end->choices[0].finish_reason, "stop");
}

TEST(PiecesTest, OffsetsCountCharactersOfTheTextWithItsEcho) {
  Made one = made(false, true);
  one.plan.choices[0].echo = "\xc3\xa9t";
  EXPECT_EQ(one.whole(cafe()).offsets, (std::vector<int64_t>{2, 3, 4, 5, 5}));
  EXPECT_EQ(one.whole(cafe()).text, "\xc3\xa9tca\xc3\xa9!");
}

TEST(PiecesTest, ScoredPromptStandsBeforeTheAnswer) {
  Made one = made(false, true);
  one.plan.echo_logprobs = true;
  one.plan.echo_top = 1;
  one.plan.choices[0].echo = "AB";
  one.plan.choices[0].request.top_logprobs = 1;
  engine::Event event = event_of("C", {'C'}, "length");
  event.top = {{{'D', -0.5f}}};
  event.prompt_chosen = {{'A', kNone}, {'B', -3.0f}};
  event.prompt_top = {{}, {{'X', -0.25f}, {'B', -3.0f}}};
  const auto read = openai::parse_completion(
      print_whole({"i", "m", 1, false, true, false}, {one.whole({event})}, {2, 1, 0}));
  ASSERT_TRUE(read.ok()) << read.error().text();
  const auto& choice = read->choices[0];
  EXPECT_EQ(choice.text, "ABC");
  EXPECT_EQ(choice.logprobs->tokens, (std::vector<std::string>{"A", "B", "C"}));
  EXPECT_EQ(choice.logprobs->token_logprobs,
            (std::vector<std::optional<double>>{std::nullopt, -3.0, -1.0}));
  EXPECT_EQ(choice.logprobs->text_offset, (std::vector<int64_t>{0, 1, 2}));
  // The chosen token is always listed; the first one has no alternatives, as it has no context.
  using Top = std::vector<std::pair<std::string, double>>;
  EXPECT_EQ(choice.logprobs->top_logprobs,
            (std::vector<Top>{{}, {{"X", -0.25}, {"B", -3.0}}, {{"D", -0.5}, {"C", -1.0}}}));
}

TEST(PiecesTest, StopTokenIsListedBehindTheTextsOwn) {
  for (const bool chat : {true, false}) {
    Made one = made(chat, true);
    engine::Event last = event_of("", {kEndOfTurn}, "stop");
    last.tokens.clear();
    const Piece whole = one.whole({event_of("A", {'A'}), last});
    EXPECT_EQ(whole.finish_reason, "stop");
    ASSERT_EQ(whole.tokens.size(), 2u);
    EXPECT_EQ(whole.tokens[1].bytes, "<|im_end|>");
    EXPECT_EQ(whole.offsets, (std::vector<int64_t>{0, 1}));
    EXPECT_EQ(whole.text, "A");
    EXPECT_EQ(whole.scored_tokens, 2);
  }
}

TEST(PiecesTest, PromptLogprobsAreKeyedByIdWithRanks) {
  Made one = made(false, false);
  one.plan.prompt_logprobs = true;
  engine::Event event = event_of("", {}, "length");
  event.prompt_chosen = {{'A', kNone}, {'B', -3.0f, 2}, {'C', -9.0f, 4711}};
  event.prompt_top = {{}, {{'X', -0.25f, 1}, {'B', -3.0f, 2}}, {{'X', -0.5f, 1}}};
  const std::string printed =
      print_whole({"i", "m", 1, false, false, false}, {one.whole({event})}, {3, 0, 0});
  EXPECT_NE(printed.find(R"("prompt_logprobs":[null,{"66":{"logprob":-3.0,"rank":2,)"
                         R"("decoded_token":"B"},"88":{"logprob":-0.25,"rank":1,)"
                         R"("decoded_token":"X"}},{"67":{"logprob":-9.0,"rank":4711,)"),
            std::string::npos)
      << printed;
}

TEST(PiecesTest, TheBestOfEachPromptAreKept) {
  const auto candidate = [](const char* text, double sum, int64_t tokens) {
    Piece piece;
    piece.text = text;
    piece.logprob_sum = sum;
    piece.scored_tokens = tokens;
    return piece;
  };
  // By token, not in all: -3 of six tokens is likelier than -1 of one.
  const auto kept = keep_best(
      {candidate("a", -1, 1), candidate("b", -3, 6), candidate("", 0, 0), candidate("c", -2, 4),
       candidate("d", -1, 1), candidate("e", -1, 1), candidate("f", -2, 1), candidate("", 0, 0)},
      4, 2);
  std::string texts;
  for (const Piece& piece : kept) texts += piece.text + std::to_string(piece.index);
  EXPECT_EQ(texts, "b0c1d2e3");
}

TEST(PiecesTest, AnAnswersLogprobsAreSummed) {
  const Piece whole = made(false, false).whole(cafe());
  EXPECT_EQ(whole.scored_tokens, 5);
  EXPECT_EQ(whole.logprob_per_token(), -1);
  EXPECT_TRUE(whole.tokens.empty());
}

}  // namespace
}  // namespace retort::serve
