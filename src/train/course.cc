#include <algorithm>

#include "base/check.h"
#include "train/course_internal.h"

namespace retort::train {
namespace {

Schedule schedule_over(int64_t steps, const TrainOptions& options) {
  const auto of_all = [&](double share) {
    return static_cast<int64_t>(share * static_cast<double>(steps));
  };
  return {.shape = *parse_schedule(options.schedule),
          .peak = options.lr,
          .min_ratio = options.min_lr_ratio,
          .warmup = options.warmup_steps >= 0 ? options.warmup_steps : of_all(options.warmup_share),
          .decay = of_all(options.decay_share),
          .total = steps};
}

}  // namespace

Course::Course(const Examples& data, const TrainOptions& options, uint32_t together)
    : data_(data), options_(options), together_(together) {
  uint32_t row = 0;
  for (const RowPart& part : data.parts) {
    parts_.push_back({.first_row = row, .rows = static_cast<uint32_t>(part.rows)});
    row += static_cast<uint32_t>(part.rows);
  }
  if (parts_.empty()) parts_.push_back({.rows = static_cast<uint32_t>(data.rows.size())});
  RETORT_CHECK(!is_by_parts() || row == data.rows.size(), "{} rows in parts, of {}", row,
               data.rows.size());
  int64_t step = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    parts_[i].first_step = step;
    parts_[i].schedule = schedule_over(steps_of(i), options);
    step += parts_[i].schedule.total;
    if (is_by_parts()) parts_[i].sha256 = digest(rows_of(parts_[i]));
  }
}

std::span<const Example> Course::rows_of(const Part& part) const {
  return std::span(data_.rows).subspan(part.first_row, part.rows);
}

int64_t Course::steps_of(size_t part) const {
  int64_t steps = 0;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    const auto first = static_cast<int64_t>(part) * options_.epochs;
    const auto batches = static_cast<int64_t>(plan(first + epoch).size());
    steps += (batches + options_.accumulate - 1) / options_.accumulate;
  }
  return steps;
}

BatchPlan Course::plan(int64_t epoch) const {
  const Part& part = parts_[static_cast<size_t>(epoch / options_.epochs)];
  BatchPlan plan = plan_epoch(rows_of(part), options_.batch_tokens,
                              static_cast<uint64_t>(options_.seed), epoch, together_);
  for (auto& batch : plan) {
    for (uint32_t& row : batch) row += part.first_row;
  }
  return plan;
}

double Course::rate_at(int64_t step) const {
  const auto after =
      std::upper_bound(parts_.begin(), parts_.end(), step,
                       [](int64_t wanted, const Part& part) { return wanted < part.first_step; });
  const Part& part = *(after - 1);
  return part.schedule.at(step - part.first_step);
}

std::vector<int64_t> Course::borders() const {
  std::vector<int64_t> out;
  if (!is_by_parts()) return out;
  for (const Part& part : parts_) out.push_back(part.first_step + part.schedule.total);
  return out;
}

int64_t Course::parts_seen(const LoopState& at) const {
  const bool inside = at.cursor > 0 || at.epoch % options_.epochs > 0;
  return at.epoch / options_.epochs + (inside ? 1 : 0);
}

json::Value Course::describe_parts(int64_t count) const {
  json::Value out = json::Value::array();
  if (!is_by_parts()) return out;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    out.push(json::Value::object({{"terms", data_.parts[i].name},
                                  {"rows", data_.parts[i].rows},
                                  {"sha256", parts_[i].sha256}}));
  }
  return out;
}

}  // namespace retort::train
