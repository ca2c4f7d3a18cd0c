#include <algorithm>

#include "base/random.h"
#include "json/value.h"
#include "train/replay_internal.h"

namespace retort::train {
namespace {

constexpr uint64_t kReplay = 0x7265706c6179;  // stream of random numbers, with the step

json::Value list_of(const auto& values) {
  json::Value list = json::Value::array();
  for (const auto value : values) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, float>) {
      list.push(static_cast<double>(value));
    } else {
      list.push(static_cast<int64_t>(value));
    }
  }
  return list;
}

template <class T>
Result<std::vector<T>> numbers(const json::Value& value, const char* key) {
  const json::Value* list = value.find(key);
  std::vector<T> out;
  if (list == nullptr || !list->is_array()) return base::bad_input("a kept answer is not whole");
  for (const json::Value& one : list->as_array()) {
    if (!one.is_number()) return base::bad_input("a kept answer is not whole");
    out.push_back(static_cast<T>(one.as_number()));
  }
  return out;
}

}  // namespace

void Replay::add(const std::vector<Example>& rows) {
  if (!holds_answers()) return;
  for (const Example& row : rows) {
    if (!full()) kept_.push_back({row, 1});
  }
}

std::vector<Example> Replay::draw(size_t count, uint64_t seed, int64_t step) {
  std::vector<Example> out;
  const auto order = base::permutation(static_cast<uint32_t>(kept_.size()), seed,
                                       kReplay ^ base::mix64(static_cast<uint64_t>(step)));
  for (size_t i = 0; i < std::min(count, order.size()); ++i) {
    Kept& kept = kept_[order[i]];
    ++kept.used;
    out.push_back(kept.row);
  }
  std::erase_if(kept_, [&](const Kept& kept) { return kept.used >= uses_; });
  return out;
}

std::string Replay::saved() const {
  json::Value rows = json::Value::array();
  for (const Kept& kept : kept_) {
    const auto prompt = std::find(kept.row.trained.begin(), kept.row.trained.end(), true);
    rows.push(json::Value::object({{"key", kept.row.key},
                                   {"source", static_cast<int64_t>(kept.row.source)},
                                   {"used", kept.used},
                                   {"baseline", static_cast<double>(kept.row.baseline)},
                                   {"prompt", prompt - kept.row.trained.begin()},
                                   {"ids", list_of(kept.row.ids)},
                                   {"drawn", list_of(kept.row.drawn)},
                                   {"reference", list_of(kept.row.reference)}}));
  }
  return json::dump(rows);
}

Result<void> Replay::restore(const std::string& text) {
  kept_.clear();
  RETORT_TRY(const json::Value rows, json::parse(text, "answers that are learnt from again"));
  if (!rows.is_array()) return base::bad_input("the kept answers are no list");
  for (const json::Value& value : rows.as_array()) {
    Kept kept;
    RETORT_TRY(kept.row.key, value.string_at("key"));
    RETORT_TRY(const int64_t source, value.int_at("source"));
    kept.row.source = static_cast<uint32_t>(source);
    RETORT_TRY(kept.used, value.int_at("used"));
    RETORT_TRY(const double baseline, value.number_at("baseline"));
    kept.row.baseline = static_cast<float>(baseline);
    RETORT_TRY(const int64_t prompt, value.int_at("prompt"));
    RETORT_TRY(kept.row.ids, numbers<int32_t>(value, "ids"));
    RETORT_TRY(kept.row.drawn, numbers<float>(value, "drawn"));
    RETORT_TRY(kept.row.reference, numbers<float>(value, "reference"));
    if (prompt < 0 || prompt > std::ssize(kept.row.ids)) {
      return base::bad_input("a kept answer is not whole");
    }
    kept.row.trained.assign(static_cast<size_t>(prompt), false);
    kept.row.trained.resize(kept.row.ids.size(), true);
    kept_.push_back(std::move(kept));
  }
  return {};
}

}  // namespace retort::train
