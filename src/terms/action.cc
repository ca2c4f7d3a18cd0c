#include "terms/action.h"

namespace retort::terms {

const char* name(Action action) {
  switch (action) {
    case Action::train_generative:
      return "train.generative";
    case Action::train_classifier:
      return "train.classifier";
    case Action::train_same_provider:
      return "train.same_provider";
    case Action::evaluate:
      return "evaluate";
    case Action::judge:
      return "judge";
    case Action::store:
      return "store";
    case Action::share_data:
      return "share_data";
    case Action::publish_model:
      return "publish_model";
  }
  return "?";
}

const std::vector<Action>& all_actions() {
  static const std::vector<Action> actions = {Action::train_generative,
                                              Action::train_classifier,
                                              Action::train_same_provider,
                                              Action::evaluate,
                                              Action::judge,
                                              Action::store,
                                              Action::share_data,
                                              Action::publish_model};
  return actions;
}

std::optional<Action> parse_action(std::string_view text) {
  for (const Action action : all_actions()) {
    if (text == name(action)) return action;
  }
  return std::nullopt;
}

}  // namespace retort::terms
