#include "corpus/record_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "corpus/index_file_internal.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

using testing::has;
using testing::Workshop;

// Shards as plain lists, which is what the index is asked against.
struct Oracle {
  struct Row {
    crypto::Digest key;
    std::string split;
    std::vector<RecordPlace> parents;
  };
  std::map<std::string, std::vector<Row>> shards;

  std::vector<RecordPlace> find(const crypto::Digest& key) const {
    std::vector<RecordPlace> out;
    for (const auto& [shard, rows] : shards) {
      for (size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].key == key) out.push_back({shard, static_cast<uint32_t>(i)});
      }
    }
    return out;
  }
  std::vector<uint32_t> children(const std::string& shard, const std::string& parent,
                                 const std::vector<uint32_t>& wanted) const {
    std::vector<uint32_t> out;
    const auto& rows = shards.at(shard);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto& its = rows[i].parents;
      const bool is_child = std::any_of(its.begin(), its.end(), [&](const RecordPlace& one) {
        return one.shard == parent && std::binary_search(wanted.begin(), wanted.end(), one.row);
      });
      if (is_child) out.push_back(static_cast<uint32_t>(i));
    }
    return out;
  }
};

class Maker {
 public:
  Maker(uint64_t seed, std::string ledger) : random_(seed), ledger_(std::move(ledger)) {}

  size_t pick(size_t n) { return random_() % n; }
  crypto::Digest digest() { return crypto::sha256(std::to_string(random_())); }

  // Some of its records have the keys of others; parents lie in earlier shards, in later ones and
  // in shards that never come.
  void add_shard(size_t rows, bool derived) {
    const std::string name = names_.empty() ? crypto::to_hex(digest()) : names_.back();
    if (!names_.empty()) names_.pop_back();
    IndexContentBuilder builder(name);
    auto& its = oracle.shards[name];
    for (size_t row = 0; row < rows; ++row) {
      const bool again = !keys.empty() && pick(5) == 0;
      Oracle::Row one{again ? keys[pick(keys.size())] : digest(), splits_[pick(3)], {}};
      for (size_t n = derived ? pick(4) : 0; n > 0; --n) one.parents.push_back(any_place());
      std::vector<ParentLink> links;
      for (const auto& parent : one.parents) links.push_back({parent.shard, parent.row, ""});
      keys.push_back(one.key);
      ASSERT_TRUE(builder.add(crypto::to_hex(one.key), one.split, links).ok());
      its.push_back(std::move(one));
    }
    const auto written =
        write_index_file(index_path(ledger_, name), builder.take(name, names_.size() + 7));
    ASSERT_TRUE(written.ok()) << written.error().text();
  }
  void expect_shards_later(size_t n) {
    while (n-- > 0) names_.push_back(crypto::to_hex(digest()));
  }
  void remove_shard() {
    auto at = oracle.shards.begin();
    std::advance(at, pick(oracle.shards.size()));
    ASSERT_TRUE(base::remove_all(index_path(ledger_, at->first)).ok());
    oracle.shards.erase(at);
  }

  Oracle oracle;
  std::vector<crypto::Digest> keys;

 private:
  RecordPlace any_place() {
    if (!names_.empty() && pick(4) == 0) {
      return {names_[pick(names_.size())], static_cast<uint32_t>(pick(200))};
    }
    auto at = oracle.shards.begin();
    std::advance(at, pick(oracle.shards.size()));
    return {at->first, static_cast<uint32_t>(pick(at->second.size() + 3))};
  }

  std::mt19937_64 random_;
  std::string ledger_;
  std::vector<std::string> names_;  // of shards to come
  std::vector<std::string> splits_{"train", "held_out", ""};
};

void expect_equal(const RecordIndex& index, Maker& maker) {
  const Oracle& oracle = maker.oracle;
  for (int i = 0; i < 60; ++i) {
    const auto key = i % 6 == 0 ? maker.digest() : maker.keys[maker.pick(maker.keys.size())];
    const auto found = index.find(key);
    ASSERT_TRUE(found.ok()) << found.error().text();
    EXPECT_EQ(*found, oracle.find(key));
  }
  for (const auto& [shard, rows] : oracle.shards) {
    ASSERT_TRUE(index.has(shard));
    EXPECT_EQ(index.records(shard).value_or(-1), std::ssize(rows));
    std::map<std::string, int64_t> splits;
    for (const auto& row : rows) ++splits[row.split];
    for (const auto& [split, n] : splits) {
      EXPECT_EQ(index.count(shard, split).value_or(-1), split.empty() ? std::ssize(rows) : n);
    }
    for (const auto& [parent, ignored] : oracle.shards) {
      std::set<uint32_t> wanted;
      for (size_t n = maker.pick(6); n > 0; --n) {
        wanted.insert(static_cast<uint32_t>(maker.pick(200)));
      }
      const std::vector<uint32_t> list(wanted.begin(), wanted.end());
      const auto children = index.children(shard, parent, list);
      ASSERT_TRUE(children.ok()) << children.error().text();
      EXPECT_EQ(*children, oracle.children(shard, parent, list));
    }
    size_t seen = 0;
    crypto::Digest last{};
    ASSERT_TRUE(index
                    .for_each(shard,
                              [&](const crypto::Digest& key, uint32_t row) {
                                EXPECT_EQ(key, rows.at(row).key);
                                EXPECT_LE(last, key);
                                last = key;
                                EXPECT_EQ(index.split(shard, row).value_or("?"), rows[row].split);
                                ++seen;
                              })
                    .ok());
    EXPECT_EQ(seen, rows.size());
  }
}

TEST(RecordIndexTest, AnswersAsTheShardsDoWhileTheyComeAndGo) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const std::string ledger = testing::scratch("index_random");
    Maker maker(seed, ledger);
    for (int round = 0; round < 8; ++round) {
      if (round == 2) maker.expect_shards_later(4);
      maker.add_shard(1 + maker.pick(round == 3 ? 900 : 150), round % 2 == 1);
      if (round == 5) maker.remove_shard();
      const auto index = RecordIndex::open(ledger);
      ASSERT_TRUE(index.ok()) << index.error().text();
      expect_equal(*index, maker);
      if (HasFailure()) FAIL() << "seed " << seed << ", round " << round;
    }
  }
}

// Rows of three bytes, and keys that are not spread as hashes are.
TEST(RecordIndexTest, LargeShardsAndUnevenKeysAreFoundAsWell) {
  const std::string ledger = testing::scratch("index_large");
  const std::string shard(64, 'a');
  IndexContent content{.shard = shard,
                       .terms_set = 3,
                       .keys = std::vector<crypto::Digest>(70'000),
                       .splits = std::vector<uint8_t>(70'000),
                       .split_names = {"train"},
                       .parents = {crypto::sha256("p")},
                       .links = {}};
  for (uint32_t row = 0; row < 70'000; ++row) {
    // All below 2^-7 of what there could be, most of them alike in their first eight bytes.
    auto& key = content.keys[row];
    key[0] = row % 500 == 0 ? 1 : 0;
    for (size_t i = 0; i < 4; ++i) key[28 + i] = static_cast<uint8_t>(row * 7 >> (24 - 8 * i));
    content.links.push_back({0, 69'999 - row, row});
  }
  const auto keys = content.keys;
  ASSERT_TRUE(write_index_file(index_path(ledger, shard), content).ok());
  const auto index = RecordIndex::open(ledger);
  ASSERT_TRUE(index.ok()) << index.error().text();
  for (uint32_t row = 0; row < 70'000; row += 97) {
    const auto found = index->find(keys[row]);
    ASSERT_TRUE(found.ok()) << found.error().text();
    ASSERT_EQ(*found, (std::vector<RecordPlace>{{shard, row}}));
  }
  EXPECT_TRUE(index->find(crypto::sha256("none"))->empty());
  const auto parent = crypto::to_hex(crypto::sha256("p"));
  EXPECT_EQ(index->children(shard, parent, {0, 69'998}).value_or({}),
            (std::vector<uint32_t>{1, 69'999}));
  EXPECT_EQ(index->terms_set(shard).value_or(-1), 3);
}

TEST(RecordIndexTest, TakesNoMoreThanFortyBytesARecord) {
  Maker maker(3, testing::scratch("index_size"));
  IndexContentBuilder builder("test");
  const std::string parent = crypto::to_hex(maker.digest());
  for (int64_t row = 0; row < 65'536; ++row) {
    const std::vector<ParentLink> links{{parent, 65'535 - row, ""}};
    ASSERT_TRUE(builder.add(crypto::to_hex(maker.digest()), "train", links).ok());
  }
  const auto bytes = index_file_bytes(builder.take(crypto::to_hex(maker.digest()), 1));
  ASSERT_TRUE(bytes.ok());
  EXPECT_LE(bytes->size(), 40u * 65'536u);
}

// Whatever byte is another, no answer is.
TEST(RecordIndexTest, DamageIsNoticedWhereverItIs) {
  const std::string ledger = testing::scratch("index_damage");
  Maker maker(4, ledger);
  maker.add_shard(300, false);
  maker.add_shard(300, true);
  const std::string shard = maker.oracle.shards.begin()->first;
  const std::string path = index_path(ledger, shard);
  const std::string sound = *base::read_file(path);
  for (size_t at = 0; at < sound.size(); at += at < 100 ? 1 : 61) {
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    ASSERT_TRUE(base::write_file_atomic(path, bytes).ok());
    const auto index = RecordIndex::open(ledger);
    const auto checked = index ? index->check() : Result<void>(index.error());
    ASSERT_FALSE(checked.ok()) << "byte " << at;
    EXPECT_EQ(checked.error().code, ErrorCode::bad_input);
    EXPECT_TRUE(has(checked.error().text(), "again")) << at;
    EXPECT_TRUE(has(checked.error().text(), path.substr(path.size() - 10))) << at;
  }
  for (const size_t length : {size_t{0}, size_t{100}, size_t{4096}, sound.size() - 4096}) {
    ASSERT_TRUE(base::write_file_atomic(path, sound.substr(0, length)).ok());
    const auto index = RecordIndex::open(ledger);
    EXPECT_FALSE(index->find(maker.oracle.shards.begin()->second[0].key).ok()) << length;
    EXPECT_FALSE(index->records(shard).ok()) << length;
  }
  // A block of the other file, at its own place.
  const std::string other =
      *base::read_file(index_path(ledger, std::next(maker.oracle.shards.begin())->first));
  std::string mixed = sound;
  mixed.replace(4096, 4096, other.substr(4096, 4096));
  ASSERT_TRUE(base::write_file_atomic(path, mixed).ok());
  const auto index = RecordIndex::open(ledger);
  ASSERT_TRUE(index.ok()) << index.error().text();
  EXPECT_FALSE(index->check().ok());
  EXPECT_FALSE(index->find(maker.oracle.shards.begin()->second[0].key).ok());
  // A whole file under another name.
  ASSERT_TRUE(base::write_file_atomic(path, other).ok());
  const auto renamed = RecordIndex::open(ledger);
  const auto asked = renamed->find(maker.oracle.shards.begin()->second[0].key);
  EXPECT_TRUE(has(asked.error().text(), "another shard"));
  EXPECT_TRUE(has(renamed->records(shard).error().text(), "another shard"));
}

TEST(RecordIndexTest, IsWrittenWithTheShardAndMadeAgainFromTheShardsAlone) {
  Workshop shop("index_again");
  shop.sealed(40);
  {
    auto clearance = shop.clearance();
    const auto view = clearance.curate(shop.selection());
    ASSERT_TRUE(view.ok()) << view.error().text();
    DerivedWriter writer(*view, *shop.log, {.folder = shop.path("curated")}, "curate");
    for (int64_t row = 0; row < view->size(); row += 2) {
      writer.keep(view->parent(row), row % 4 == 0 ? "train" : "held_out");
    }
    Parents several(view->parent(1));
    several.and_also(view->parent(3));
    writer.add(several, {.messages = (*view)[1].messages, .answer = "both", .split = "train"});
    ASSERT_TRUE(writer.finish().ok());
  }
  std::vector<std::string> digests;
  std::map<std::string, std::string> files;
  ASSERT_TRUE(shop.log
                  ->for_each("shard",
                             [&](const ledger::Entry& entry) -> Result<void> {
                               digests.push_back(entry.name);
                               const auto path = index_path(shop.log->folder(), entry.name);
                               files[path] = base::read_file(path).value_or("none");
                               return {};
                             })
                  .ok());
  ASSERT_EQ(digests.size(), 2u);
  const auto index = RecordIndex::open(shop.log->folder());
  ASSERT_TRUE(index.ok()) << index.error().text();
  EXPECT_EQ(index->count(digests[1], "train").value_or(-1), 11);
  EXPECT_EQ(index->children(digests[1], digests[0], {1}).value_or({}), std::vector<uint32_t>{20});
  EXPECT_EQ(index->children(digests[1], digests[0], {2, 3}).value_or({}),
            (std::vector<uint32_t>{1, 20}));
  CodeBook codes(*shop.log);
  const auto read =
      read_shard(list_shards(shop.shards())->front(), *ShardIndex::load(*shop.log), codes);
  ASSERT_TRUE(read.ok()) << read.error().text();
  const auto found = index->find(*crypto::digest_from_hex(read->records[2].key));
  EXPECT_EQ(found.value_or({}), (std::vector<RecordPlace>{{digests[0], 2}}));

  const std::vector<std::string> folders{shop.path("curated"), shop.shards()};
  EXPECT_EQ(update_index(*shop.log, folders)->present, 2);
  // One is gone, one damaged: both come again, byte for byte.
  const auto& [first, first_bytes] = *files.begin();
  ASSERT_TRUE(base::remove_all(first).ok());
  const auto& [second, second_bytes] = *files.rbegin();
  std::string damaged = second_bytes;
  damaged[5'000] = static_cast<char>(damaged[5'000] ^ 1);
  ASSERT_TRUE(base::write_file_atomic(second, damaged).ok());
  const auto without = update_index(*shop.log, {});
  EXPECT_EQ(without->missing.size(), 2u);
  const auto again = update_index(*shop.log, folders);
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(again->written, 2);
  EXPECT_EQ(*base::read_file(first), first_bytes);
  EXPECT_EQ(*base::read_file(second), second_bytes);
  // Other bytes than those in the log are no source.
  ASSERT_TRUE(base::remove_all(first).ok());
  ASSERT_TRUE(base::remove_all(second).ok());
  const std::string shard = list_shards(shop.shards())->front().path();
  std::string bytes = *base::read_file(shard);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  ASSERT_TRUE(base::write_file_atomic(shard, bytes).ok());
  EXPECT_TRUE(has(update_index(*shop.log, folders).error().text(), "not those that the log knows"));
}

}  // namespace
}  // namespace retort::corpus
