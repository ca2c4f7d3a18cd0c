// What the room's tests share: texts that look like words, and models of a question or two.
#pragma once
#include <string>

#include "base/random.h"
#include "detect/model.h"

namespace retort::detect::testing {

inline std::string word(uint64_t seed) {
  base::Random random(seed, 17);
  std::string out;
  for (int k = 0; k < 4; ++k) {
    out += "bcdfghklmnprstvz"[random.below(16)];
    out += "aeiou"[random.below(5)];
  }
  return out + "n";
}

inline std::string chatter(uint64_t seed) {
  std::string out;
  for (uint64_t k = 0; k < 8; ++k) out += word(seed * 8 + k) + " ";
  return out;
}

// One question a tree, the same at all its nodes.
inline Tree ask(Feature feature, float threshold, float no, float yes) {
  Tree out;
  out.feature.fill(static_cast<uint8_t>(feature));
  out.threshold.fill(threshold);
  out.leaf = {no, no, no, no, yes, yes, yes, yes};
  return out;
}

inline void weigh(Judge& judge, Feature feature, float usual, float spread) {
  at(judge.usual, feature) = usual;
  at(judge.spread, feature) = spread;
  auto& scorer = judge.families[static_cast<size_t>(text_of(feature).family)];
  scorer.bias = 0;
  at(scorer.weights, feature) = 1;
}

// Filled templates with long answers are a harvest; of clusters, unless many ask the same.
inline Model simple_model() {
  Model out;
  for (Judge* judge : {&out.account, &out.cluster}) {
    judge->bias = 0;
    judge->trees = {ask(Feature::filled_template, 0.25f, -6, 6)};
    weigh(*judge, Feature::filled_template, 0.05f, 0.05f);
    weigh(*judge, Feature::answer_length, 0.5f, 0.05f);
  }
  out.cluster.trees.push_back(ask(Feature::overlap, 0.2f, 0, -12));
  weigh(out.cluster, Feature::accounts, 0.1f, 0.05f);
  return out;
}

}  // namespace retort::detect::testing
