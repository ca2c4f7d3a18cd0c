#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

using testing::has;
using testing::Workshop;

constexpr const char* kThree = R"({"messages": [{"role": "system", "content": "s"}, )"
                               R"({"role": "user", "content": "q"}, )"
                               R"({"role": "assistant", "content": "a"}]}
{"prompt": "p", "completion": "c", "note": "kept out"}

{"text": "only a text"}
)";

struct Import {
  Workshop shop;
  std::string terms;

  explicit Import(const std::string& name)
      : shop("import_" + name), terms(shop.write_terms({.object = "texts"})) {}
  Result<SealReport> run(const std::string& text) {
    const std::string path = shop.path("own.jsonl");
    EXPECT_TRUE(base::write_file_atomic(path, text).ok());
    return import_jsonl(
        path, *shop.log,
        {.terms = {terms}, .seal = {.folder = shop.shards()}, .clock = &shop.clock});
  }
};

TEST(ImportTest, TakesThreeShapesAsOwnRecords) {
  Import import("shapes");
  const auto report = import.run(kThree);
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->records, 3);
  const auto cleared = import.shop.clearance().clear<TrainGenerative>(import.shop.selection());
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  ASSERT_EQ(cleared->size(), 3);
  EXPECT_EQ((*cleared)[0].kind, Kind::human);
  EXPECT_EQ((*cleared)[0].messages.size(), 2u);
  EXPECT_EQ((*cleared)[0].answer, "a");
  EXPECT_EQ((*cleared)[1].messages[0].content, "p");
  EXPECT_EQ((*cleared)[1].answer, "c");
  EXPECT_TRUE((*cleared)[2].messages.empty());
  EXPECT_EQ((*cleared)[2].answer, "only a text");
  EXPECT_EQ((*cleared)[2].captured_ms, import.shop.clock.wall_ms());
  EXPECT_EQ((*cleared)[2].terms[0].object, terms::Object::texts);
}

TEST(ImportTest, TheSameAgainAddsNothing) {
  Import import("again");
  ASSERT_TRUE(import.run(kThree).ok());
  const auto size = import.shop.log->head()->size;
  const auto report = import.run(std::string(kThree) + R"({"text": "only a text"})" + "\n" +
                                 R"({"text": "new"})" + "\n" + R"({"text": "new"})");
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->records, 1);
  EXPECT_EQ(report->already, 5);
  EXPECT_EQ(import.shop.log->head()->size, size + 1);
  EXPECT_EQ(import.run(kThree)->records, 0);
}

TEST(ImportTest, RefusesAMalformedLineByItsNumber) {
  const std::string good = R"({"text": "good"})";
  for (const char* bad :
       {"{", "[]", "3", R"({"txt": "x"})", R"({"text": 3})", R"({"text": ""})",
        R"({"prompt": "p"})", R"({"messages": []})", R"({"messages": {}})",
        R"({"messages": [{"role": "user", "content": "q"}]})",
        R"({"messages": [{"role": "wizard", "content": "q"}]})",
        R"({"messages": [{"role": "user"}, {"role": "assistant", "content": "a"}]})",
        "{\"text\": \"\xff\"}"}) {
    Import import("malformed");
    const auto report = import.run(good + "\n\n" + bad + "\n" + good + "\n");
    ASSERT_FALSE(report.ok()) << bad;
    EXPECT_EQ(report.error().code, ErrorCode::bad_input) << bad;
    EXPECT_TRUE(has(report.error().text(), "own.jsonl:3")) << bad;
    EXPECT_FALSE(list_shards(import.shop.shards()).ok()) << "nothing of the file is taken";
  }
  EXPECT_FALSE(Import("empty").run("\n").ok());
}

TEST(ImportTest, NeedsTerms) {
  Workshop shop("import_terms");
  ASSERT_TRUE(base::write_file_atomic(shop.path("own.jsonl"), kThree).ok());
  EXPECT_EQ(import_jsonl(shop.path("own.jsonl"), *shop.log, {.seal = {.folder = shop.shards()}})
                .error()
                .code,
            ErrorCode::usage);
}

TEST(ImportTest, ACrashBeforeTheLeafIsMended) {
  Import import("crash");
  const std::string path = import.run(kThree)->shards.at(0);
  ASSERT_EQ(::rename(path.c_str(), (path + ".pending").c_str()), 0);
  EXPECT_EQ(import.run(kThree)->already, 3) << "its leaf is in the log: it gets its name";
  ASSERT_EQ(::rename(path.c_str(), (path + ".pending").c_str()), 0);
  ASSERT_TRUE(base::remove_all(import.shop.path("ledger")).ok());
  import.shop.open_log();
  EXPECT_EQ(import.run(kThree)->records, 3) << "not in the log: it is written anew";
  EXPECT_EQ(list_shards(import.shop.shards())->size(), 1u);
}

}  // namespace
}  // namespace retort::corpus
