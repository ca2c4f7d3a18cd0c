// What a stream's measures are worth as evidence: linear in them, so that every part of a score can
// be named to whom it concerns. The tables come from simulated traffic (bench/harvest); calibration
// (calibration.h), not these weights, is what bounds errors.
#pragma once
#include <array>
#include <vector>

#include "base/result.h"
#include "detect/feature.h"
#include "json/value.h"

namespace retort::detect {

// score = bias + sum of weights times how many standard deviations a measure lies off the usual.
// Natural logarithm of the odds that the stream is a harvest, for the mix it was learnt from.
struct Scorer {
  float bias = -20;
  Features weights{};
};

struct Judge {
  Features usual{}, spread{};  // of honest streams
  Scorer total;
  std::array<Scorer, kFamilies> families{};  // from the family's own measures alone
};

struct Model {
  Judge account, cluster;
};

// Standard deviations off the usual, cut off at 4 either way.
float deviation(const Judge& judge, const Features& values, Feature feature);
float score(const Judge& judge, const Scorer& scorer, const Features& values);

// The measures that weigh most in a score, the heaviest first.
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
