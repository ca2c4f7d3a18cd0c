#include "engine/text_stream_internal.h"

#include <gtest/gtest.h>

namespace retort::engine {
namespace {

TEST(TextStreamTest, CharactersComeWhole) {
  TextStream stream({});
  EXPECT_EQ(stream.feed("a\xC3"), "a");
  EXPECT_EQ(stream.feed("\xA9z"), "\xC3\xA9z");
  EXPECT_EQ(stream.feed("\xF0\x9F\x91"), "");
  EXPECT_EQ(stream.feed("\xA9"), "\xF0\x9F\x91\xA9");
  EXPECT_EQ(stream.feed("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStreamTest, BytesThatAreNoTextAreReplaced) {
  TextStream stream({});
  EXPECT_EQ(stream.feed("a\xFF"
                        "b\xC3"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(stream.feed("c"),
            "\xEF\xBF\xBD"
            "c");
  EXPECT_EQ(stream.feed("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
}

TEST(TextStreamTest, AStopStringAcrossPiecesIsNeverShown) {
  TextStream stream({"END", "\n\n"});
  EXPECT_EQ(stream.feed("go E"), "go ");
  EXPECT_EQ(stream.feed("N"), "");
  EXPECT_EQ(stream.feed("X\n"), "ENX");
  EXPECT_FALSE(stream.stopped());
  EXPECT_EQ(stream.feed("\nmore"), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.feed("nothing"), "");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStreamTest, TheEarliestStopWinsAndWhatIsHeldComesAtTheEnd) {
  TextStream both({"bc", "abcd"});
  EXPECT_EQ(both.feed("xabcd"), "x");
  TextStream cut({"abc"});
  EXPECT_EQ(cut.feed("xab"), "x");
  EXPECT_EQ(cut.finish(), "ab");
  TextStream repeated({"aab"});
  EXPECT_EQ(repeated.feed("aaa"), "a");
  EXPECT_EQ(repeated.feed("b"), "");
  EXPECT_TRUE(repeated.stopped());
}

}  // namespace
}  // namespace retort::engine
