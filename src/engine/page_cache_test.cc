#include "engine/page_cache_internal.h"

#include <gtest/gtest.h>

namespace retort::engine {
namespace {

std::vector<tokenizer::TokenId> numbers(int count, int from = 0) {
  std::vector<tokenizer::TokenId> out;
  for (int i = 0; i < count; ++i) out.push_back(from + i);
  return out;
}

TEST(PageCacheTest, WholePagesAreFoundAgainInOrder) {
  PageCache cache(8);
  const auto prompt = numbers(40);
  const auto pages = *cache.allocate(3);
  cache.publish(prompt, pages);
  EXPECT_EQ(cache.match(prompt, 8), (std::vector<PageId>{pages[0], pages[1]}));
  EXPECT_EQ(cache.match(prompt, 1), (std::vector<PageId>{pages[0]}));
  auto other = prompt;
  other[17] = 99;
  EXPECT_EQ(cache.match(other, 8).size(), 1u);
  other[3] = 99;
  EXPECT_TRUE(cache.match(other, 8).empty());
  // The same tokens behind another beginning are another page.
  const auto shifted = numbers(16, 16);
  EXPECT_TRUE(cache.match(shifted, 8).empty());
}

TEST(PageCacheTest, NobodyFindsWhatAnotherTenantAsked) {
  PageCache cache(8);
  const auto prompt = numbers(40);
  const auto pages = *cache.allocate(2), others = *cache.allocate(2);
  cache.publish({std::span(prompt).first(32), -1, 7}, pages);
  EXPECT_EQ(cache.match({prompt, -1, 7}, 8), pages);
  EXPECT_TRUE(cache.match({prompt, -1, 8}, 8).empty());
  EXPECT_TRUE(cache.match(prompt, 8).empty());
  cache.publish({std::span(prompt).first(32), -1, 8}, others);
  EXPECT_EQ(cache.match({prompt, -1, 8}, 8), others);
  EXPECT_EQ(cache.match({prompt, -1, 7}, 8), pages);
}

TEST(PageCacheTest, HeldPagesAreNeverGivenAwayIdleOnesOldestFirst) {
  PageCache cache(4);
  const auto first = *cache.allocate(2), second = *cache.allocate(2);
  cache.publish(numbers(32), first);
  cache.publish(numbers(32, 100), second);
  EXPECT_FALSE(cache.allocate(1));
  cache.release(first);
  cache.release(second);
  EXPECT_EQ(cache.available(), 4);
  const auto held = cache.match(numbers(16), 1);
  const auto taken = *cache.allocate(2);
  EXPECT_EQ(cache.available(), 1);
  for (const PageId page : taken) EXPECT_NE(page, held[0]);
  EXPECT_EQ(cache.match(numbers(32), 2).size(), 1u);       // its second page was the oldest
  EXPECT_EQ(cache.match(numbers(32, 100), 2).size(), 1u);  // and then this one's
  EXPECT_FALSE(cache.allocate(3));
}

TEST(PageCacheTest, PrivatePagesComeBackAndCountsHold) {
  PageCache cache(5);
  const auto pages = *cache.allocate(5);
  EXPECT_EQ(cache.in_use(), 5);
  cache.publish(numbers(16), std::vector<PageId>{pages[0]});
  cache.publish(numbers(16), std::vector<PageId>{pages[1]});  // known already: stays private
  EXPECT_EQ(cache.match(numbers(16), 1), (std::vector<PageId>{pages[0]}));
  cache.release(pages);
  EXPECT_EQ(cache.in_use(), 1);  // matched a moment ago
  cache.release(std::vector<PageId>{pages[0]});
  EXPECT_EQ(cache.available(), 5);
  EXPECT_EQ(cache.allocate(5)->size(), 5u);
  EXPECT_TRUE(cache.match(numbers(16), 1).empty());
}

}  // namespace
}  // namespace retort::engine
