#include "base/check.h"
#include "detect/built_in_internal.h"
#include "detect/model.h"

namespace retort::detect {

const Model& built_in_model() {
  static const Model kBuiltIn = [] {
    auto account = json::parse(built_in_account_judge());
    auto cluster = json::parse(built_in_cluster_judge());
    RETORT_CHECK(account.ok() && cluster.ok());
    auto out = model_from_json(json::Value::object({{"schema", "retort.detect.model/1"},
                                                    {"account", std::move(*account)},
                                                    {"cluster", std::move(*cluster)}}));
    RETORT_CHECK(out.ok());
    return std::move(*out);
  }();
  return kBuiltIn;
}

}  // namespace retort::detect
