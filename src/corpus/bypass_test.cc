// Ways round the gate, each tried at run time. docs/internals/gate.md names them.
#include <functional>

#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"
#include "corpus/zstd_internal.h"
#include "store/database.h"

namespace retort::corpus {
namespace {

using testing::execute;
using testing::has;
using testing::replaced;
using testing::TermsText;
using testing::Workshop;

const TermsText kForbids{.forbidden = "train.generative"};
const TermsText kGenerous{.series = "generous"};

// The shard's text through `change`, compressed anew. Kept under its name, or under that of its new
// digest with columns to fit: as good a forgery as can be made without the log.
void forge(const std::string& path, bool renamed,
           const std::function<std::string(const std::string&)>& change) {
  const std::string bytes = *base::read_file(path);
  std::string text;
  {
    ZstdLines reader(bytes, path);
    while (true) {
      const auto block = reader.next();
      ASSERT_TRUE(block.ok()) << block.error().text();
      if (block->empty()) break;
      for (const auto line : *block) text += std::string(line) + "\n";
    }
  }
  auto writer = *ZstdWriter::create(path, 3);
  ASSERT_TRUE(writer.write(change(text)).ok());
  const std::string digest = *writer.finish();
  if (!renamed) return;
  const std::string name = base::join(base::parent(path), digest.substr(0, 16) + ".jsonl.zst");
  ASSERT_EQ(::rename(columns_path(path).c_str(), columns_path(name).c_str()), 0);
  ASSERT_EQ(::rename(path.c_str(), name.c_str()), 0);
}

Error refused(Workshop& shop) {
  const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
  EXPECT_FALSE(cleared.ok()) << "the bypass works";
  return cleared.ok() ? Error{} : cleared.error();
}

TEST(BypassTest, EditedShardBytes) {
  Workshop shop("edited");
  const std::string path = shop.sealed(3).shards.at(0);
  forge(path, false, [](const std::string& text) { return replaced(text, "thing 1", "thing 7"); });
  EXPECT_EQ(refused(shop).code, ErrorCode::bad_input);
  EXPECT_TRUE(has(refused(shop).text(), "record 1"));

  // No leaf covers the reason of the end; the digest of the whole file does.
  Workshop other("edited_besides");
  forge(other.sealed(3).shards.at(0), false,
        [](const std::string& text) { return replaced(text, "\"stop\"", "\"halt\""); });
  EXPECT_TRUE(has(refused(other).text(), "the shard's bytes were changed"));
}

TEST(BypassTest, RelabelledTermsInTheJson) {
  for (const bool renamed : {false, true}) {
    Workshop shop("relabelled");
    const std::string forbidding = shop.bind(kForbids)[0].id;
    const std::string generous = shop.bind(kGenerous)[0].id;
    const std::string path = shop.sealed(3, kForbids).shards.at(0);
    forge(path, renamed,
          [&](const std::string& text) { return replaced(text, forbidding, generous); });
    EXPECT_EQ(refused(shop).code, ErrorCode::bad_input);
    EXPECT_TRUE(has(refused(shop).text(), renamed ? "not in the log" : "record 0"));
  }
}

TEST(BypassTest, StrippedMetadata) {
  Workshop shop("stripped");
  const std::string path = shop.sealed(2, kForbids).shards.at(0);
  forge(path, false,
        [](const std::string& text) { return replaced(text, "\"retort\"", "\"another\""); });
  EXPECT_TRUE(has(refused(shop).text(), "no “retort” object"));
  // Nor may the lines come in as a person's own texts.
  const std::string own = shop.path("own.jsonl");
  ASSERT_TRUE(base::write_file_atomic(
                  own, R"({"messages": [{"role": "assistant", "content": "x"}], "retort": {}})")
                  .ok());
  const auto imported = import_jsonl(
      own, *shop.log, {.terms = {shop.write_terms({})}, .seal = {.folder = shop.path("own")}});
  ASSERT_FALSE(imported.ok());
  EXPECT_TRUE(has(imported.error().text(), "origin of its own"));
}

TEST(BypassTest, BackDatedCaptureInTheShard) {
  Workshop shop("back_dated");
  const std::string path =
      shop.sealed(2, {.time = "effective = 2025-01-01\nuntil = 2026-01-01"}).shards.at(0);
  forge(path, false, [](const std::string& text) {
    return replaced(text, std::to_string(testing::kNow_ms), std::to_string(1'750'000'000'000));
  });
  EXPECT_TRUE(has(refused(shop).text(), "record 0"));
}

TEST(BypassTest, BackDatedCaptureInTheDatabase) {
  Workshop shop("back_dated_database");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 2, shop.bind({}));
  gathering = nullptr;
  // Even with a digest to fit: SQLite's own functions cannot make one, so it is made here.
  auto database = store::Database::open(shop.database());
  auto select = (*database)->prepare("SELECT record FROM answers WHERE job = 1");
  ASSERT_TRUE(select->step().value_or(false));
  const std::string record =
      replaced(std::string(select->text(0)), std::to_string(testing::kNow_ms),
               std::to_string(1'750'000'000'000));
  select->reset();
  auto update = (*database)->prepare("UPDATE answers SET record = ?1, digest = ?2 WHERE job = 1");
  ASSERT_TRUE(
      update->bind(1, record).bind_blob(2, crypto::as_bytes(crypto::sha256(record))).run().ok());
  gathering = shop.gathering();
  const auto sealed = seal(*gathering, *shop.log, shop.terms, {.folder = shop.shards()});
  ASSERT_FALSE(sealed.ok());
  EXPECT_TRUE(has(sealed.error().text(), "before the gathering began"));
}

TEST(BypassTest, HandEditedDatabase) {
  Workshop shop("hand_edited");
  auto gathering = shop.gathering();
  const std::string forbidding = shop.bind(kForbids)[0].id;
  const std::string generous = shop.bind(kGenerous)[0].id;
  shop.gather(*gathering, 0, 2, {{forbidding, terms::Object::outputs}});
  gathering = nullptr;
  execute(shop.database(),
          "UPDATE answers SET record = replace(record, '" + forbidding + "', '" + generous + "')");
  gathering = shop.gathering();
  const auto sealed = seal(*gathering, *shop.log, shop.terms, {.folder = shop.shards()});
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error().code, ErrorCode::bad_input);
  EXPECT_TRUE(has(sealed.error().text(), "not the one that was written there"));
  EXPECT_TRUE(has(sealed.error().text(), "job 1"));
}

TEST(BypassTest, SwappedTermsFile) {
  Workshop shop("swapped");
  shop.sealed(2, kForbids);
  // The file is edited under the same series and version; the log still holds what bound.
  shop.terms = {};
  shop.bind({});
  EXPECT_TRUE(has(refused(shop).text(), "prohibit train.generative"));
  // Nor does it help to name no file at all.
  shop.terms = {};
  EXPECT_TRUE(has(refused(shop).text(), "prohibit train.generative"));
}

TEST(BypassTest, ATightenedVersionBindsThoughTheRecordNamesTheOldOne) {
  Workshop shop("tightened");
  shop.sealed(2, {});
  shop.bind({.version = "2", .time = "effective = 2026-05-01", .forbidden = "train.generative"});
  EXPECT_TRUE(has(refused(shop).text(), "door 2: prohibit train.generative"));
  // Once seen, it stays in the log and binds when the file is gone.
  shop.terms = {};
  EXPECT_TRUE(has(refused(shop).text(), "door 2: prohibit train.generative"));
}

TEST(BypassTest, HandEditedLog) {
  const auto edited = [](const std::string& name, const std::string& sql) {
    Workshop shop("log_" + name);
    shop.sealed(2, kForbids);
    shop.terms = {};
    execute(shop.path("ledger/log.db"), sql);
    const Error error = refused(shop);
    EXPECT_EQ(error.code, ErrorCode::bad_input) << name;
    EXPECT_TRUE(has(error.text(), "entry")) << name;
  };
  edited("terms",
         "UPDATE entries SET entry = replace(entry, 'prohibit', 'permit') "
         "WHERE kind = 'terms'");
  edited("removed", "DELETE FROM entries WHERE kind = 'terms'");
  edited("shard",
         "UPDATE entries SET entry = replace(entry, 'collect', 'imports') "
         "WHERE kind = 'shard'");
}

TEST(BypassTest, AnotherLogKnowsNothing) {
  Workshop shop("replaced_log");
  shop.sealed(2, kForbids);
  ASSERT_TRUE(base::remove_all(shop.path("ledger")).ok());
  shop.open_log();
  EXPECT_TRUE(has(refused(shop).text(), "not in the log"));
}

TEST(BypassTest, AShardOfForeignMakeIsMixedIn) {
  Workshop shop("mixed");
  Workshop other("mixed_other");
  shop.sealed(2);
  auto gathering = other.gathering();
  other.gather(*gathering, 10, 2, other.bind({}));
  const std::string foreign = other.seal(*gathering).shards.at(0);
  for (const auto& path : {foreign, columns_path(foreign)}) {
    ASSERT_TRUE(base::write_file_atomic(base::join(shop.shards(), base::base_name(path)),
                                        *base::read_file(path))
                    .ok());
  }
  EXPECT_TRUE(has(refused(shop).text(), "not in the log"));
}

// Shards that somebody logged with this program's own means, past its interfaces.
TEST(BypassTest, RecordsFromNowhereAndFromTheFuture) {
  const auto logged = [](const std::string& name, const std::function<void(Record&)>& change) {
    Workshop shop(name);
    Record record = testing::request(0, shop.bind({}));
    record.answer = "x";
    record.captured_ms = shop.clock.wall_ms();
    change(record);
    record.key = record_key(record);
    CodeBook codes(*shop.log);
    EXPECT_TRUE(codes.log_terms(shop.terms).ok());
    EXPECT_TRUE(base::make_directories(shop.shards()).ok());
    const auto written = write_shard({&record, 1}, *shop.log, codes, {.folder = shop.shards()},
                                     {.source = "by hand", .batch = ""});
    EXPECT_TRUE(written.ok()) << written.error().text();
    return shop.refusal();
  };
  EXPECT_EQ(logged("as_it_should_be", [](Record&) {}), "");
  EXPECT_TRUE(has(logged("from_nowhere",
                         [](Record& record) {
                           record.kind = Kind::derived;
                           record.parents = {{std::string(64, '1'), 0, std::string(64, '2')}};
                         }),
                  "parent in a shard that is not in the log"));
  EXPECT_TRUE(
      has(logged("from_the_future", [](Record& record) { record.captured_ms += int64_t{1} << 40; }),
          "captured after its shard was sealed"));
}

// A verdict is about one selection and one purpose; another one is asked anew.
TEST(BypassTest, AClearanceOfAnotherSplitOrPurpose) {
  Workshop shop("another_purpose");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 1, shop.bind({}));
  shop.gather(*gathering, 1, 1, shop.bind({.series = "strict", .forbidden = "train.generative"}));
  shop.seal(*gathering);
  auto clearance = shop.clearance();
  const auto view = clearance.curate(shop.selection());
  ASSERT_TRUE(view.ok());
  DerivedWriter writer(*view, *shop.log, {.folder = shop.path("curated")}, "curate");
  for (int64_t row = 0; row < 2; ++row) {
    const bool free = (*view)[row].messages == testing::request(0, {}).messages;
    writer.keep(view->parent(row), free ? "train" : "held_out");
  }
  ASSERT_TRUE(writer.finish().ok());
  Selection train{.folder = shop.path("curated"), .split = "train", .path_label = "t"};
  Selection held_out = train;
  held_out.split = "held_out";
  Selection both = train;
  both.split = "";
  const auto cleared = clearance.clear<TrainGenerative>(train);
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  EXPECT_FALSE(clearance.clear<TrainGenerative>(held_out).ok());
  EXPECT_FALSE(clearance.clear<TrainGenerative>(both).ok());
  const auto benchmark = clearance.clear<Evaluate>(held_out);
  ASSERT_TRUE(benchmark.ok());
  EXPECT_NE(benchmark->digest(), cleared->digest());
  terms::Purpose narrow{.actions = {terms::Action::evaluate}, .model_id = "student"};
  EXPECT_FALSE(shop.clearance(narrow).clear<TrainGenerative>(train).ok());
}

}  // namespace
}  // namespace retort::corpus
