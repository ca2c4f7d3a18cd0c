// From scores to error bounds: what honest accounts of the same declared purpose scored.
//
// The unit that is exchangeable is an account's whole period, not a request or a window: an honest
// nightly job looks in every window as it looked in the last, so products of p-values of windows
// would grow without bound for it. Let W_t be the most that a score (log-wealth of bets on
// "harvest", model.h) has been until t in an account's period, W_1 ... W_n what honest accounts'
// whole periods came to, and b the bets' size. Then
//
//   e_t = (n + 1) exp(b W_t) / (exp(b W_t) + exp(b W_1) + ... + exp(b W_n))
//
// never falls, and at the period's end it is the soft-rank e-value of exchangeable variables, whose
// mean is at most 1 (Wang and Ramdas 2022, "False discovery rate control with e-values"; Koning
// 2023, arXiv 2310.01153). So E[e_tau] <= 1 at any stopping time tau: e_t is an e-process (Ramdas,
// Ruf, Larsson, Koolen 2020, arXiv 2009.03167). Periods add up with weights
// 1/2, 1/6, 1/12 ... = 1/(m (m + 1)), which sum to 1:
//
//   E_t = sum over closed periods m of w_m e_m + w_now e_t,    P(E_t >= 1/alpha ever) <= alpha
//
// by Markov's inequality for a process that never falls (Ville's for e-processes). What it takes:
// the accounts in the calibration were honest, chosen from the same population as those judged, and
// not used to learn the model. n + 1 bounds e_t: alpha = 0.001 in a first period needs n > 2,000.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "detect/feature.h"
#include "detect/model.h"
#include "json/value.h"

namespace retort::detect {

// Natural logarithms of what the bets came to at their best moment in a period.
struct Wealth {
  float total = -20, rest = -20;
  std::array<float, kFamilies> families{-20, -20, -20, -20, -20, -20, -20, -20};
  void raise(const Wealth& other);
  void lower(float by);  // the scores over all families
};
// By how much an account's scores of so few requests are lowered before they count: honest streams
// come highest while chance weighs most, and a threshold above that would be too high for the rest.
// Chosen by how honest streams' highest scores fall with their length. Any function of what was
// seen may be calibrated, so the bound does not rest on it.
float early_handicap(uint32_t requests);
Wealth wealth_of(const Judge& judge, const Features& values);

// Scores beyond which the p-value is at most a given tail.
constexpr std::array kTails = {0.5,   0.2,   0.1,   0.05,   0.02,   0.01,
                               0.005, 0.002, 0.001, 0.0005, 0.0001, 0.0};
using Levels = std::array<float, kTails.size()>;

// Of one declared purpose.
struct ClassCalibration {
  double bet = 1;        // b
  int64_t periods = 0;   // n
  double log_total = 0;  // log(exp(b W_1) + ... + exp(b W_n))
  Levels total{}, rest{};
  std::array<Levels, kFamilies> families{};
};

// What names of the classes of clusters begin with; no purpose is one of them.
constexpr std::string_view kClusterClass = "cluster:";

struct Calibration {
  std::map<std::string, ClassCalibration, std::less<>> classes;

  // The class of a purpose; of "", which holds all classes together, for a purpose unknown here.
  const ClassCalibration* find(std::string_view purpose) const;
};

// n + 1 at most; 0 for a class without periods.
double e_value(const ClassCalibration& of, float total);
// (1 + number of honest periods as high or higher) / (n + 1), rounded up to the next of kTails.
double p_value(const Levels& levels, int64_t periods, float score);

constexpr double period_weight(uint32_t period) {
  const double m = period + 1.0;
  return 1 / (m * (m + 1));
}

// Evidence of one period weighted for it, all or nothing: what alpha takes where the p-value is one
// of kTails that the period's weight times alpha allows; what e_value() gives where there is none,
// or too few periods for it. 1 / tail where p <= tail has a mean of 1 at most, as e_value() has.
double all_or_nothing(const ClassCalibration& of, float total, double alpha, uint32_t period);

// The larger a bet, the more the highest honest score alone decides; the smaller, the more all of
// them do. Where n is hardly above what 1/alpha needs, only large bets can reach it.
class CalibrationBuilder {
 public:
  explicit CalibrationBuilder(double bet = 5) : bet_(bet) {}
  // Of an honest account's whole period. Counts for its class and for "".
  void add(std::string_view purpose, const Wealth& wealth);
  // Of a cluster of honest accounts, for the class of what binds it alone.
  void add_cluster(std::string_view bond, const Wealth& wealth);
  Calibration finish() const;

 private:
  double bet_;
  std::map<std::string, std::vector<Wealth>, std::less<>> lives_, clusters_;
};

// Both together: sums and numbers of periods add up, so that e_value() is of all of them; of the
// levels the higher ones stand, so that p-values err towards 1. A class that only one has is as
// there. usage error where bets on the same class differ.
Result<Calibration> pooled(const Calibration& one, const Calibration& other);

const Calibration& built_in_calibration();
json::Value to_json(const Calibration& calibration);
Result<Calibration> calibration_from_json(const json::Value& value);

}  // namespace retort::detect
