#include "detect/model.h"

#include <algorithm>
#include <cmath>

#include "detect/numbers_internal.h"

namespace retort::detect {
namespace {

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
      {{"bias", short_decimal(scorer.bias)}, {"weights", short_decimals(scorer.weights)}});
}

Result<Scorer> scorer_from(const json::Value* value, std::string_view key) {
  if (value == nullptr) return base::bad_input("a scorer is missing", std::string(key));
  Scorer out;
  RETORT_TRY(const double bias, value->number_at("bias"));
  out.bias = static_cast<float>(bias);
  RETORT_TRY(out.weights, features_at(*value, "weights"));
  return out;
}

json::Value tree_json(const Tree& tree) {
  json::Value out = json::Value::array();
  for (const uint8_t one : tree.feature) out.push(int64_t{one});
  for (const float one : tree.threshold) out.push(short_decimal(one));
  for (const float one : tree.leaf) out.push(short_decimal(one));
  return out;
}

Result<Tree> tree_from(const json::Value& value) {
  Tree out;
  const size_t size = out.feature.size() + out.threshold.size() + out.leaf.size();
  if (!value.is_array() || value.as_array().size() != size) {
    return base::bad_input("a tree of the model has the wrong size", "trees");
  }
  const auto& list = value.as_array();
  for (size_t i = 0; i < size; ++i) {
    if (!list[i].is_number() || !std::isfinite(list[i].as_number())) {
      return base::bad_input("a tree of the model holds what is no number", "trees");
    }
    const double number = list[i].as_number();
    if (i < 7) {
      if (number < 0 || number >= static_cast<double>(kFeatures)) {
        return base::bad_input("a tree asks for a measure that there is not", "trees");
      }
      out.feature[i] = static_cast<uint8_t>(number);
    } else if (i < 14) {
      out.threshold[i - 7] = static_cast<float>(number);
    } else {
      out.leaf[i - 14] = static_cast<float>(number);
    }
  }
  return out;
}

json::Value judge_json(const Judge& judge) {
  json::Value families = json::Value::object(), trees = json::Value::array();
  for (size_t i = 0; i < kFamilies; ++i) {
    families.set(std::string(name(static_cast<Family>(i))), scorer_json(judge.families[i]));
  }
  for (const Tree& tree : judge.trees) trees.push(tree_json(tree));
  return json::Value::object({{"usual", short_decimals(judge.usual)},
                              {"spread", short_decimals(judge.spread)},
                              {"bias", short_decimal(judge.bias)},
                              {"trees", std::move(trees)},
                              {"families", std::move(families)}});
}

Result<Judge> judge_from(const json::Value* value, std::string_view key) {
  if (value == nullptr) return base::bad_input("a judge is missing", std::string(key));
  Judge out;
  RETORT_TRY(out.usual, features_at(*value, "usual"));
  RETORT_TRY(out.spread, features_at(*value, "spread"));
  RETORT_TRY(const double bias, value->number_at("bias"));
  out.bias = static_cast<float>(bias);
  const json::Value* trees = value->find("trees");
  if (trees == nullptr || !trees->is_array()) return base::bad_input("there are no trees", "trees");
  for (const auto& one : trees->as_array()) {
    RETORT_TRY(const Tree tree, tree_from(one));
    out.trees.push_back(tree);
  }
  const json::Value* families = value->find("families");
  for (size_t i = 0; i < kFamilies; ++i) {
    const auto family = name(static_cast<Family>(i));
    const json::Value* one = families != nullptr ? families->find(family) : nullptr;
    RETORT_TRY(out.families[i], scorer_from(one, family));
  }
  return out;
}

// The mean of the leaves below a node; nodes 7 to 14 are the leaves.
float mean_below(const Tree& tree, size_t node) {
  if (node >= 7) return tree.leaf[node - 7];
  return (mean_below(tree, 2 * node + 1) + mean_below(tree, 2 * node + 2)) / 2;
}

// Goes down a tree and gives each answer's share to `share(measure, by)`; the leaf it comes to.
template <class Share>
float walk(const Tree& tree, const Features& values, Share share) {
  size_t node = 0;
  float mean = mean_below(tree, node);
  while (node < 7) {
    const size_t feature = tree.feature[node];
    node = 2 * node + (values[feature] > tree.threshold[node] ? 2 : 1);
    const float below = mean_below(tree, node);
    share(feature, below - mean);
    mean = below;
  }
  return tree.leaf[node - 7];
}

}  // namespace

float deviation(const Judge& judge, const Features& values, Feature feature) {
  const float spread = std::max(at(judge.spread, feature), 1e-4f);
  return std::clamp((at(values, feature) - at(judge.usual, feature)) / spread, -4.0f, 4.0f);
}

float total_score(const Judge& judge, const Features& values) {
  float sum = judge.bias;
  for (const Tree& tree : judge.trees) {
    size_t node = 0;
    while (node < 7) {
      node = 2 * node + (values[tree.feature[node]] > tree.threshold[node] ? 2 : 1);
    }
    sum += tree.leaf[node - 7];
  }
  return sum;
}

Score score_of(const Judge& judge, const Features& values) {
  std::array<float, kFamilies> shares{};
  Score out{.total = judge.bias};
  for (const Tree& tree : judge.trees) {
    out.total += walk(tree, values, [&](size_t feature, float by) {
      shares[static_cast<size_t>(text_of(static_cast<Feature>(feature)).family)] += by;
    });
  }
  out.rest = out.total - std::max(0.0f, *std::max_element(shares.begin(), shares.end()));
  return out;
}

float family_score(const Judge& judge, Family family, const Features& values) {
  const Scorer& scorer = judge.families[static_cast<size_t>(family)];
  float sum = scorer.bias;
  for (size_t i = 0; i < kFeatures; ++i) {
    if (scorer.weights[i] != 0) {
      sum += scorer.weights[i] * deviation(judge, values, static_cast<Feature>(i));
    }
  }
  return sum;
}

std::vector<Weighed> heaviest(const Judge& judge, const Features& values, size_t most) {
  Features parts{};
  for (const Tree& tree : judge.trees) {
    walk(tree, values, [&parts](size_t feature, float by) { parts[feature] += by; });
  }
  std::vector<Weighed> all;
  for (size_t i = 0; i < kFeatures; ++i) {
    if (parts[i] > 0) all.push_back({static_cast<Feature>(i), values[i], judge.usual[i], parts[i]});
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
