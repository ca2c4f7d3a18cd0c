// The parts of the page; each gives whole markup, also when its stage has not run.
#pragma once
#include <string>
#include <vector>

#include "report/html_internal.h"
#include "report/run_folder_internal.h"

namespace retort::report {

struct Figure {
  std::string label;
  std::string value;
  std::string remark;  // what the value stands beside; may be empty
};
// The few numbers that say most; only those that are known.
std::vector<Figure> key_figures(const Run& run);

// What was learnt from whom under which clause; whether it beats the n-gram; where it falls short.
std::vector<std::string> headline(const Run& run);

struct FunnelStep {
  std::string name = {}, example = {}, why = {};
  double in = 0, out = 0, dropped = 0;
};
std::vector<FunnelStep> funnel_steps(const Run& run);

struct StageCost {
  std::string stage;
  double seconds = 0;
  std::string amount;  // "5,812 answers, 312,044 tokens"
};
std::vector<StageCost> stage_costs(const Run& run);

// Points for the curves; at most kCurvePoints each, longer ones averaged in groups.
inline constexpr size_t kCurvePoints = 800;
json::Value curve_data(const Run& run);

// "kept" of a verdict: the terms allow the use.
bool is_permitted(const std::string& verdict);
// "train.generative" -> "train a generative model"; unknown actions as they are.
std::string action_text(const std::string& action);

Html missing(const char* sentence);
Html permission_section(const Run& run);
Html funnel_section(const Run& run);
Html curves_section(const Run& run);
Html evaluation_section(const Run& run);
Html samples_section(const Run& run);
Html cost_section(const Run& run);
Html repeat_section(const Run& run);

}  // namespace retort::report
