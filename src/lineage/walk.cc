#include "lineage/walk_internal.h"

namespace retort::lineage {

void Walk::reach(NodeId id, const Seen& how) {
  Seen& seen = seen_[id];
  if (seen.from != Graph::kNone && seen.generation <= how.generation) return;
  seen = how;
  (how.generation == generation_ ? now_ : later_).push_back(id);
}

void Walk::run() {
  while (!now_.empty()) {
    do {
      for (size_t i = 0; i < now_.size(); ++i) visit(now_[i]);
      now_.clear();
    } while (assume());
    ++generation_;
    // Some were reached in the generation before after all.
    for (const NodeId id : later_) {
      if (seen_[id].generation == generation_) now_.push_back(id);
    }
    later_.clear();
  }
}

void Walk::visit(NodeId id) {
  const Graph::Place& place = graph_.at(id);
  for (const NodeId next : place.next) {
    const bool learnt = place.kind == Node::run && graph_.at(next).kind == Node::model;
    reach(next,
          {.from = id, .generation = generation_ + (learnt ? 1 : 0), .assumed = seen_[id].assumed});
  }
  if (place.kind == Node::records || place.kind == Node::door) maybe_parents_.push_back(id);
}

// Returns whether there is more to visit in this generation.
bool Walk::assume() {
  for (const NodeId parent : maybe_parents_) {
    const auto& of = graph_.at(parent);
    const auto& children =
        of.kind == Node::door ? graph_.without_doors() : graph_.without_parents();
    for (const NodeId child : children) {
      if (graph_.at(child).entry < of.entry) continue;
      reach(child, {.from = parent, .generation = generation_, .assumed = true});
    }
  }
  maybe_parents_.clear();
  return !now_.empty();
}

Reason Walk::reason(NodeId id) const {
  const int64_t own = graph_.at(id).entry;
  Reason out{.because = static_cast<uint64_t>(own),
             .generation = seen_[id].generation,
             .assumed = seen_[id].assumed};
  // A step leads to an earlier node of the walk, so this ends at the question.
  while (seen_[id].from != id && seen_[id].from != Graph::kNone) {
    id = seen_[id].from;
    const int64_t entry = graph_.at(id).entry;
    if (entry < 0 || entry == own) continue;
    out.because = static_cast<uint64_t>(entry);
    break;
  }
  return out;
}

}  // namespace retort::lineage
