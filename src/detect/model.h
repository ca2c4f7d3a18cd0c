// What a stream's measures are worth as evidence: a sum of small trees over all of them, and for
// each family of measures a linear score of its own. The tables come from simulated traffic
// (bench/harvest); calibration (calibration.h), not these tables, is what bounds errors.
#pragma once
#include <array>
#include <vector>

#include "base/result.h"
#include "detect/feature.h"
#include "json/value.h"

namespace retort::detect {

// bias + sum of weights times how many standard deviations a measure lies off the usual.
struct Scorer {
  float bias = -20;
  Features weights{};
};

// Three questions "is the measure above the threshold?": node i asks, no leads to 2 i + 1, yes to
// 2 i + 2, and the last answer to a leaf.
struct Tree {
  std::array<uint8_t, 7> feature{};
  std::array<float, 7> threshold{};
  std::array<float, 8> leaf{};
};

struct Judge {
  Features usual{}, spread{};  // of honest streams
  float bias = -20;
  std::vector<Tree> trees;                   // boosted (Friedman 2001)
  std::array<Scorer, kFamilies> families{};  // from the family's own measures alone
};

struct Model {
  Judge account, cluster;
};

// Standard deviations off the usual, cut off at 4 either way.
float deviation(const Judge& judge, const Features& values, Feature feature);
// Natural logarithm of the odds that the stream is a harvest, for the mix that was learnt from.
float total_score(const Judge& judge, const Features& values);
// The same, and what is left of it without the share of the family that weighs most for a harvest.
// A family's share is what the answers of its measures changed of the mean of the leaves in reach.
struct Score {
  float total = -20, rest = -20;
};
Score score_of(const Judge& judge, const Features& values);
float family_score(const Judge& judge, Family family, const Features& values);

// The measures that weigh most in the total score, the heaviest first, by such shares of their own.
struct Weighed {
  Feature feature;
  float value = 0, usual = 0, contribution = 0;
};
std::vector<Weighed> heaviest(const Judge& judge, const Features& values, size_t most);

// What the program brings along.
const Model& built_in_model();

json::Value to_json(const Model& model);
Result<Model> model_from_json(const json::Value& value);

}  // namespace retort::detect
