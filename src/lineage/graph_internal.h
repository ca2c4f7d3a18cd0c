// The log's lineage as a graph: things that can be tainted, and edges along which taint goes.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"
#include "lineage/manifest.h"

namespace retort::lineage {

enum class Node : uint8_t {
  terms,    // by id
  termset,  // by entry, as all below but `bytes`
  door,
  declaration,
  shard,    // some of its records are concerned, by their terms or door or one by one
  records,  // whichever of its records are: what lists the shard or was made from it, is
  run,
  model,
  served,  // files behind a door
  bytes,   // weights by digest, a model's name, the SHA-256 of a file
};

using NodeId = uint32_t;

class Graph {
 public:
  struct Place {
    Node kind = Node::terms;
    int64_t entry = -1;    // -1: none of its own, or not in the log yet
    int64_t records = 0;   // of a shard
    bool unknown = false;  // a shard that does not say what it was made from
    std::vector<NodeId> next;
  };

  Result<void> add(const ledger::Entry& entry);

  const Place& at(NodeId id) const { return places_[id]; }
  size_t size() const { return places_.size(); }

  // What a question may name: every node of the kind under that text, and texts that begin so.
  using Names = std::multimap<std::string, NodeId>;
  const Names& terms() const { return terms_names_; }
  const Names& series() const { return series_names_; }  // every version of the terms
  const Names& doors() const { return door_names_; }
  const Names& declarations() const { return declaration_names_; }
  const Names& weights() const { return weights_names_; }
  const Names& shards() const { return shard_names_; }  // Node::records
  // Erased records by key: where they were.
  struct Erased {
    NodeId records;
    int64_t row;
  };
  const std::multimap<std::string, Erased>& erased() const { return erased_; }

  // Shards whose entry does not say from which others they were made, and whose not through which
  // doors their answers came; in the log's order, nodes of kind records and shard.
  const std::vector<NodeId>& without_parents() const { return without_parents_; }
  const std::vector<NodeId>& without_doors() const { return without_doors_; }

  // The node of kind shard beside one of kind records.
  NodeId shard_of(NodeId records) const { return records - 1; }
  NodeId records_of_shard(int64_t entry) const;  // kNone: no such shard
  NodeId of_run(int64_t entry) const;            // kNone: no such run
  NodeId records_named(const std::string& digest) const;
  // Of a node of kind records.
  const std::string& digest_of_shard(NodeId records) const { return digests_.at(records); }
  // Of a run: which records of its shards it learnt from; "" for all.
  const std::string& split_of_run(NodeId run) const { return splits_.at(run); }

  static constexpr NodeId kNone = UINT32_MAX;

 private:
  NodeId make(Node kind, int64_t entry);
  NodeId of_entry(Node kind, int64_t entry);
  NodeId of_text(Node kind, const std::string& text);
  void edge(NodeId from, NodeId to) { places_[from].next.push_back(to); }

  Result<void> add_terms(const ledger::Entry& entry);
  Result<void> add_termset(const ledger::Entry& entry);
  Result<void> add_door(const ledger::Entry& entry);
  Result<void> add_declaration(const ledger::Entry& entry);
  Result<void> add_shard(const ledger::Entry& entry);
  Result<void> add_run(const ledger::Entry& entry);
  Result<void> add_model(const ledger::Entry& entry);
  Result<void> add_served(const ledger::Entry& entry);
  Result<void> add_erasure(const ledger::Entry& entry);
  void add_weights_used(NodeId run, const WeightsUsed& weights);

  std::vector<Place> places_;
  std::map<std::pair<Node, std::string>, NodeId> texts_;
  std::unordered_map<int64_t, NodeId> entries_;
  // Provider, endpoint, plan and model of a door, to its node: a served model may come first.
  std::map<std::string, NodeId> door_places_;
  Names terms_names_, series_names_, door_names_, declaration_names_, weights_names_, shard_names_;
  std::multimap<std::string, Erased> erased_;
  std::unordered_map<NodeId, std::string> digests_, splits_;
  std::vector<NodeId> without_parents_, without_doors_;
};

}  // namespace retort::lineage
