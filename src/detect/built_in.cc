// The model and the calibration that come with the program. They are made from simulated traffic by
// bench/harvest (retort_bench_harvest --write FOLDER).
#include "detect/calibration.h"
#include "detect/model.h"

namespace retort::detect {

const Model& built_in_model() {
  static const Model kModel;
  return kModel;
}

const Calibration& built_in_calibration() {
  static const Calibration kCalibration;
  return kCalibration;
}

}  // namespace retort::detect
