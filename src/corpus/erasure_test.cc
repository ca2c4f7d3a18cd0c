// One record is erased: what goes, what stays, and what a kill leaves.
#include "corpus/erasure.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "corpus/record_proof.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"
#include "corpus/zstd_internal.h"
#include "ledger/proof_file.h"

namespace retort::corpus {
namespace {

namespace fs = std::filesystem;
using testing::has;
using testing::Workshop;

constexpr const char* kSecret = "It was thing 1, with";  // in the second answer

std::string decoded(const std::string& path) {
  const std::string bytes = *base::read_file(path);
  ZstdLines lines(bytes, path);
  std::string out;
  while (true) {
    const auto block = lines.next();
    EXPECT_TRUE(block.ok()) << block.error().text();
    if (!block || block->empty()) return out;
    for (const auto line : *block) out += std::string(line) + "\n";
  }
}

// Files beneath the folder, the log apart, in which the text stands as it is or compressed.
std::vector<std::string> holding(const Workshop& shop, const std::string& text) {
  std::vector<std::string> out;
  for (const auto& item : fs::recursive_directory_iterator(shop.folder)) {
    if (!item.is_regular_file()) continue;
    const std::string path = item.path().string();
    const bool packed = path.find(".jsonl.zst") != std::string::npos;
    const std::string content = packed ? decoded(path) : *base::read_file(path);
    if (content.find(text) != std::string::npos) out.push_back(path);
  }
  return out;
}

Answer with_logprobs(int64_t i) {
  Answer out = testing::answer(i);
  for (const char* token : {"It", " was"}) {
    out.logprobs.push_back(
        {.entries = {{token, -0.5F}, {"thing" + std::to_string(i) + token, -1.5F}}, .chosen = 0});
  }
  return out;
}

// Four records with log-probabilities, sealed and curated; one text of another kind made of two.
struct Archive : Workshop {
  std::string shard, key;

  explicit Archive(const std::string& name) : Workshop("erasure_" + name) {
    auto store = gathering();
    std::vector<Record> requests;
    for (int64_t i = 0; i < 4; ++i) requests.push_back(testing::request(i, bind({})));
    EXPECT_TRUE(store->plan(requests).ok());
    const auto jobs = store->claim(4);
    for (size_t i = 0; i < jobs->size(); ++i) {
      EXPECT_TRUE(store->commit((*jobs)[i], with_logprobs(static_cast<int64_t>(i))).ok());
    }
    shard = seal(*store).shards.at(0);
    store = nullptr;
    auto clearance = this->clearance();
    const auto view = clearance.curate(selection());
    DerivedWriter writer(*view, *log, {.folder = path("curated")}, "curate");
    for (int64_t row = 0; row < 4; ++row) writer.keep(view->parent(row), "train");
    writer.add(
        Parents(view->parent(1)).and_also(view->parent(2)),
        {.messages = {{dialog::Role::user, "Sum up."}}, .answer = "Things.", .split = "sum"});
    EXPECT_TRUE(writer.finish().ok());
    key = record_key(testing::request(1, bind({})));
  }
  Result<ErasureReport> erase(
      std::function<Result<void>(const std::string&)> before_step = nullptr) {
    return corpus::erase(*log, {.record = key,
                                .folders = {folder},
                                .reason = "asked by the person",
                                .by = "N",
                                .before_step = std::move(before_step)});
  }
  int64_t entries(const std::string& kind) {
    int64_t count = 0;
    EXPECT_TRUE(log->for_each(kind,
                              [&](const ledger::Entry&) -> Result<void> {
                                ++count;
                                return {};
                              })
                    .ok());
    return count;
  }
  std::vector<std::string> trained(const std::string& from) {
    auto cleared = clearance().clear<TrainGenerative>({.folder = path(from),
                                                       .split = from == "curated" ? "train" : "",
                                                       .path_label = "t",
                                                       .logprobs = true});
    EXPECT_TRUE(cleared.ok()) << (cleared ? "" : cleared.error().text());
    std::vector<std::string> answers;
    for (int64_t row = 0; cleared && row < cleared->size(); ++row) {
      answers.push_back((*cleared)[row].answer);
      EXPECT_EQ(cleared->logprobs(row).size(), 2u);
    }
    return answers;
  }
};

TEST(ErasureTest, ContentSaltAndLogprobsGoAndTheRestHolds) {
  Archive shop("goes");
  EXPECT_EQ(holding(shop, kSecret).size(), 3u) << "shard, curated shard, corpus.db";
  EXPECT_GE(holding(shop, "thing1 was").size(), 2u);
  const auto all = shop.trained("shards");
  ASSERT_EQ(all.size(), 4u);
  auto proof = prove_record(*shop.log, {shop.shards()}, shop.key);
  ASSERT_TRUE(proof.ok()) << proof.error().text();
  const std::string old_columns = *base::read_file(columns_path(shop.shard));

  const auto done = shop.erase();
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_FALSE(done->known);
  EXPECT_EQ(done->erased.size(), 2u) << "the record and its curated copy";
  EXPECT_EQ(done->derived.size(), 1u) << "the sum is another text";
  EXPECT_EQ(done->databases, std::vector<std::string>{shop.database()});
  EXPECT_EQ(holding(shop, kSecret), std::vector<std::string>{});
  EXPECT_EQ(holding(shop, "thing1 was"), std::vector<std::string>{});
  EXPECT_EQ(holding(shop, "thing2 was").size(), 3u);

  // The tree, the log and the others hold; the erased one is cleared for nothing.
  EXPECT_TRUE(shop.log->verify().ok());
  EXPECT_TRUE(verify(*Shard::open(shop.shard), *shop.log).ok());
  EXPECT_EQ(*base::read_file(columns_path(shop.shard)), old_columns);
  EXPECT_EQ(shop.trained("shards"), (std::vector<std::string>{all[0], all[2], all[3]}));
  EXPECT_EQ(shop.trained("curated").size(), 3u);
  EXPECT_EQ(shop.clearance().curate(shop.selection())->size(), 3);
  const auto entry = shop.log->find("erasure", shop.key + "@" + done->erased[0].file.digest);
  ASSERT_TRUE(entry.ok()) << entry.error().text();
  EXPECT_EQ(*entry->body.int_at("index"), done->erased[0].row);
  EXPECT_EQ(*entry->body.string_at("reason"), "asked by the person");
  // What was proven before is still proven; nobody can make such a proof any more.
  EXPECT_TRUE(verify_record_proof(*proof, shop.log->origin(), shop.log->public_key()).ok());
  const auto late = prove_record(*shop.log, {shop.shards()}, shop.key);
  ASSERT_FALSE(late.ok());
  EXPECT_TRUE(has(late.error().text(), "was erased"));
  // The same again changes nothing.
  const int64_t size = shop.log->head()->size;
  const auto again = shop.erase();
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_TRUE(again->known);
  EXPECT_EQ(shop.log->head()->size, size);
  // Nor is it asked for, or imported, once more: its job stays done.
  auto store = shop.gathering();
  EXPECT_EQ(store->counts()->done, 4);
  EXPECT_EQ(shop.seal(*store).records, 0);
}

TEST(ErasureTest, TwoOfOneShardOneAfterTheOther) {
  Archive shop("two");
  ASSERT_TRUE(shop.erase().ok());
  shop.key = record_key(testing::request(3, shop.bind({})));
  const auto done = shop.erase();
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_EQ(shop.trained("shards").size(), 2u);
  EXPECT_EQ(holding(shop, "It was thing 3, with"), std::vector<std::string>{});
  EXPECT_EQ(holding(shop, "It was thing 2, with").size(), 3u);
}

TEST(ErasureTest, WhatWasErasedCannotComeBack) {
  Archive shop("back");
  const std::string whole = *base::read_file(shop.shard);
  const std::string logprobs = *base::read_file(logprobs_path(shop.shard));
  ASSERT_TRUE(shop.erase().ok());
  const std::string erased = *base::read_file(shop.shard);
  const auto refused = [&] {
    const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
    EXPECT_FALSE(cleared.ok()) << "the bypass works";
    return cleared.ok() ? "" : cleared.error().text();
  };
  // The old file from a backup.
  ASSERT_TRUE(base::write_file_atomic(shop.shard, whole).ok());
  EXPECT_TRUE(has(refused(), "records of this shard were erased"));
  ASSERT_TRUE(base::write_file_atomic(shop.shard, erased).ok());
  ASSERT_TRUE(base::write_file_atomic(logprobs_path(shop.shard), logprobs).ok());
  EXPECT_TRUE(has(refused(), "log-probabilities were changed"));
  // The command takes it out of the copy as well.
  ASSERT_TRUE(base::write_file_atomic(shop.shard, whole).ok());
  const auto again = shop.erase();
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(*base::read_file(shop.shard), erased);
  EXPECT_EQ(shop.trained("shards").size(), 3u);
}

TEST(ErasureTest, NobodyErasesByEditingTheShard) {
  Archive shop("by_hand");
  const std::string text = decoded(shop.shard);
  const size_t second = text.find('\n') + 1;
  const size_t third = text.find('\n', second) + 1;
  const std::string line = R"({"retort":{"schema":"retort.erased/1","key":")" + shop.key +
                           R"(","leaf":")" + std::string(64, '0') + "\"}}\n";
  auto writer = *ZstdWriter::create(shop.shard, 3);
  ASSERT_TRUE(writer.write(text.substr(0, second) + line + text.substr(third)).ok());
  ASSERT_TRUE(writer.finish().ok());
  const std::string said = shop.refusal();
  EXPECT_TRUE(has(said, "the log does not say so"));
  EXPECT_TRUE(has(said, "record 1"));
}

TEST(ErasureTest, WhatIsNotThereIsSaid) {
  Archive shop("not_there");
  shop.key = std::string(64, 'a');
  EXPECT_EQ(shop.erase().error().code, ErrorCode::not_found);
  shop.key = "abc";
  EXPECT_EQ(shop.erase().error().code, ErrorCode::usage);
}

// kill -9 before every single step; the same command ends it, and in between no reader is given
// what half of it left.
TEST(ErasureTest, KilledBeforeEachStepItIsEndedByTheSameCommand) {
  std::vector<std::string> steps;
  {
    Archive shop("killed");
    ASSERT_TRUE(shop.erase([&](const std::string& step) -> Result<void> {
                      steps.push_back(step);
                      return {};
                    })
                    .ok());
  }
  ASSERT_GE(steps.size(), 7u) << "mend, two written, log, two placed, one database";
  for (size_t n = 0; n < steps.size(); ++n) {
    const std::string at = fmt::format("step {}: {}", n, steps[n]);
    Archive shop("killed");
    const pid_t child = fork();
    if (child == 0) {
      shop.open_log();
      size_t left = n;
      (void)shop.erase([&](const std::string&) -> Result<void> {
        if (left-- == 0) kill(getpid(), SIGKILL);
        return {};
      });
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << at;
    shop.open_log();
    ASSERT_TRUE(shop.log->verify().ok()) << at;
    const int64_t erasures = shop.entries("erasure");
    EXPECT_TRUE(erasures == 0 || erasures == 2) << at;
    const bool logged = erasures > 0;
    const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
    if (cleared.ok()) {
      EXPECT_EQ(cleared->size(), logged ? 3 : 4) << at;
    } else {
      EXPECT_TRUE(logged && has(cleared.error().text(), "records of this shard were erased")) << at;
    }
    const auto done = shop.erase();
    ASSERT_TRUE(done.ok()) << at << ": " << done.error().text();
    EXPECT_EQ(holding(shop, kSecret), std::vector<std::string>{}) << at;
    EXPECT_EQ(shop.trained("shards").size(), 3u) << at;
    EXPECT_EQ(shop.trained("curated").size(), 3u) << at;
    for (const auto& item : fs::recursive_directory_iterator(shop.folder)) {
      EXPECT_NE(item.path().extension(), ".erasing") << item.path();
    }
  }
}

// The new file was synced before the log said so: it is all that is needed, whatever became of the
// old one.
TEST(ErasureTest, WhatWasWrittenWholeTakesItsPlaceThoughTheOldFileIsLost) {
  Archive shop("old_file_lost");
  const auto stopped = shop.erase([&](const std::string& step) -> Result<void> {
    if (step.starts_with("place ")) return base::storage_error("the disk is gone", step);
    return {};
  });
  ASSERT_FALSE(stopped.ok());
  const std::string old = *base::read_file(shop.shard);
  ASSERT_TRUE(base::write_file_atomic(shop.shard, old.substr(0, old.size() / 2)).ok());
  const auto done = shop.erase();
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_EQ(shop.trained("shards").size(), 3u);
  EXPECT_EQ(holding(shop, kSecret), std::vector<std::string>{});
}

// Rows 0 and 1 of three leaves and of four have paths of one form: the count is in the entry.
TEST(RecordProofTest, ASmallerShardIsNotClaimed) {
  Archive shop("proof_count");
  int tried = 0;
  for (int64_t i = 0; i < 4; ++i) {
    auto proof =
        prove_record(*shop.log, {shop.shards()}, record_key(testing::request(i, shop.bind({}))));
    ASSERT_TRUE(proof.ok()) << proof.error().text();
    if (proof->row > 1) continue;
    ++tried;
    proof->records = 3;
    const auto proven = verify_record_proof(*proof, shop.log->origin(), shop.log->public_key());
    ASSERT_FALSE(proven.ok());
    EXPECT_TRUE(has(proven.error().text(), "another number of records"));
  }
  EXPECT_EQ(tried, 2);
}

// Whoever holds the log's key may write an entry of other times over the same leaves.
TEST(RecordProofTest, AShardOfAnotherTimeIsRefused) {
  Archive shop("proof_time");
  auto proof = prove_record(*shop.log, {shop.shards()}, shop.key);
  ASSERT_TRUE(proof.ok()) << proof.error().text();
  const auto honest = *shop.log->entry(proof->shard.index);
  const auto checked_with = [&](int64_t from_ms, int64_t to_ms) {
    auto body = honest.body;
    body.set("captured_from_ms", from_ms);
    body.set("captured_to_ms", to_ms);
    const auto index = shop.log->append("shard", fmt::format("{}-{}", from_ms, to_ms), body);
    EXPECT_TRUE(index.ok());
    proof->shard = *shop.log->prove(*index);
    const auto proven = verify_record_proof(*proof, shop.log->origin(), shop.log->public_key());
    return proven.ok() ? std::string() : proven.error().text();
  };
  constexpr int64_t kAt = testing::kNow_ms;
  EXPECT_EQ(checked_with(kAt, kAt), "");
  EXPECT_EQ(checked_with(kAt - 1, kAt + 1), "");
  EXPECT_TRUE(has(checked_with(kAt + 1, kAt + 2), "of another time"));
  EXPECT_TRUE(has(checked_with(kAt - 2, kAt - 1), "of another time"));
  // One that tells no time, or not as a number, covers nothing.
  for (const json::Value& said : {json::Value(), json::Value("then")}) {
    auto body = honest.body;
    body.set("captured_to_ms", said);
    const auto index = shop.log->append("shard", "said " + json::dump(said), body);
    proof->shard = *shop.log->prove(*index);
    EXPECT_FALSE(verify_record_proof(*proof, shop.log->origin(), shop.log->public_key()).ok());
  }
}

TEST(RecordProofTest, HoldsByItselfAndNoChangedByteDoes) {
  Archive shop("proof");
  const auto proof = prove_record(*shop.log, {shop.shards()}, shop.key);
  ASSERT_TRUE(proof.ok()) << proof.error().text();
  const std::string text = write_record_proof(*proof);
  const auto check = [&](const std::string& bytes) -> Result<ProvenRecord> {
    RETORT_TRY(const auto read, read_record_proof(bytes, "p"));
    return verify_record_proof(read, shop.log->origin(), shop.log->public_key());
  };
  const auto proven = check(text);
  ASSERT_TRUE(proven.ok()) << proven.error().text();
  EXPECT_EQ(proven->kind, "teacher");
  EXPECT_EQ(proven->captured_ms, testing::kNow_ms);
  EXPECT_EQ(shop.log->entry(proven->terms_set)->kind, "termset");
  EXPECT_EQ(shop.log->entry(proven->door)->kind, "door");
  EXPECT_EQ(shop.log->entry(proven->shard_entry)->name, proven->shard);
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char flip : {'\x01', '\x20'}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      EXPECT_FALSE(check(changed).ok()) << "byte " << at << " as " << changed[at];
    }
  }
  EXPECT_FALSE(check(text.substr(0, text.size() - 1)).ok());
  EXPECT_FALSE(check(text + "x").ok());
  EXPECT_FALSE(check("").ok());
  // Another record's leaf does not carry over.
  auto other =
      *prove_record(*shop.log, {shop.shards()}, record_key(testing::request(2, shop.bind({}))));
  auto mixed = *proof;
  mixed.leaf = other.leaf;
  EXPECT_FALSE(verify_record_proof(mixed, shop.log->origin(), shop.log->public_key()).ok());
  mixed = *proof;
  mixed.shard = *shop.log->prove(0);
  EXPECT_TRUE(
      has(verify_record_proof(mixed, shop.log->origin(), shop.log->public_key()).error().text(),
          "not a shard"));
}

}  // namespace
}  // namespace retort::corpus
