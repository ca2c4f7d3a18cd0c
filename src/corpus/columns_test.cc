// What stands in columns, and clearing by them.
#include "corpus/columns_internal.h"

#include <fmt/core.h>

#include <functional>

#include "corpus/bytes_internal.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"
#include "corpus/withdrawals.h"

namespace retort::corpus {
namespace {

using testing::has;
using testing::Workshop;

struct Row {
  Record record;
  LeafCodes codes;
  crypto::Digest leaf;
};

std::vector<Row> rows_of(Workshop& shop, const std::string& path) {
  CodeBook codes(*shop.log);
  const auto read = *read_shard(*Shard::open(path), *ShardIndex::load(*shop.log), codes);
  std::vector<Row> out;
  for (size_t row = 0; row < read.records.size(); ++row) {
    out.push_back({read.records[row], *codes.find(read.records[row]), read.leaves[row]});
  }
  return out;
}

std::string columns_of_rows(const std::vector<Row>& rows) {
  ColumnsWriter writer;
  for (const auto& row : rows) writer.add(row.record, row.codes, row.leaf);
  return writer.finish();
}

std::string form_1(const std::vector<Row>& rows) {
  std::string out;
  for (const auto& row : rows) out += column_of(row.leaf, row.record.features);
  return out;
}

std::vector<ledger::Entry> entries_of(Workshop& shop) {
  std::vector<ledger::Entry> out;
  const auto size = shop.log->head()->size;
  for (int64_t i = 0; i < size; ++i) out.push_back(*shop.log->entry(i));
  return out;
}

// The log anew, entry for entry, as if the only shard had been sealed with these columns: what a
// sealer of another make, or an older program, would have left.
void log_with(Workshop& shop, std::vector<ledger::Entry> entries, const std::string& shard,
              const std::string& columns) {
  shop.log = nullptr;
  ASSERT_TRUE(base::remove_all(shop.path("ledger")).ok());
  shop.open_log();
  for (auto& entry : entries) {
    if (entry.kind == "verdict") continue;
    if (entry.kind == "shard") entry.body.set("columns", crypto::sha256_hex(columns));
    ASSERT_EQ(shop.log->append(entry.kind, entry.name, entry.body).value_or(-1), entry.index);
  }
  ASSERT_TRUE(base::write_file_atomic(columns_path(shard), columns).ok());
}

void reseal_with(Workshop& shop, const std::string& shard, const std::string& columns) {
  log_with(shop, entries_of(shop), shard, columns);
}

int64_t verdicts(Workshop& shop) {
  int64_t count = 0;
  EXPECT_TRUE(shop.log
                  ->for_each("verdict",
                             [&](const ledger::Entry&) -> Result<void> {
                               ++count;
                               return {};
                             })
                  .ok());
  return count;
}

TEST(ColumnsTest, TellWhatRecordsWereAskedForAlike) {
  Workshop shop("columns_tell");
  auto rows = rows_of(shop, shop.sealed(5).shards.at(0));
  rows[1].record.split = "held_out";
  rows[2].record.preference = terms::Preference::no;
  rows[3].record.captured_ms += 77'000'000'000;
  rows[4].record.origins.resize(2);
  const auto columns = Columns::parse(columns_of_rows(rows), 5, "x");
  ASSERT_TRUE(columns.ok()) << columns.error().text();
  EXPECT_TRUE(columns->tell_facts());
  EXPECT_EQ(columns->classes().size(), 3u);
  for (size_t row = 0; row < 4; ++row) {
    const auto at = columns->class_index(row);
    ASSERT_GE(at, 0);
    EXPECT_EQ(columns->classes()[static_cast<size_t>(at)],
              class_of(rows[row].record, rows[row].codes));
    EXPECT_EQ(columns->captured_ms(row), rows[row].record.captured_ms);
    EXPECT_EQ(columns->leaf(row), crypto::as_bytes(rows[row].leaf));
  }
  EXPECT_EQ(columns->class_index(4), -1) << "its origins differ, its line has to be read";
}

TEST(ColumnsTest, ATimeThatDoesNotFitIsAskedOfTheRecord) {
  Workshop shop("columns_time");
  auto rows = rows_of(shop, shop.sealed(2).shards.at(0));
  rows[1].record.captured_ms += int64_t{1} << 40;
  const auto columns = Columns::parse(columns_of_rows(rows), 2, "x");
  ASSERT_TRUE(columns.ok());
  EXPECT_EQ(columns->class_index(0), 0);
  EXPECT_EQ(columns->class_index(1), -1);
}

TEST(ColumnsTest, MostRecordsTakeThirtyNineBytes) {
  Workshop shop("columns_size");
  const auto rows = rows_of(shop, shop.sealed(1).shards.at(0));
  ColumnsWriter writer;
  for (int i = 0; i < 65'536; ++i) writer.add(rows[0].record, rows[0].codes, rows[0].leaf);
  EXPECT_LT(writer.finish().size(), 65'536u * 39 + 500);
}

TEST(ColumnsTest, BytesThatAreNoColumnsAreRefused) {
  Workshop shop("columns_bytes");
  const auto rows = rows_of(shop, shop.sealed(3).shards.at(0));
  const std::string good = columns_of_rows(rows);
  const auto refusal = [](const std::string& bytes, int64_t records = 3) {
    const auto parsed = Columns::parse(bytes, records, "x.columns");
    if (parsed) return std::string();
    EXPECT_EQ(parsed.error().code, ErrorCode::bad_input);
    return parsed.error().text();
  };
  EXPECT_EQ(refusal(good), "");
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_TRUE(has(refusal(good.substr(0, size)), "x.columns")) << size;
  }
  EXPECT_TRUE(has(refusal(good + "x"), "no columns"));
  EXPECT_TRUE(has(refusal(good, 2), "no columns"));
  std::string bad = good;
  bad[8] = 3;
  EXPECT_TRUE(has(refusal(bad), "have form 3; this program reads up to 2"));
  EXPECT_TRUE(has(refusal(bad), "newer program"));
  bad = good;
  bad[good.size() - 3 * 7] = 1;  // the first row's class: there is one, number 0
  EXPECT_TRUE(has(refusal(bad), "no columns"));
  // No byte of the head or of the classes can be changed into a crash.
  for (size_t at = 0; at < good.size() - 3 * 39; ++at) {
    for (const int bit : {0, 3, 7}) {
      bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      refusal(bad);
    }
  }
}

TEST(ColumnsTest, OldCorporaAreRead) {
  Workshop shop("columns_old");
  const std::string path = shop.sealed(4).shards.at(0);
  const auto rows = rows_of(shop, path);
  reseal_with(shop, path, form_1(rows));
  EXPECT_TRUE(verify(*Shard::open(path), *shop.log).ok());
  EXPECT_EQ(shop.refusal(), "");
  auto clearance = shop.clearance();
  ASSERT_TRUE(clearance.clear<TrainGenerative>(shop.selection()).ok());
  const auto permit = clearance.permit_export(shop.selection());
  ASSERT_TRUE(permit.ok()) << permit.error().text();
  EXPECT_EQ(permit->permit().records, 4);
  // A shard that is lost is written again with the columns that the log names.
  ASSERT_TRUE(base::remove_all(path).ok());
  ASSERT_TRUE(base::remove_all(columns_path(path)).ok());
  auto gathering = shop.gathering();
  EXPECT_EQ(shop.seal(*gathering).shards.at(0), path);
  EXPECT_TRUE(verify(*Shard::open(path), *shop.log).ok());
  // And features that are not the records' are seen in the old form, too.
  auto changed = rows;
  changed[2].record.features ^= kWebSearch;
  reseal_with(shop, path, form_1(changed));
  EXPECT_TRUE(has(shop.refusal(), "record 2"));
}

// Whatever columns say otherwise than the records, the log vouching for it or not.
TEST(ColumnsBypassTest, ColumnsThatSayAnythingElseThanTheRecords) {
  const std::pair<const char*, std::function<void(Row&)>> lies[] = {
      {"kind", [](Row& row) { row.record.kind = Kind::human; }},
      {"answered", [](Row& row) { row.record.model_answered = "m-2"; }},
      {"split", [](Row& row) { row.record.split = "train"; }},
      {"preference", [](Row& row) { row.record.preference = terms::Preference::yes; }},
      {"features", [](Row& row) { row.record.features = kImages; }},
      {"captured", [](Row& row) { row.record.captured_ms -= 1'000; }},
      {"terms", [](Row& row) { row.codes.terms_set = 0; }},
      {"door", [](Row& row) { row.codes.door = 0; }},
      {"leaf", [](Row& row) { row.leaf[5] ^= 1; }}};
  for (const auto& [name, lie] : lies) {
    Workshop shop(std::string("columns_lie_") + name);
    const std::string path = shop.sealed(3).shards.at(0);
    auto rows = rows_of(shop, path);
    lie(rows[1]);
    reseal_with(shop, path, columns_of_rows(rows));
    EXPECT_TRUE(has(shop.refusal(), "record 1")) << name;
    EXPECT_TRUE(has(shop.refusal(), "is not the one that was sealed there")) << name;
    EXPECT_FALSE(verify(*Shard::open(path), *shop.log).ok()) << name;
    // Nor is a verdict given by columns that were never held against the records.
    const auto permit = shop.clearance().permit_export(shop.selection());
    ASSERT_FALSE(permit.ok()) << name;
    EXPECT_TRUE(has(permit.error().text(), "record 1")) << name;
  }
}

// Columns that do not say, where they could, only cost time.
TEST(ColumnsBypassTest, SilentColumnsAreNoWayRound) {
  Workshop shop("columns_silent");
  const std::string path = shop.sealed(3, {.forbidden = "train.generative"}).shards.at(0);
  auto rows = rows_of(shop, path);
  for (auto& row : rows) row.record.origins.resize(1);
  reseal_with(shop, path, columns_of_rows(rows));
  EXPECT_TRUE(has(shop.refusal(), "words on train.generative"));
}

TEST(ColumnsBypassTest, FilesThatChangedSinceTheFirstVerdict) {
  Workshop shop("columns_since");
  const std::string path = shop.sealed(3).shards.at(0);
  auto clearance = shop.clearance();
  ASSERT_TRUE(clearance.clear<TrainGenerative>(shop.selection()).ok());
  for (const auto& file : {path, columns_path(path)}) {
    const std::string good = *base::read_file(file);
    std::string bad = good;
    bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
    ASSERT_TRUE(base::write_file_atomic(file, bad).ok());
    const auto permit = clearance.permit_export(shop.selection());
    ASSERT_FALSE(permit.ok()) << file;
    EXPECT_EQ(permit.error().code, ErrorCode::bad_input);
    EXPECT_TRUE(has(permit.error().text(), path.substr(0, path.size() - 10)));
    ASSERT_TRUE(base::write_file_atomic(file, good).ok());
  }
  EXPECT_TRUE(clearance.permit_export(shop.selection()).ok());
}

// The same answers by columns as by contents: the second house has the same shard with columns of
// the old form.
struct Both {
  Workshop by_columns, by_contents;

  Both(const std::string& name, const std::function<void(Workshop&)>& fill)
      : by_columns(name + "_columns"), by_contents(name + "_contents") {
    fill(by_columns);
    by_contents.terms = by_columns.terms;
    by_contents.clock.sleep_ms(by_columns.clock.wall_ms() - by_contents.clock.wall_ms());
    const auto from = list_shards(by_columns.shards())->at(0).path();
    const auto to = base::join(by_contents.shards(), base::base_name(from));
    EXPECT_TRUE(base::make_directories(by_contents.shards()).ok());
    EXPECT_TRUE(base::write_file_atomic(to, *base::read_file(from)).ok());
    log_with(by_contents, entries_of(by_columns), to, form_1(rows_of(by_columns, from)));
  }
};

TEST(ClearByColumnsTest, SaysWhatTheContentsSay) {
  const testing::TermsText kinds[] = {
      {},
      {.more = "[duty]\nname_prefix = \"X\"\n"},
      {.forbidden = "evaluate"},
      {.forbidden = "publish_model"},
      {.forbidden = "train.generative"},
      {.time = "effective = 2026-05-31\nuntil = 2026-06-02"},
      {.time = "effective = 2026-06-02"},
  };
  for (const auto& kind : kinds) {
    for (const bool distributed : {false, true}) {
      Both both("columns_same", [&](Workshop& shop) { shop.sealed(6, kind); });
      std::vector<std::string> said;
      for (auto* shop : {&both.by_columns, &both.by_contents}) {
        auto purpose = testing::any_purpose();
        purpose.distributed = distributed;
        purpose.model_id = "X-student";
        auto clearance = shop->clearance(purpose);
        const auto cleared = clearance.clear<Evaluate>(shop->selection());
        const auto permit = clearance.permit_export(shop->selection());
        std::string one = cleared ? "evaluated; " : cleared.error().message;
        if (permit) {
          one += fmt::format("{} records, {}, {} duties, {} terms", permit->permit().records,
                             terms::name(permit->permit().decision), permit->duties().size(),
                             permit->permit().terms_ids.size());
          const auto entry = *shop->log->entry(permit->permit().leaf);
          auto body = entry.body;
          for (const char* same : {"digest", "shards"}) {
            EXPECT_NE(body.find(same), nullptr);
            body.set(same, "");
          }
          one += json::canonical(body);
        } else {
          one += permit.error().message;
        }
        said.push_back(one);
      }
      EXPECT_EQ(said[0], said[1]);
    }
  }
}

// Seen from outside by what is not read: the log-probabilities, which permission is not about.
TEST(ClearByColumnsTest, ReadsNoContentsOnceTheyWereChecked) {
  Workshop shop("columns_used");
  auto gathering = shop.gathering();
  ASSERT_EQ(gathering->plan({testing::request(0, shop.bind({}))}).value_or(0), 1);
  const auto jobs = *gathering->claim(1);
  auto answer = testing::answer(0);
  answer.logprobs.push_back({.entries = {{"It", -0.5F}}});
  gathering->submit(jobs[0], answer, nullptr);
  ASSERT_TRUE(gathering->flush().ok());
  const std::string path = shop.seal(*gathering).shards.at(0);
  auto clearance = shop.clearance();
  ASSERT_TRUE(clearance.clear<TrainGenerative>(shop.selection()).ok());
  ASSERT_TRUE(base::remove_all(logprobs_path(path)).ok());
  EXPECT_FALSE(clearance.clear<TrainGenerative>(shop.selection()).ok());
  EXPECT_TRUE(clearance.permit_export(shop.selection()).ok());
  EXPECT_EQ(verdicts(shop), 2);
}

Withdrawal withdrawn(Workshop& shop, Withdrawal one) {
  one.by = "N";
  const auto fit = check(*shop.log, one);
  EXPECT_TRUE(fit.ok()) << (fit ? "" : fit.error().text());
  EXPECT_TRUE(shop.log->append("withdrawal", name_of(one), to_json(one)).ok());
  return one;
}

TEST(ClearByColumnsTest, WithdrawalsReachWhatTheyReachByContents) {
  const int64_t day_ms = 86'400'000;
  for (const int64_t from_ms : {testing::kNow_ms - day_ms, testing::kNow_ms + day_ms, int64_t{0}}) {
    Both both("columns_withdrawn", [&](Workshop& shop) {
      auto gathering = shop.gathering();
      const auto bound = shop.bind({});
      shop.gather(*gathering, 0, 3, bound);
      shop.clock.sleep_ms(2 * day_ms);
      shop.gather(*gathering, 3, 2, bound);
      shop.seal(*gathering);
    });
    std::vector<std::string> said;
    for (auto* shop : {&both.by_columns, &both.by_contents}) {
      auto clearance = shop->clearance();
      EXPECT_TRUE(clearance.clear<TrainGenerative>(shop->selection()).ok());
      EXPECT_TRUE(clearance.permit_export(shop->selection()).ok());
      withdrawn(*shop, {.why = from_ms == 0 ? WithdrawalCase::account_ended
                                            : WithdrawalCase::terms_changed,
                        .kind = SubjectKind::terms,
                        .id = shop->terms.all()[0]->id,
                        .from_ms = from_ms});
      const auto permit = clearance.permit_export(shop->selection());
      EXPECT_FALSE(permit.ok()) << from_ms;
      const auto named = clearance.withdrawn_of(shop->selection());
      said.push_back((permit ? "" : permit.error().message) + " / " + named.value_or("error"));
    }
    EXPECT_EQ(said[0], said[1]) << from_ms;
    EXPECT_EQ(said[0].size() > 64, true);
  }
}

// Which record it is stands in no column.
TEST(ClearByColumnsTest, AWithdrawnRecordIsLookedForInTheContents) {
  Workshop shop("columns_record");
  const std::string path = shop.sealed(3).shards.at(0);
  auto clearance = shop.clearance();
  ASSERT_TRUE(clearance.clear<TrainGenerative>(shop.selection()).ok());
  const auto row = rows_of(shop, path)[1];
  const auto digest = *crypto::sha256_file_hex(path);
  withdrawn(shop, {.why = WithdrawalCase::record,
                   .kind = SubjectKind::record,
                   .id = digest + ":1",
                   .key = row.record.key});
  const auto permit = clearance.permit_export(shop.selection());
  ASSERT_FALSE(permit.ok());
  EXPECT_TRUE(has(permit.error().text(), row.record.key.substr(0, 16)));
  EXPECT_NE(*clearance.withdrawn_of(shop.selection()), "");
}

}  // namespace
}  // namespace retort::corpus
