#include "train/score_book_internal.h"

#include <gtest/gtest.h>

#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

TEST(ScoreBookTest, GivesBackTheSameNumbersAlsoToTheNextRun) {
  const std::string path = base::join(fresh_folder("book"), "scores.jsonl");
  const std::map<std::string, std::vector<float>> scores = {
      {ScoreBook::name_of("d", "m", {1, 2}), {-0.1F, -1e-30F, -12.3456789F}},
      {ScoreBook::name_of("d", "m", {12}), {0.0F}}};
  {
    auto book = ScoreBook::open(path);
    ASSERT_TRUE(book.ok()) << book.error().text();
    EXPECT_EQ(book->find(scores.begin()->first), nullptr);
    ASSERT_TRUE(book->add(scores).ok());
    EXPECT_EQ(*book->find(scores.begin()->first), scores.begin()->second);
  }
  const auto again = ScoreBook::open(path);
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(again->size(), 2);
  for (const auto& [name, values] : scores) EXPECT_EQ(*again->find(name), values);
}

TEST(ScoreBookTest, AnotherDoorModelOrTextIsAnotherName) {
  const std::string name = ScoreBook::name_of("d", "m", {1, 23});
  EXPECT_NE(name, ScoreBook::name_of("e", "m", {1, 23}));
  EXPECT_NE(name, ScoreBook::name_of("d", "n", {1, 23}));
  EXPECT_NE(name, ScoreBook::name_of("d", "m", {12, 3}));
  EXPECT_NE(ScoreBook::name_of("d", "m\nx", {}), ScoreBook::name_of("d\nm", "x", {}));
}

// A process that is killed while it writes leaves a part of a line, after which others may stand.
TEST(ScoreBookTest, IsWholeAfterEveryCut) {
  const std::string path = base::join(fresh_folder("cut"), "scores.jsonl");
  auto book = ScoreBook::open(path);
  ASSERT_TRUE(book->add({{"a", {-1}}}).ok());
  ASSERT_TRUE(book->add({{"b", {-2}}}).ok());
  const std::string whole = *base::read_file(path);
  const size_t first = whole.find('\n') + 1;
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_TRUE(base::write_file_atomic(path, whole.substr(0, size)).ok());
    auto cut = ScoreBook::open(path);
    ASSERT_TRUE(cut.ok()) << size << " " << cut.error().text();
    EXPECT_EQ(cut->size(), size < first ? 0 : 1) << size;
    ASSERT_TRUE(cut->add({{"c", {-3}}}).ok());
    const auto later = ScoreBook::open(path);
    ASSERT_TRUE(later.ok()) << size << " " << later.error().text();
    EXPECT_EQ(*later->find("c"), std::vector<float>{-3});
  }
}

TEST(ScoreBookTest, ALineThatIsNoneIsNamed) {
  const std::string path = base::join(fresh_folder("bad"), "scores.jsonl");
  for (const char* line : {"x", "{}", R"({"text": "a"})", R"({"text": "a", "logprobs": []})",
                           R"({"text": "a", "logprobs": ["b"]})"}) {
    ASSERT_TRUE(base::write_file_atomic(path, std::string(line) + "\n").ok());
    const auto book = ScoreBook::open(path);
    ASSERT_FALSE(book.ok()) << line;
    EXPECT_NE(book.error().text().find("scores.jsonl:1"), std::string::npos) << book.error().text();
  }
}

}  // namespace
}  // namespace retort::train
