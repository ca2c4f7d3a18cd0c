// Checkpoints that survive what happens to a machine: written under a temporary name, synced,
// renamed, the marker last; a SHA-256 for every tensor; old ones go only after the new one was read
// back and verified. A folder without its marker does not exist for the reader.
//
//   FOLDER/step-000120/model.safetensors, a file for each block of the optimizer's state,
//   answers.json where some are kept, state.json
//                      complete            the SHA-256 of state.json, which holds those of the
//                      tensors
//   FOLDER/latest                          the name of the newest verified one, or of the one
//                      that a run went on from because newer ones were damaged
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "train/trainable.h"

namespace retort::train {

// Where the loop stands. The order of data is a function of (seed, epoch), so no random numbers
// need to be kept.
struct LoopState {
  int64_t step = 0;            // steps done, refused ones too
  int64_t epoch = 0;           // the one under way, from 0
  int64_t cursor = 0;          // batches of it that are done
  int64_t updates = 0;         // steps that changed the weights
  int64_t refused_in_row = 0;  // steps refused since the last good one
  int64_t tokens = 0;          // inputs seen
  double seconds = 0;
  double last_loss = 0;
  int64_t best_step = -1;  // of the lowest held-out loss, -1 before the first
  double best_loss = 0;
  double held_out_loss = 0;  // the last one measured
  int64_t worse_epochs = 0;  // since the best one
  double start_loss = 0;     // held out, before the first step; 0: not measured
  double first_loss = 0;     // of the first step that was not refused
};

struct CheckpointView {
  const LoopState& loop;
  const json::Value& identity;  // what a resumed run must have in common: options, data, shape
  std::string answers = {};     // the student's own that it learns from again; "" for none
  std::vector<int64_t> kept =
      {};  // steps whose checkpoints stay, however many newer ones there are
};

struct Checkpoint {
  LoopState loop;
  std::vector<std::vector<float>> blocks;  // as CheckpointPlace::blocks names them
  std::string answers = {};
  std::string path;
};

// A checkpoint that is kept where a part was learnt, to go on from when permission
// for a later part ends.
struct KeptCheckpoint {
  int64_t step = 0;
  std::vector<std::string> parts;  // that it has learnt, by their names (examples.h)
  std::string weights;             // SHA-256 over the digests of its tensors
};

// Where checkpoints lie and what they hold.
struct CheckpointPlace {
  std::string folder;
  std::vector<model::TensorInfo> tensors = {};
  std::vector<NamedBlock> blocks = {};  // what is saved, and after which files are named
  int64_t keep = 2;
};

class Checkpoints {
 public:
  // `at_point` is called between the steps of saving; tests end the process there.
  using AtPoint = std::function<void(std::string_view)>;
  explicit Checkpoints(CheckpointPlace place, AtPoint at_point = nullptr)
      : place_(std::move(place)), at_point_(std::move(at_point)) {}

  // Saves the blocks as they are now. A failure leaves earlier checkpoints as they were.
  Result<void> save(const CheckpointView& view) const;
  // The newest that verifies; damaged ones are named in the log and passed over. Nothing when none
  // was ever completed, a storage error when all are damaged, a usage error when `identity`
  // differs. Where the identity has "parts", a list, it is the newest of those whose list is the
  // beginning of this one, and the others, which have learnt something else, are removed.
  Result<std::optional<Checkpoint>> load_newest(const json::Value& identity) const;
  // SHA-256 over the digests of the first block's tensors: equal for equal weights.
  Result<std::string> weights_digest(int64_t step) const;
  Result<Checkpoint> load(int64_t step) const;
  // Steps of completed checkpoints, ascending.
  Result<std::vector<int64_t>> completed() const;

 private:
  std::string path(int64_t step) const;
  void point(std::string_view name) const;
  Result<void> write(const CheckpointView& view, const std::string& folder) const;
  Result<void> point_latest_at(int64_t step) const;
  Result<void> prune(const CheckpointView& view) const;
  Result<void> remove(int64_t step) const;
  Result<json::Value> read_state(int64_t step) const;

  CheckpointPlace place_;
  AtPoint at_point_;
};

}  // namespace retort::train
