// What the tests of the room start from: a folder, a log, terms, and records that were gathered and
// sealed under them.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/files.h"
#include "corpus/clearance.h"
#include "corpus/gathering.h"
#include "corpus/shard.h"
#include "store/database.h"

namespace retort::corpus::testing {

inline std::string scratch(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "retort_corpus_" + name;
  EXPECT_TRUE(base::remove_all(folder).ok());
  EXPECT_TRUE(base::make_directories(folder).ok());
  return folder;
}

// Behind the program's back.
inline void execute(const std::string& path, const std::string& sql) {
  auto database = *store::Database::open(path);
  const auto done = database->execute(sql);
  ASSERT_TRUE(done.ok()) << done.error().text();
}

inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

struct TermsText {
  std::string series = "door";
  std::string version = "1";
  std::string time = "effective = 2026-01-01";
  std::string forbidden{};  // an action
  std::string more{};       // more tables
  std::string object = "any";
};

inline std::string toml_of(const TermsText& text) {
  std::string out = "schema = \"retort.terms/1\"\nassigner = \"A\"\nseries = \"" + text.series +
                    "\"\nversion = \"" + text.version + "\"\n[time]\n" + text.time +
                    "\n[source]\nbasis = \"express\"\n";
  for (const auto action : terms::all_actions()) {
    const std::string name = terms::name(action);
    out += "[[rule]]\neffect = \"" + std::string(name == text.forbidden ? "prohibit" : "permit") +
           "\"\naction = \"" + name + "\"\nobject = \"" + text.object + "\"\nclause = \"7.2\"\n" +
           "text = \"words on " + name + "\"\n";
  }
  return out + text.more + "[review]\nreader = \"R\"\n";
}

inline terms::Terms terms_of(const TermsText& text) {
  auto parsed = terms::parse_terms(toml_of(text), "test.toml");
  EXPECT_TRUE(parsed.ok()) << parsed.error().text();
  return std::move(*parsed);
}

inline terms::Purpose any_purpose() {
  return {.actions = terms::all_actions(), .model_id = "student"};
}

// 2026-06-01.
inline constexpr int64_t kNow_ms = 1'780'272'000'000;

// What was asked, number `i`.
inline Record request(int64_t i, const std::vector<terms::Reference>& references) {
  Record record;
  record.door = {.provider = "example", .endpoint = "https://example.com/v1", .plan = "paid"};
  record.model = "m-1";
  record.messages = {{dialog::Role::user, "Tell of thing " + std::to_string(i) + "."}};
  record.terms = references;
  record.slots = {{"noun", "thing"}};
  record.principal = "tester";
  return record;
}

inline Answer answer(int64_t i) {
  Answer out;
  out.model_answered = "m-1-0601";
  out.text = "It was thing " + std::to_string(i) + ", with “quotes”.\n";
  out.finish_reason = "stop";
  out.usage = {10, 20 + i};
  out.request_id = "r-" + std::to_string(i);
  out.cost_micros = 3;
  return out;
}

struct Workshop {
  std::string folder;
  base::ManualClock clock{kNow_ms};
  std::unique_ptr<ledger::Ledger> log;
  terms::TermsSet terms;
  terms::Deciders deciders{};

  explicit Workshop(const std::string& name) : folder(scratch(name)) { open_log(); }

  void open_log() {
    log = nullptr;
    log = *ledger::Ledger::open(base::join(folder, "ledger"), {.create = true, .clock = &clock});
  }
  std::string path(const std::string& name) const { return base::join(folder, name); }
  std::string shards() const { return path("shards"); }
  std::string database() const { return path("corpus.db"); }

  std::vector<terms::Reference> bind(const TermsText& text) {
    auto one = terms_of(text);
    const std::string id = one.id;
    terms.add(std::move(one));
    return {{id, terms::Object::outputs}};
  }
  std::string write_terms(const TermsText& text) const {
    const std::string file = path(text.series + ".toml");
    EXPECT_TRUE(base::write_file_atomic(file, toml_of(text)).ok());
    return file;
  }

  std::unique_ptr<Gathering> gathering() {
    auto opened = Gathering::open(database(), {.group_ms = 1, .clock = &clock});
    EXPECT_TRUE(opened.ok()) << opened.error().text();
    return std::move(*opened);
  }
  // Plans and answers requests first .. first + count - 1.
  void gather(Gathering& gathering, int64_t first, int64_t count,
              const std::vector<terms::Reference>& references) {
    std::vector<Record> requests;
    for (int64_t i = first; i < first + count; ++i) requests.push_back(request(i, references));
    ASSERT_EQ(gathering.plan(requests).value_or(-1), count);
    const auto jobs = gathering.claim(count);
    ASSERT_TRUE(jobs.ok()) << jobs.error().text();
    for (size_t i = 0; i < jobs->size(); ++i) {
      gathering.submit((*jobs)[i], answer(first + static_cast<int64_t>(i)), nullptr);
    }
    const auto flushed = gathering.flush();
    ASSERT_TRUE(flushed.ok()) << flushed.error().text();
  }
  SealReport seal(Gathering& gathering, int64_t records_per_shard = 65'536) {
    auto report = corpus::seal(gathering, *log, terms,
                               {.folder = shards(), .records_per_shard = records_per_shard});
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.value_or({});
  }
  // `count` records under these terms, sealed.
  SealReport sealed(int64_t count, const TermsText& text = {}) {
    auto store = gathering();
    gather(*store, 0, count, bind(text));
    return seal(*store);
  }
  Clearance clearance(terms::Purpose purpose = any_purpose()) {
    return Clearance(*log, terms, std::move(purpose), &clock, deciders);
  }
  Selection selection(const std::string& label = "test") const {
    return {.folder = shards(), .split = "", .path_label = label};
  }
  // The text of the refusal of training, "" when it was permitted.
  std::string refusal(terms::Purpose purpose = any_purpose()) {
    const auto cleared = clearance(std::move(purpose)).clear<TrainGenerative>(selection());
    return cleared.ok() ? "" : cleared.error().text();
  }
};

inline ::testing::AssertionResult has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "“" << part << "” is not in: " << text;
}

}  // namespace retort::corpus::testing
