#include "openai/sse.h"

#include <gtest/gtest.h>

namespace retort::openai {
namespace {

std::vector<std::string> data_of(const std::vector<SseEvent>& events) {
  std::vector<std::string> out;
  for (const SseEvent& event : events) out.push_back(event.event + "|" + event.data);
  return out;
}

std::vector<std::string> decode(const std::vector<std::string>& pieces) {
  SseDecoder decoder;
  std::vector<std::string> out;
  for (const std::string& piece : pieces) {
    const auto events = decoder.feed(piece);
    EXPECT_TRUE(events.ok());
    for (auto& text : data_of(*events)) out.push_back(text);
  }
  return out;
}

const std::string kStream =
    "\xef\xbb\xbf: a comment\r\n"
    "data: one \xf0\x9f\x9a\xa3\r\ndata: more\r\n\r\n"
    "event: error\rdata:no blank\rdata:  two blanks\r\r"
    "id: 7\nretry: 3\ndata\n\n"
    "unknown: x\n\n"
    "data: [DONE]\n\n";
const std::vector<std::string> kExpected = {"|one \xf0\x9f\x9a\xa3\nmore",
                                            "error|no blank\n two blanks", "|", "|[DONE]"};

TEST(SseTest, DecodesTheStandardsForms) {
  EXPECT_EQ(decode({kStream}), kExpected);
}

TEST(SseTest, AnyCutGivesTheSameEvents) {
  for (size_t i = 0; i <= kStream.size(); ++i) {
    EXPECT_EQ(decode({kStream.substr(0, i), kStream.substr(i)}), kExpected) << i;
  }
  std::vector<std::string> single;
  for (const char c : kStream) single.emplace_back(1, c);
  EXPECT_EQ(decode(single), kExpected);
}

TEST(SseTest, KnowsAStreamThatWasCut) {
  for (const auto& [text, whole] :
       std::vector<std::pair<std::string, bool>>{{"", true},
                                                 {"data: a\n\n", true},
                                                 {"data: a\n", false},
                                                 {"data: a", false},
                                                 {"data: a\n\ndata: [DO", false},
                                                 {": comment\n", true}}) {
    SseDecoder decoder;
    ASSERT_TRUE(decoder.feed(text).ok());
    EXPECT_EQ(decoder.at_border(), whole) << text;
  }
}

TEST(SseTest, LargeEventsAreRefusedAndHoldNoMemory) {
  SseDecoder endless_line(100);
  EXPECT_TRUE(endless_line.feed(std::string(90, 'x')).ok());
  EXPECT_FALSE(endless_line.feed(std::string(1000, 'x')).ok());
  EXPECT_FALSE(endless_line.feed("\n\ndata: a\n\n").ok());
  SseDecoder endless_lines(100);
  bool failed = false;
  for (int i = 0; i < 100 && !failed; ++i) failed = !endless_lines.feed("data: abcdefgh\n").ok();
  EXPECT_TRUE(failed);
  SseDecoder many(100);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(many.feed("data: abcdefgh\n\n").ok());
}

TEST(SseTest, EncodedEventsDecodeToTheirData) {
  EXPECT_EQ(sse_event("{}"), "data: {}\n\n");
  EXPECT_EQ(decode({sse_event("a\nb\r\nc")}), std::vector<std::string>{"|a\nb\nc"});
  SseDecoder decoder;
  const auto events = decoder.feed(kSseDone);
  ASSERT_EQ(events->size(), 1u);
  EXPECT_TRUE((*events)[0].done());
}

}  // namespace
}  // namespace retort::openai
