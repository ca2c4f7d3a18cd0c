// The order in which a training learns its rows. Whole: all of them in each epoch. Or part by part
// (train.isolate_by): every epoch of one part before the first of the next, with a schedule of its
// own for each, so that what the weights are where a part ends depends on no later part. A pure
// function of rows and options. Private to the room.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "json/value.h"
#include "train/checkpoint.h"
#include "train/examples.h"
#include "train/options.h"
#include "train/schedule.h"

namespace retort::train {

class Course {
 public:
  // Keeps references. `together`: rows of a batch that are one unit.
  Course(const Examples& data, const TrainOptions& options, uint32_t together);

  int64_t epochs() const { return options_.epochs * static_cast<int64_t>(parts_.size()); }
  int64_t total_steps() const { return parts_.back().first_step + parts_.back().schedule.total; }
  BatchPlan plan(int64_t epoch) const;
  double rate_at(int64_t step) const;

  int64_t parts() const { return std::ssize(parts_); }
  bool is_by_parts() const { return !data_.parts.empty(); }
  // The steps after which a part is learnt, ascending; none where there are no parts.
  std::vector<int64_t> borders() const;
  // How many parts the weights have learnt from.
  int64_t parts_seen(const LoopState& at) const;
  // So many first parts, by their terms and the digest of their rows.
  json::Value describe_parts(int64_t count) const;

 private:
  struct Part {
    uint32_t first_row = 0, rows = 0;
    int64_t first_step = 0;
    Schedule schedule = {};
    std::string sha256 = {};  // of the rows, where it goes by parts
  };
  std::span<const Example> rows_of(const Part& part) const;
  int64_t steps_of(size_t part) const;

  const Examples& data_;
  const TrainOptions& options_;
  uint32_t together_;
  std::vector<Part> parts_;  // one where it goes by no parts
};

}  // namespace retort::train
