// A made-up house for the tests of trace: what was gathered, derived, learnt and served in it, down
// to the record, and the log that tells of it. The oracle asks the house and not the log.
#pragma once
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ledger/ledger.h"
#include "lineage/manifest.h"
#include "lineage/trace.h"

namespace retort::lineage::testing {

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  // `rounds` generations: each gathers through old doors and through those where models of the
  // round before are served, derives, trains, and makes copies, adapters and merges.
  void grow(int rounds);

  static constexpr const char* kSeries = "example.series";  // of all terms here

  const std::vector<ledger::Entry>& log() const { return log_; }
  // Everything that can be asked about entries below `size`, records as places in shards.
  std::vector<Question> questions(uint64_t size) const;
  // The keys of some records.
  std::vector<Question> keys(size_t n);
  // As sealing does it.
  void write_index(const std::string& ledger_folder) const;

  struct Answer {
    std::set<uint64_t> shards, runs, models;
    uint64_t records = 0;  // of all shards concerned
    bool operator==(const Answer&) const = default;
  };
  // By going over everything again and again until nothing is added. `by_row`: with the index.
  enum class Record { by_shard, by_row };
  Answer oracle(const Question& question, uint64_t size, Record record = Record::by_shard) const;

 private:
  struct Row {
    std::string key;
    std::set<std::string> terms;
    std::set<int64_t> doors;                         // entries
    std::vector<std::pair<size_t, size_t>> parents;  // shard (by place in shards_) and row
    bool held_out = false;
  };
  struct Shard {
    int64_t entry;
    std::string digest;
    std::vector<Row> rows;
    int64_t termset;
  };
  struct Run {
    int64_t entry;
    std::vector<size_t> shards;
    bool held_out_too;
    std::set<std::string> weights;  // digests and files of base and teachers
    std::set<std::string> terms;    // of base and teachers, and of the door that was asked
    std::vector<int64_t> declarations;
    int64_t asked = -1;  // entry of a door
  };
  struct Model {
    int64_t entry;
    std::string name, id;
    int64_t run;
    std::vector<std::string> made_from;
    std::set<std::string> files;
    std::vector<ModelFile> listed;
  };
  struct Served {
    int64_t entry;
    std::string door;  // model asked for there
    std::set<std::string> files;
  };
  struct Door {
    int64_t entry;
    std::string name, model;
  };
  struct Taint;

  int64_t pick(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool chance(int percent) { return pick(100) < percent; }
  std::string digest();
  int64_t append(const std::string& kind, const std::string& name, json::Value body);

  void add_terms();
  void add_declaration();
  size_t door_at(const std::string& model);
  int64_t termset_of(const std::set<std::string>& terms);
  void write_shards(std::vector<Row> rows, const std::string& source);
  void gather();
  void derive();
  void train();
  void add_models(const Run& run, const RunManifest& manifest);
  void write_model(Model model, const std::string& form);
  void make_foreign();
  void serve();
  WeightsUsed use_weights();
  void ask(Run& run, RunManifest& manifest);
  RunManifest manifest_of(const Run& run) const;
  bool step(Taint& taint, uint64_t size) const;
  void mark(const Question& question, Taint& taint) const;
  bool mark_children(size_t shard, Taint& taint) const;
  bool is_tainted(const Run& run, const Taint& taint) const;
  bool is_tainted(const Model& model, const Taint& taint) const;
  bool learnt(const Run& run, const Row& row) const { return run.held_out_too || !row.held_out; }

  std::mt19937_64 random_;
  std::vector<ledger::Entry> log_;
  std::vector<std::string> terms_;
  std::map<std::string, int64_t> termsets_;
  std::vector<std::pair<int64_t, std::string>> declarations_;
  std::vector<Door> doors_;
  std::vector<Shard> shards_;
  std::vector<Run> runs_;
  std::vector<Model> models_;
  std::vector<Served> served_;
};

}  // namespace retort::lineage::testing
