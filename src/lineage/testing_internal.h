// What the tests of the room start from: a log, doors with terms of their own, records gathered
// through them and sealed, weights, and the clearance of all that.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "corpus/clearance.h"
#include "corpus/gathering.h"
#include "corpus/shard.h"
#include "lineage/manifest.h"

namespace retort::lineage::testing {

using terms::Evaluate;
using terms::TrainGenerative;

inline terms::Terms terms_of(const std::string& series, const std::string& version = "1") {
  std::string text = "schema = \"retort.terms/1\"\nassigner = \"A\"\nseries = \"" + series +
                     "\"\nversion = \"" + version +
                     "\"\n[time]\neffective = 2026-01-01\n[source]\nbasis = \"express\"\n";
  for (const auto action : terms::all_actions()) {
    text += "[[rule]]\neffect = \"permit\"\naction = \"" + std::string(terms::name(action)) +
            "\"\nclause = \"7.2\"\ntext = \"words\"\n";
  }
  auto parsed = terms::parse_terms(text + "[review]\nreader = \"R\"\n", series + ".toml");
  EXPECT_TRUE(parsed.ok()) << (parsed ? "" : parsed.error().text());
  return std::move(*parsed);
}

inline terms::Purpose purpose() {
  return {.actions = terms::all_actions(), .model_id = "student"};
}

struct House {
  std::string folder;
  base::ManualClock clock{1'780'272'000'000};  // 2026-06-01
  std::unique_ptr<ledger::Ledger> log;
  terms::TermsSet terms;

  explicit House(const std::string& name)
      : folder(::testing::TempDir() + "retort_lineage_" + own() + name) {
    EXPECT_TRUE(base::remove_all(folder).ok());
    EXPECT_TRUE(base::make_directories(folder).ok());
    log = *ledger::Ledger::open(path("ledger"), {.create = true, .clock = &clock});
  }
  // Tests run side by side, and two may call a house the same.
  static std::string own() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    return std::string(test->test_suite_name()) + "_" + test->name() + "_";
  }
  std::string path(const std::string& name) const { return base::join(folder, name); }

  // `count` answers of a model behind a door of its own, sealed into the folder `into`; returns the
  // id of the door's terms. The model's name is the series'.
  std::string gather(const std::string& series, int64_t count, const std::string& into = "shards") {
    auto its_terms = terms_of(series);
    const std::string id = its_terms.id;
    terms.add(std::move(its_terms));
    const std::string database = path(into + "-" + series + ".db");
    auto gathering = *corpus::Gathering::open(database, {.group_ms = 1, .clock = &clock});
    std::vector<corpus::Record> requests;
    for (int64_t i = 0; i < count; ++i) {
      corpus::Record request;
      request.door = {"example", "https://" + series + ".example.com/v1", ""};
      request.model = series;
      request.messages = {{dialog::Role::user, "Question " + std::to_string(i)}};
      request.terms = {{id, terms::Object::outputs}};
      requests.push_back(std::move(request));
    }
    EXPECT_TRUE(gathering->plan(requests).ok());
    const auto jobs = gathering->claim(count);
    for (const auto& job : *jobs) {
      corpus::Answer answer;
      answer.text = series + " says " + std::to_string(job.id);
      answer.finish_reason = "stop";
      EXPECT_TRUE(gathering->commit(job, answer).ok());
    }
    const auto sealed = corpus::seal(*gathering, *log, terms, {.folder = path(into)});
    EXPECT_TRUE(sealed.ok()) << (sealed ? "" : sealed.error().text());
    return id;
  }

  // Keeps the records of `from`, every fifth of them held out, in the folder `into`.
  void curate(const std::string& from = "shards", const std::string& into = "curated") {
    auto clearance = clear();
    const auto view = clearance.curate({.folder = path(from), .path_label = "curate"});
    ASSERT_TRUE(view.ok()) << view.error().text();
    corpus::DerivedWriter writer(*view, *log, {.folder = path(into)}, "curate");
    for (int64_t row = 0; row < view->size(); ++row) {
      writer.keep(view->parent(row), row % 5 == 4 ? "held_out" : "train");
    }
    ASSERT_TRUE(writer.finish().ok());
  }

  corpus::Clearance clear() { return corpus::Clearance(*log, terms, purpose(), &clock); }
  corpus::Selection selection(const std::string& split, const std::string& from = "curated") const {
    return {.folder = path(from), .split = split, .path_label = "test"};
  }
  corpus::Cleared<TrainGenerative> training(const std::string& from = "curated") {
    auto cleared = clear().clear<TrainGenerative>(selection("train", from));
    EXPECT_TRUE(cleared.ok()) << (cleared ? "" : cleared.error().text());
    return std::move(*cleared);
  }

  // A file of weights and what clears it.
  std::string write(const std::string& name, const std::string& bytes) const {
    EXPECT_TRUE(base::make_directories(base::parent(path(name))).ok());
    EXPECT_TRUE(base::write_file_atomic(path(name), bytes).ok());
    return path(name);
  }
  corpus::ClearedWeights<TrainGenerative> weights(const std::string& file,
                                                  const std::string& series) {
    const auto its_terms = terms_of(series);
    const std::string toml = write(series + ".toml", its_terms.text);
    auto cleared = clear().clear_weights<TrainGenerative>(file, series, {toml});
    EXPECT_TRUE(cleared.ok()) << (cleared ? "" : cleared.error().text());
    return std::move(*cleared);
  }
};

// A run over these records and a file that it made.
struct Trained {
  int64_t run = -1;
  std::string run_name, file, model;
};
inline Trained train(House& house, const std::string& name, const std::string& from = "curated",
                     const corpus::ClearedWeights<TrainGenerative>* base = nullptr) {
  Trained out;
  const auto run = log_run(
      *house.log, {.data = house.training(from), .base = base, .program = "t", .options = name});
  EXPECT_TRUE(run.ok()) << (run ? "" : run.error().text());
  if (!run) return out;
  out.run = run->manifest().entry;
  out.run_name = run->manifest().name;
  out.file = house.write(name + ".gguf", "weights of " + name);
  ModelInput input{.path = out.file, .model_id = name, .form = "gguf", .run = out.run};
  if (base != nullptr) input.made_from = {base->digest()};
  const auto model = log_model(*house.log, input);
  EXPECT_TRUE(model.ok()) << (model ? "" : model.error().text());
  out.model = model->name;
  return out;
}

inline ::testing::AssertionResult has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "“" << part << "” is not in: " << text;
}

}  // namespace retort::lineage::testing
