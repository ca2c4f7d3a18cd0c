#include "corpus/key_filter_internal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "corpus/filter_layout_internal.h"
#include "corpus/index_file_internal.h"
#include "corpus/record_index.h"
#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

// Shards in the index, and where each key lies, which the filters know nothing of.
class Stock {
 public:
  explicit Stock(const std::string& name, uint64_t seed = 1)
      : ledger_(testing::scratch(name)), random_(seed) {}

  const std::string& ledger() const { return ledger_; }
  std::string folder() const { return base::join(ledger_, kIndexFolder); }
  crypto::Digest digest() { return crypto::sha256(std::to_string(random_())); }
  const std::map<crypto::Digest, std::vector<RecordPlace>>& keys() const { return keys_; }

  void add_shards(size_t count, size_t rows) {
    while (count-- > 0) add_shard(rows);
  }
  void add_shard(size_t rows) {
    const std::string name = crypto::to_hex(digest());
    IndexContentBuilder builder(name);
    for (size_t row = 0; row < rows; ++row) {
      // Now and then a key that another shard, or this one, has as well.
      const bool again = !seen_.empty() && random_() % 8 == 0;
      const auto key = again ? seen_[random_() % seen_.size()] : digest();
      seen_.push_back(key);
      keys_[key].push_back({name, static_cast<uint32_t>(row)});
      ASSERT_TRUE(builder.add(crypto::to_hex(key), "train", {}).ok());
    }
    ASSERT_TRUE(write_index_file(index_path(ledger_, name), builder.take(name, 1)).ok());
  }

  // Each `stride`-th key, and some that are nowhere.
  void expect_found(size_t stride = 1) {
    const auto index = RecordIndex::open(ledger_);
    ASSERT_TRUE(index.ok()) << index.error().text();
    size_t number = 0;
    for (const auto& [key, places] : keys_) {
      if (number++ % stride != 0) continue;
      auto found = index->find(key);
      ASSERT_TRUE(found.ok()) << found.error().text();
      auto wanted = places;
      const auto by_place = [](const auto& a, const auto& b) {
        return std::tie(a.shard, a.row) < std::tie(b.shard, b.row);
      };
      std::ranges::sort(wanted, by_place);
      std::ranges::sort(*found, by_place);
      ASSERT_EQ(*found, wanted);
    }
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(index->find(digest())->empty());
  }
  std::vector<std::string> filters() const {
    std::vector<std::string> out;
    for (const auto& name : base::list_directory(folder()).value_or({})) {
      if (name.ends_with(kFilterSuffix)) out.push_back(base::join(folder(), name));
    }
    return out;
  }
  // Shards that some filter holds.
  std::set<std::string> covered() const {
    std::set<std::string> out;
    for (const auto& path : filters()) {
      const auto filter = KeyFilter::open(path);
      EXPECT_TRUE(filter.ok()) << filter.error().text();
      if (filter) out.insert((*filter)->shards().begin(), (*filter)->shards().end());
    }
    return out;
  }

 private:
  std::string ledger_;
  std::mt19937_64 random_;
  std::vector<crypto::Digest> seen_;
  std::map<crypto::Digest, std::vector<RecordPlace>> keys_;
};

TEST(KeyFilterTest, EveryKeyIsFoundWhileShardsComeOneByOne) {
  Stock stock("filter_grows");
  for (size_t i = 1; i <= 300; ++i) {
    stock.add_shard(i % 7 == 0 ? 0 : 1 + i % 40);
    ASSERT_TRUE(update_filters(stock.ledger()).ok());
    if (i % 37 == 0) stock.expect_found(/*stride=*/20);
  }
  stock.expect_found();
  // One of 256 shards, two of sixteen, and what is left.
  EXPECT_EQ(stock.filters().size(), 3U);
  EXPECT_EQ(stock.covered().size(), 288U);
}

TEST(KeyFilterTest, ManyShardsAtOnceGetTheSame) {
  Stock stock("filter_at_once");
  stock.add_shards(300, 20);
  ASSERT_TRUE(update_filters(stock.ledger()).ok());
  EXPECT_EQ(stock.covered().size(), 288U);
  EXPECT_EQ(stock.filters().size(), 3U);
  stock.expect_found();
}

// It would be no use if it named many shards that do not hold the key; a key that is there it must
// name always.
TEST(KeyFilterTest, NamesFewShardsThatDoNotHoldTheKey) {
  Stock stock("filter_names");
  stock.add_shards(16, 3'000);
  ASSERT_TRUE(update_filters(stock.ledger()).ok());
  ASSERT_EQ(stock.filters().size(), 1U);
  const auto filter = KeyFilter::open(stock.filters().front());
  ASSERT_TRUE(filter.ok()) << filter.error().text();
  size_t more = 0;
  for (const auto& [key, places] : stock.keys()) {
    std::set<std::string> named;
    const auto candidates = (*filter)->candidates(key);
    ASSERT_TRUE(candidates.ok()) << candidates.error().text();
    for (const size_t at : *candidates) named.insert((*filter)->shards()[at]);
    std::set<std::string> wanted;
    for (const auto& place : places) wanted.insert(place.shard);
    ASSERT_TRUE(std::ranges::includes(named, wanted));
    more += named.size() - wanted.size();
  }
  // A bucket has 64 to 128 keys, and one in 4,096 of them looks like another.
  EXPECT_LT(more, stock.keys().size() / 20);
  EXPECT_LE(base::file_size((*filter)->path()).value_or(1 << 30), 48'000 * 2 + 3 * 4'096);
}

// A damaged filter changes no answer: its shards are asked one by one.
TEST(KeyFilterTest, DamageChangesNoAnswer) {
  Stock stock("filter_damage");
  stock.add_shards(16, 40);
  ASSERT_TRUE(update_filters(stock.ledger()).ok());
  const std::string path = stock.filters().front();
  const std::string sound = *base::read_file(path);
  for (size_t at = 0; at < sound.size(); at += at < 100 ? 3 : 331) {
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ 16);
    ASSERT_TRUE(base::write_file_atomic(path, bytes).ok());
    const auto filter = KeyFilter::open(path);
    ASSERT_TRUE(!filter || !(*filter)->check()) << "byte " << at;
    stock.expect_found();
    if (HasFailure()) FAIL() << "byte " << at;
  }
  for (const size_t length : {size_t{0}, size_t{100}, size_t{4096}, sound.size() - 4096}) {
    ASSERT_TRUE(base::write_file_atomic(path, sound.substr(0, length)).ok());
    stock.expect_found();
  }
  ASSERT_TRUE(remove_damaged_filters(stock.ledger()).ok());
  EXPECT_TRUE(stock.filters().empty());
  ASSERT_TRUE(update_filters(stock.ledger()).ok());
  EXPECT_EQ(*base::read_file(path), sound);
}

// A shard's file that goes is a shard less, whatever a filter says of it; one that comes again is
// found again.
TEST(KeyFilterTest, FilesComeAndGoBelowIt) {
  Stock stock("filter_files");
  stock.add_shards(16, 30);
  ASSERT_TRUE(update_filters(stock.ledger()).ok());
  const auto& [key, places] = *stock.keys().begin();
  const std::string path = index_path(stock.ledger(), places.front().shard);
  const std::string bytes = *base::read_file(path);
  ASSERT_TRUE(base::remove_all(path).ok());
  const auto without = RecordIndex::open(stock.ledger());
  EXPECT_FALSE(without->has(places.front().shard));
  EXPECT_EQ(without->find(key)->size(), places.size() - 1);
  ASSERT_TRUE(base::write_file_atomic(path, bytes).ok());
  stock.expect_found();
}

TEST(KeyFilterTest, KilledAtAnyMomentEveryKeyIsFound) {
  Stock stock("filter_killed");
  stock.add_shards(272, 8);
  for (int delay_us = 0; delay_us < 60'000; delay_us += 4'000) {
    const pid_t child = ::fork();
    if (child == 0) {
      while (true) {
        const auto made = update_filters(stock.ledger());
        for (const auto& path : stock.filters()) static_cast<void>(base::remove_all(path));
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (const auto& path : stock.filters()) {
      const auto filter = KeyFilter::open(path);
      ASSERT_TRUE(filter && (*filter)->check()) << path;
    }
    stock.expect_found(/*stride=*/100);
  }
  ASSERT_TRUE(update_filters(stock.ledger()).ok());
  EXPECT_EQ(stock.covered().size(), 272U);
  stock.expect_found();
}

TEST(KeyFilterTest, BitsComeBackInOrder) {
  BitWriter writer;
  writer.add(5, 3);
  writer.add(1, 1);
  writer.add(0xabc, 12);
  writer.align();
  writer.add(1, 2);
  BitReader reader(writer.bytes());
  EXPECT_EQ(reader.take(3), 5U);
  EXPECT_EQ(reader.take(1), 1U);
  EXPECT_EQ(reader.take(12), 0xabcU);
  EXPECT_EQ(reader.take(2), 1U);
  EXPECT_TRUE(reader.has(6));
  EXPECT_FALSE(reader.has(7));
  EXPECT_FALSE(BitReader(std::string_view("\xff", 1)).skip_zeros(1));
}

}  // namespace
}  // namespace retort::corpus
