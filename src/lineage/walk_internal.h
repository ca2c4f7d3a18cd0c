// Along the graph's edges from what a question names, to a fixed point.
#pragma once
#include <vector>

#include "lineage/graph_internal.h"
#include "lineage/trace.h"

namespace retort::lineage {

// A generation is walked to its end before the next one begins, and what is sure before what has
// to be assumed: so everything is reached through as few runs and guesses as there can be.
class Walk {
 public:
  explicit Walk(const Graph& graph) : graph_(graph), seen_(graph.size()) {}

  void seed(NodeId id) { seed(id, id); }
  // `from` is the reason, and not walked from itself.
  void seed(NodeId id, NodeId from) {
    reach(id, {.from = from, .generation = 0, .assumed = false});
  }
  void run();

  bool reached(NodeId id) const { return seen_[id].from != Graph::kNone; }
  Reason reason(NodeId id) const;

 private:
  struct Seen {
    NodeId from = Graph::kNone;  // kNone: not reached
    int generation = 0;
    bool assumed = false;
  };

  void reach(NodeId id, const Seen& how);
  void visit(NodeId id);
  bool assume();

  const Graph& graph_;
  std::vector<Seen> seen_;
  int generation_ = 0;
  std::vector<NodeId> now_, later_;  // to visit in this generation and in the next
  // Of this generation: whatever does not name its parents or doors may come of these.
  std::vector<NodeId> maybe_parents_;
};

}  // namespace retort::lineage
