// Gradient boosting of trees of three questions on the logistic loss (Friedman 2001), with
// thresholds from 48 quantiles of each measure.
#pragma once
#include <vector>

#include "detect/model.h"

namespace retort::bench::harvest {

struct Labelled {
  const detect::Features* values = nullptr;
  bool harvest = false;
  double weight = 1;
};
// Sets the judge's trees and bias.
void boost(const std::vector<Labelled>& samples, detect::Judge& judge);

}  // namespace retort::bench::harvest
