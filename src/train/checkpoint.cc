#include "train/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/files.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "train/tensor_file.h"

namespace retort::train {
namespace {

constexpr const char* kSchema = "retort.checkpoint/1";
constexpr const char* kMarker = "complete";
constexpr const char* kState = "state.json";
constexpr const char* kAnswers = "answers.json";
constexpr const char* kParts = "parts";
constexpr std::string_view kPrefix = "step-";

std::string file_of(const NamedBlock& block) {
  return block.name + ".safetensors";
}

// "step-000120" to 120; -1 for any other name.
int64_t step_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return -1;
  const std::string_view digits = name.substr(kPrefix.size());
  int64_t step = -1;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  return error == std::errc() && stop == digits.data() + digits.size() ? step : -1;
}

json::Value loop_to_json(const LoopState& loop) {
  return json::Value::object({{"step", loop.step},
                              {"epoch", loop.epoch},
                              {"cursor", loop.cursor},
                              {"updates", loop.updates},
                              {"refused_in_row", loop.refused_in_row},
                              {"tokens", loop.tokens},
                              {"seconds", loop.seconds},
                              {"last_loss", loop.last_loss},
                              {"best_step", loop.best_step},
                              {"best_loss", loop.best_loss},
                              {"held_out_loss", loop.held_out_loss},
                              {"worse_epochs", loop.worse_epochs},
                              {"start_loss", loop.start_loss},
                              {"first_loss", loop.first_loss}});
}

Result<LoopState> loop_from_json(const json::Value& value) {
  LoopState loop;
  RETORT_TRY(loop.step, value.int_at("step"));
  RETORT_TRY(loop.epoch, value.int_at("epoch"));
  RETORT_TRY(loop.cursor, value.int_at("cursor"));
  RETORT_TRY(loop.updates, value.int_at("updates"));
  RETORT_TRY(loop.refused_in_row, value.int_at("refused_in_row"));
  RETORT_TRY(loop.tokens, value.int_at("tokens"));
  RETORT_TRY(loop.seconds, value.number_at("seconds"));
  RETORT_TRY(loop.last_loss, value.number_at("last_loss", 0.0));
  RETORT_TRY(loop.best_step, value.int_at("best_step"));
  RETORT_TRY(loop.best_loss, value.number_at("best_loss"));
  RETORT_TRY(loop.held_out_loss, value.number_at("held_out_loss"));
  RETORT_TRY(loop.worse_epochs, value.int_at("worse_epochs"));
  RETORT_TRY(loop.start_loss, value.number_at("start_loss", 0.0));
  RETORT_TRY(loop.first_loss, value.number_at("first_loss", 0.0));
  return loop;
}

json::Value digests_to_json(const Digests& digests) {
  json::Value list = json::Value::array();
  for (const std::string& digest : digests) list.push(digest);
  return list;
}

Result<Digests> digests_from_json(const json::Value& state, const std::string& file, size_t count) {
  const json::Value* all = state.find("sha256");
  const json::Value* list = all == nullptr ? nullptr : all->find(file);
  if (list == nullptr || !list->is_array() || list->as_array().size() != count) {
    return base::bad_input(fmt::format("the list of digests of {} is not whole", file));
  }
  Digests digests;
  for (const json::Value& item : list->as_array()) {
    if (!item.is_string()) return base::bad_input(fmt::format("a digest of {} is no text", file));
    digests.push_back(item.as_string());
  }
  return digests;
}

Result<std::string> read_answers(const json::Value& state, const std::string& folder) {
  const json::Value* all = state.find("sha256");
  if (all == nullptr || all->find(kAnswers) == nullptr) return std::string();
  RETORT_TRY(const Digests digests, digests_from_json(state, kAnswers, 1));
  const std::string file = base::join(folder, kAnswers);
  RETORT_TRY(std::string text, base::read_file(file));
  if (crypto::sha256_hex(text) == digests.front()) return text;
  return base::bad_input("the file is damaged: its SHA-256 is not the state's", file);
}

// Names each member that differs, with both values.
std::string differences(const json::Value& then, const json::Value& now) {
  std::string out;
  for (const auto& [key, value] : now.as_object()) {
    const json::Value* old = then.find(key);
    if (old != nullptr && *old == value) continue;
    out += fmt::format("{}{} was {} and is {}", out.empty() ? "" : ", ", key,
                       old == nullptr ? "not there" : json::dump(*old), json::dump(value));
  }
  return out.empty() ? "a setting that this version does not have" : out;
}

// Whether a training may go on from what was saved under `then`: it has learnt nothing but the
// first parts of what this one learns, in the same way.
bool begins(const json::Value& then, const json::Value& now) {
  const json::Value* seen = then.find(kParts);
  if (seen == nullptr || !seen->is_array()) return false;
  const auto& parts = now.find(kParts)->as_array();
  const auto& first = seen->as_array();
  if (first.size() > parts.size() || !std::equal(first.begin(), first.end(), parts.begin())) {
    return false;
  }
  json::Value same = then;
  same.set(kParts, *now.find(kParts));
  return same == now;
}

}  // namespace

std::string Checkpoints::path(int64_t step) const {
  return base::join(place_.folder, fmt::format("{}{:06}", kPrefix, step));
}

void Checkpoints::point(std::string_view name) const {
  if (at_point_) at_point_(name);
}

Result<std::vector<int64_t>> Checkpoints::completed() const {
  std::vector<int64_t> steps;
  if (!base::is_directory(place_.folder)) return steps;
  RETORT_TRY(const auto names, base::list_directory(place_.folder));
  for (const std::string& name : names) {
    const int64_t step = step_of(name);
    if (step >= 0 && base::exists(base::join(path(step), kMarker))) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Result<void> Checkpoints::write(const CheckpointView& view, const std::string& folder) const {
  json::Value digests = json::Value::object();
  for (const NamedBlock& block : place_.blocks) {
    const std::string file = file_of(block);
    RETORT_TRY_VOID(write_tensor_file(base::join(folder, file), place_.tensors, block.values));
    digests.set(file, digests_to_json(tensor_digests(place_.tensors, block.values)));
    point(file);
  }
  if (!view.answers.empty()) {
    RETORT_TRY_VOID(base::write_file_atomic(base::join(folder, kAnswers), view.answers));
    digests.set(kAnswers, digests_to_json({crypto::sha256_hex(view.answers)}));
    point(kAnswers);
  }
  const json::Value state = json::Value::object({{"schema", kSchema},
                                                 {"loop", loop_to_json(view.loop)},
                                                 {"identity", view.identity},
                                                 {"sha256", std::move(digests)}});
  return base::write_file_atomic(base::join(folder, kState), json::dump(state, 1));
}

Result<void> Checkpoints::save(const CheckpointView& view) const {
  const std::string target = path(view.loop.step);
  const std::string temporary = target + ".tmp";
  RETORT_TRY_VOID(base::make_directories(place_.folder));
  RETORT_TRY_VOID(base::remove_all(temporary));
  RETORT_TRY_VOID(base::make_directories(temporary));
  point("begin");
  if (Result<void> written = write(view, temporary); !written) {
    const Result<void> removed = base::remove_all(temporary);  // gives the space back
    return written.error().at("checkpoint");
  }
  point("state");
  // A damaged checkpoint of this step may be in the way; without its marker it is none.
  RETORT_TRY_VOID(base::remove_all(base::join(target, kMarker)));
  RETORT_TRY_VOID(base::publish_directory(temporary, target));
  point("renamed");
  RETORT_TRY(const std::string state, base::read_file(base::join(target, kState)));
  RETORT_TRY_VOID(
      base::write_file_atomic(base::join(target, kMarker), crypto::sha256_hex(state) + "\n"));
  point("marked");
  if (auto read_back = load(view.loop.step); !read_back) {
    const Result<void> unmarked = base::remove_all(base::join(target, kMarker));
    return base::storage_error(
        "a checkpoint that was just written does not read back: " + read_back.error().message,
        target, "check the disk; earlier checkpoints are untouched");
  }
  point("verified");
  RETORT_TRY_VOID(point_latest_at(view.loop.step));
  point("latest");
  return prune(view);
}

Result<void> Checkpoints::point_latest_at(int64_t step) const {
  const std::string file = base::join(place_.folder, "latest");
  const std::string name = base::base_name(path(step)) + "\n";
  const auto now = base::read_file(file, 1024);
  if (now && *now == name) return {};
  return base::write_file_atomic(file, name);
}

// Keeps the newest ones and the best one. Later steps than this one are damaged, or this one would
// not have been reached again. The marker goes first, so that a half removed folder is no
// checkpoint.
Result<void> Checkpoints::prune(const CheckpointView& view) const {
  RETORT_TRY(const auto steps, completed());
  const auto now = std::upper_bound(steps.begin(), steps.end(), view.loop.step) - steps.begin();
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool sound = static_cast<int64_t>(i) < now;
    const bool newest = sound && static_cast<int64_t>(i) >= now - place_.keep;
    const bool kept = sound && std::ranges::count(view.kept, steps[i]) > 0;
    if (newest || kept || steps[i] == view.loop.best_step) continue;
    RETORT_TRY_VOID(remove(steps[i]));
  }
  RETORT_TRY(const auto names, base::list_directory(place_.folder));
  for (const std::string& name : names) {
    const std::string left = base::join(place_.folder, name);
    const bool ours = name.starts_with(kPrefix) && base::is_directory(left);
    if (ours && !base::exists(base::join(left, kMarker))) RETORT_TRY_VOID(base::remove_all(left));
  }
  return {};
}

Result<void> Checkpoints::remove(int64_t step) const {
  RETORT_TRY_VOID(base::remove_all(base::join(path(step), kMarker)));
  point("unmarked");
  return base::remove_all(path(step));
}

Result<json::Value> Checkpoints::read_state(int64_t step) const {
  const std::string file = base::join(path(step), kState);
  constexpr int64_t kLimitBytes = int64_t{64} << 20;
  RETORT_TRY(const std::string text, base::read_file(file, kLimitBytes));
  RETORT_TRY(const std::string marker, base::read_file(base::join(path(step), kMarker), 1024));
  if (marker != crypto::sha256_hex(text) + "\n") {
    return base::bad_input("the file is damaged: its SHA-256 is not the marker's", file);
  }
  RETORT_TRY(json::Value state, json::parse(text, file));
  RETORT_TRY(const std::string schema, state.string_at("schema"));
  if (schema != kSchema) {
    return base::bad_input(fmt::format("the checkpoint is of schema {}, not {}", schema, kSchema),
                           file, "use the version of retort that wrote it");
  }
  return state;
}

Result<Checkpoint> Checkpoints::load(int64_t step) const {
  RETORT_TRY(const json::Value state, read_state(step));
  const json::Value* loop_json = state.find("loop");
  if (loop_json == nullptr) return base::bad_input("the state has no loop", path(step));
  RETORT_TRY(const LoopState loop, loop_from_json(*loop_json));
  Checkpoint checkpoint{loop, {}, {}, path(step)};
  RETORT_TRY(checkpoint.answers, read_answers(state, path(step)));
  for (const NamedBlock& block : place_.blocks) {
    const std::string file = file_of(block);
    RETORT_TRY(const Digests digests, digests_from_json(state, file, place_.tensors.size()));
    RETORT_TRY(auto values,
               read_tensor_file(base::join(path(step), file), place_.tensors, digests));
    checkpoint.blocks.push_back(std::move(values));
  }
  return checkpoint;
}

Result<std::string> Checkpoints::weights_digest(int64_t step) const {
  RETORT_TRY(const json::Value state, read_state(step));
  RETORT_TRY(const Digests digests,
             digests_from_json(state, file_of(place_.blocks.front()), place_.tensors.size()));
  std::string all;
  for (const std::string& digest : digests) all += digest;
  return crypto::sha256_hex(all);
}

Result<std::optional<Checkpoint>> Checkpoints::load_newest(const json::Value& identity) const {
  RETORT_TRY(auto steps, completed());
  std::reverse(steps.begin(), steps.end());
  const bool by_parts = identity.find(kParts) != nullptr;
  bool others = false;
  for (const int64_t step : steps) {
    const auto state = read_state(step);
    if (state) {
      const json::Value* then = state->find("identity");
      if (by_parts && (then == nullptr || !begins(*then, identity))) {
        base::log_info("checkpoint {} is removed: it has learnt what this training does not have",
                       path(step));
        RETORT_TRY_VOID(remove(step));
        others = true;
        continue;
      }
      if (!by_parts && (then == nullptr || *then != identity)) {
        return base::usage_error(
            "the training cannot go on: since its checkpoint " +
                differences(then == nullptr ? json::Value() : *then, identity),
            path(step), "put it back, or remove " + base::parent(place_.folder) + " to start anew");
      }
      auto loaded = load(step);
      if (loaded) {
        RETORT_TRY_VOID(point_latest_at(step));
        return std::optional<Checkpoint>(std::move(*loaded));
      }
      base::log_warning("checkpoint {} is passed over: {}", path(step), loaded.error().text());
      continue;
    }
    base::log_warning("checkpoint {} is passed over: {}", path(step), state.error().text());
  }
  if (steps.empty() || others) return std::optional<Checkpoint>();
  return base::storage_error("every checkpoint of this training is damaged", place_.folder,
                             "remove " + base::parent(place_.folder) + " to start anew");
}

}  // namespace retort::train
