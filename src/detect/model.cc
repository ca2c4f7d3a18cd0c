#include "detect/model.h"

#include <algorithm>
#include <cmath>

namespace retort::detect {
namespace {

json::Value array_of(const Features& values) {
  json::Value out = json::Value::array();
  for (const float one : values) out.push(static_cast<double>(one));
  return out;
}

Result<Features> features_at(const json::Value& value, std::string_view key) {
  const json::Value* list = value.find(key);
  if (list == nullptr || !list->is_array() || list->as_array().size() != kFeatures) {
    return base::bad_input("a model of detection needs a list of measures of its own length",
                           std::string(key), "take the model that came with this version");
  }
  Features out{};
  for (size_t i = 0; i < kFeatures; ++i) {
    const json::Value& one = list->as_array()[i];
    if (!one.is_number() || !std::isfinite(one.as_number())) {
      return base::bad_input("a model of detection holds what is no number", std::string(key));
    }
    out[i] = static_cast<float>(one.as_number());
  }
  return out;
}

json::Value scorer_json(const Scorer& scorer) {
  return json::Value::object(
      {{"bias", static_cast<double>(scorer.bias)}, {"weights", array_of(scorer.weights)}});
}

Result<Scorer> scorer_from(const json::Value* value, std::string_view key) {
  if (value == nullptr) return base::bad_input("a scorer is missing", std::string(key));
  Scorer out;
  RETORT_TRY(const double bias, value->number_at("bias"));
  out.bias = static_cast<float>(bias);
  RETORT_TRY(out.weights, features_at(*value, "weights"));
  return out;
}

json::Value judge_json(const Judge& judge) {
  json::Value families = json::Value::object();
  for (size_t i = 0; i < kFamilies; ++i) {
    families.set(std::string(name(static_cast<Family>(i))), scorer_json(judge.families[i]));
  }
  return json::Value::object({{"usual", array_of(judge.usual)},
                              {"spread", array_of(judge.spread)},
                              {"total", scorer_json(judge.total)},
                              {"families", std::move(families)}});
}

Result<Judge> judge_from(const json::Value* value, std::string_view key) {
  if (value == nullptr) return base::bad_input("a judge is missing", std::string(key));
  Judge out;
  RETORT_TRY(out.usual, features_at(*value, "usual"));
  RETORT_TRY(out.spread, features_at(*value, "spread"));
  RETORT_TRY(out.total, scorer_from(value->find("total"), "total"));
  const json::Value* families = value->find("families");
  for (size_t i = 0; i < kFamilies; ++i) {
    const auto family = name(static_cast<Family>(i));
    const json::Value* one = families != nullptr ? families->find(family) : nullptr;
    RETORT_TRY(out.families[i], scorer_from(one, family));
  }
  return out;
}

}  // namespace

float deviation(const Judge& judge, const Features& values, Feature feature) {
  const float spread = std::max(at(judge.spread, feature), 1e-4f);
  return std::clamp((at(values, feature) - at(judge.usual, feature)) / spread, -4.0f, 4.0f);
}

float score(const Judge& judge, const Scorer& scorer, const Features& values) {
  float sum = scorer.bias;
  for (size_t i = 0; i < kFeatures; ++i) {
    if (scorer.weights[i] != 0) {
      sum += scorer.weights[i] * deviation(judge, values, static_cast<Feature>(i));
    }
  }
  return sum;
}

std::vector<Weighed> heaviest(const Judge& judge, const Features& values, size_t most) {
  std::vector<Weighed> all;
  for (size_t i = 0; i < kFeatures; ++i) {
    const auto feature = static_cast<Feature>(i);
    const float part = judge.total.weights[i] * deviation(judge, values, feature);
    if (part > 0) all.push_back({feature, values[i], judge.usual[i], part});
  }
  std::sort(all.begin(), all.end(),
            [](const Weighed& a, const Weighed& b) { return a.contribution > b.contribution; });
  if (all.size() > most) all.resize(most);
  return all;
}

json::Value to_json(const Model& model) {
  return json::Value::object({{"schema", "retort.detect.model/1"},
                              {"account", judge_json(model.account)},
                              {"cluster", judge_json(model.cluster)}});
}

Result<Model> model_from_json(const json::Value& value) {
  RETORT_TRY(const std::string schema, value.string_at("schema"));
  if (schema != "retort.detect.model/1") {
    return base::bad_input("this is no model of detection that this version knows", schema);
  }
  Model out;
  RETORT_TRY(out.account, judge_from(value.find("account"), "account"));
  RETORT_TRY(out.cluster, judge_from(value.find("cluster"), "cluster"));
  return out;
}

}  // namespace retort::detect
