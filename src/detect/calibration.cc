#include "detect/calibration.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "detect/numbers_internal.h"

namespace retort::detect {
namespace {

// 4: of scores that the trees for clusters of this version give.
constexpr std::string_view kSchema = "retort.detect.calibration/4";

// How many of n honest periods may lie above the level of a tail, so that the p-value of a score
// beyond it, one more in n + 1, is at most that tail.
double rank_of(double tail, double n) {
  return std::max(0.0, std::floor(tail * (n + 1)) - 1);
}

Levels levels_of(std::vector<float> scores) {
  std::sort(scores.begin(), scores.end(), std::greater<>());
  Levels out{};
  for (size_t i = 0; i < kTails.size(); ++i) {
    out[i] = scores[static_cast<size_t>(rank_of(kTails[i], static_cast<double>(scores.size())))];
  }
  return out;
}

ClassCalibration class_of(const std::vector<Wealth>& lives, double bet) {
  ClassCalibration out;
  out.bet = bet;
  out.periods = static_cast<int64_t>(lives.size());
  std::vector<float> scores;
  for (const Wealth& one : lives) scores.push_back(one.total);
  const double most = bet * *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const float one : scores) sum += std::exp(bet * one - most);
  out.log_total = most + std::log(sum);
  out.total = levels_of(scores);
  for (size_t i = 0; i < lives.size(); ++i) scores[i] = lives[i].rest;
  out.rest = levels_of(scores);
  for (size_t family = 0; family < kFamilies; ++family) {
    for (size_t i = 0; i < lives.size(); ++i) scores[i] = lives[i].families[family];
    out.families[family] = levels_of(scores);
  }
  return out;
}

void raise(Levels& levels, const Levels& other) {
  for (size_t i = 0; i < levels.size(); ++i) levels[i] = std::max(levels[i], other[i]);
}

Error bad(std::string_view what, std::string_view where) {
  return base::bad_input(std::string(what), std::string(where),
                         "make the calibration anew from honest accounts");
}

Result<Levels> levels_from(const json::Value* value, std::string_view where) {
  if (value == nullptr || !value->is_array() || value->as_array().size() != kTails.size()) {
    return bad("a calibration lacks its levels", where);
  }
  Levels out{};
  for (size_t i = 0; i < out.size(); ++i) {
    const json::Value& one = value->as_array()[i];
    if (!one.is_number() || !std::isfinite(one.as_number()))
      return bad("a level is no number", where);
    out[i] = static_cast<float>(one.as_number());
    if (i > 0 && out[i] < out[i - 1]) return bad("levels must rise", where);
  }
  return out;
}

Result<ClassCalibration> class_from(const json::Value& value, std::string_view where) {
  ClassCalibration out;
  RETORT_TRY(out.bet, value.number_at("bet"));
  RETORT_TRY(out.periods, value.int_at("periods"));
  RETORT_TRY(out.log_total, value.number_at("log_total"));
  if (!(out.bet > 0)) return bad("the size of bets must be above zero", where);
  if (out.periods < 1 || !std::isfinite(out.log_total)) return bad("a class has no periods", where);
  RETORT_TRY(out.total, levels_from(value.find("total"), where));
  RETORT_TRY(out.rest, levels_from(value.find("rest"), where));
  const json::Value* families = value.find("families");
  for (size_t i = 0; i < kFamilies; ++i) {
    const auto family = name(static_cast<Family>(i));
    RETORT_TRY(out.families[i],
               levels_from(families != nullptr ? families->find(family) : nullptr, family));
  }
  return out;
}

}  // namespace

void Wealth::raise(const Wealth& other) {
  total = std::max(total, other.total);
  rest = std::max(rest, other.rest);
  for (size_t i = 0; i < kFamilies; ++i) families[i] = std::max(families[i], other.families[i]);
}

void Wealth::lower(float by) {
  total -= by;
  rest -= by;
}

float early_handicap(uint32_t requests) {
  constexpr float kFirst = 6, kOver = 48, kMost = 1.2f;
  const float n = std::max(static_cast<float>(requests), kFirst);
  return n >= kOver ? 0 : kMost * (1 - std::log(n / kFirst) / std::log(kOver / kFirst));
}

Wealth wealth_of(const Judge& judge, const Features& values) {
  Wealth out;
  const Score score = score_of(judge, values);
  out.total = score.total;
  out.rest = score.rest;
  for (size_t i = 0; i < kFamilies; ++i) {
    out.families[i] = family_score(judge, static_cast<Family>(i), values);
  }
  return out;
}

const ClassCalibration* Calibration::find(std::string_view purpose) const {
  auto found = purpose.starts_with(kClusterClass) ? classes.end() : classes.find(purpose);
  if (found == classes.end()) found = classes.find("");
  return found == classes.end() ? nullptr : &found->second;
}

double e_value(const ClassCalibration& of, float total) {
  if (of.periods == 0) return 0;
  const double over = of.log_total - of.bet * total;  // log of the others' sum by own
  return static_cast<double>(of.periods + 1) / (1 + std::exp(over));
}

double p_value(const Levels& levels, int64_t periods, float score) {
  const auto n = static_cast<double>(periods);
  double reached = n;  // how many honest periods may have come as high
  for (size_t i = 0; i < levels.size() && score > levels[i]; ++i) {
    reached = rank_of(kTails[i], n);
  }
  return std::min(1.0, (1 + reached) / (n + 1));
}

double all_or_nothing(const ClassCalibration& of, float total, double alpha, uint32_t period) {
  const double weight = period_weight(period);
  const auto tail =
      std::find_if(kTails.begin(), kTails.end(), [&](double one) { return one <= weight * alpha; });
  const bool reachable = *tail * static_cast<double>(of.periods + 1) >= 1;
  if (!reachable) return weight * e_value(of, total);
  return p_value(of.total, of.periods, total) <= *tail ? weight / *tail : 0;
}

void CalibrationBuilder::add(std::string_view purpose, const Wealth& wealth) {
  lives_[""].push_back(wealth);
  if (!purpose.empty()) lives_[std::string(purpose)].push_back(wealth);
}

void CalibrationBuilder::add_cluster(std::string_view bond, const Wealth& wealth) {
  clusters_[std::string(bond)].push_back(wealth);
}

Calibration CalibrationBuilder::finish() const {
  Calibration out;
  for (const auto& [purpose, lives] : lives_) out.classes[purpose] = class_of(lives, bet_);
  for (const auto& [bond, lives] : clusters_) out.classes[bond] = class_of(lives, bet_);
  return out;
}

Result<Calibration> pooled(const Calibration& one, const Calibration& other) {
  Calibration out = one;
  for (const auto& [purpose, more] : other.classes) {
    const auto [at, is_new] = out.classes.try_emplace(purpose, more);
    if (is_new) continue;
    ClassCalibration& both = at->second;
    if (both.bet != more.bet) {
      return base::usage_error("calibrations with bets of other sizes have no sum", purpose,
                               "make both with the same size of bets");
    }
    const double most = std::max(both.log_total, more.log_total);
    both.log_total =
        most + std::log(std::exp(both.log_total - most) + std::exp(more.log_total - most));
    both.periods += more.periods;
    raise(both.total, more.total);
    raise(both.rest, more.rest);
    for (size_t i = 0; i < kFamilies; ++i) raise(both.families[i], more.families[i]);
  }
  return out;
}

json::Value to_json(const Calibration& calibration) {
  json::Value classes = json::Value::object();
  for (const auto& [purpose, one] : calibration.classes) {
    json::Value families = json::Value::object();
    for (size_t i = 0; i < kFamilies; ++i) {
      families.set(std::string(name(static_cast<Family>(i))), short_decimals(one.families[i]));
    }
    classes.set(purpose, json::Value::object({{"bet", one.bet},
                                              {"periods", one.periods},
                                              {"log_total", one.log_total},
                                              {"total", short_decimals(one.total)},
                                              {"rest", short_decimals(one.rest)},
                                              {"families", std::move(families)}}));
  }
  return json::Value::object({{"schema", kSchema}, {"classes", std::move(classes)}});
}

Result<Calibration> calibration_from_json(const json::Value& value) {
  RETORT_TRY(const std::string schema, value.string_at("schema"));
  if (schema != kSchema) {
    return base::bad_input("this is no calibration that this version of detection knows", schema,
                           "make it anew: retort policy calibrate");
  }
  Calibration out;
  const json::Value* classes = value.find("classes");
  if (classes == nullptr || !classes->is_object()) return bad("there are no classes", "classes");
  for (const auto& [purpose, one] : classes->as_object()) {
    RETORT_TRY(out.classes[purpose], class_from(one, purpose));
  }
  return out;
}

}  // namespace retort::detect
