// What may be done with a text or with weights: the closed set of actions that terms speak of, and
// one type for each, so that the compiler can tell permission for one from permission for another.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

namespace retort::terms {

enum class Action {
  train_generative,     // "train.generative"
  train_classifier,     // "train.classifier"
  train_same_provider,  // "train.same_provider": fine-tuning inside the provider's own service
  evaluate,             // "evaluate"
  judge,                // "judge"
  store,                // "store"
  share_data,           // "share_data"
  publish_model,        // "publish_model"
};

const char* name(Action action);
std::optional<Action> parse_action(std::string_view text);
const std::vector<Action>& all_actions();

struct TrainGenerative {
  static constexpr Action kAction = Action::train_generative;
};
struct TrainClassifier {
  static constexpr Action kAction = Action::train_classifier;
};
struct TrainSameProvider {
  static constexpr Action kAction = Action::train_same_provider;
};
struct Evaluate {
  static constexpr Action kAction = Action::evaluate;
};
struct Judge {
  static constexpr Action kAction = Action::judge;
};
struct Store {
  static constexpr Action kAction = Action::store;
};
struct ShareData {
  static constexpr Action kAction = Action::share_data;
};
struct PublishModel {
  static constexpr Action kAction = Action::publish_model;
};

}  // namespace retort::terms
