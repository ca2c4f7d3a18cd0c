#include <fmt/core.h>

#include "base/clock.h"
#include "report/numbers_internal.h"
#include "report/sections_internal.h"

namespace retort::report {

std::vector<Figure> key_figures(const Run& run) {
  std::vector<Figure> figures;
  const auto train = number(run.funnel, "train");
  if (train) {
    const auto steps = funnel_steps(run);
    figures.push_back({"records learnt from", count_text(*train),
                       steps.empty() ? "" : "of " + count_text(steps.front().in) + " gathered"});
  }
  if (const auto tokens = count(run, "collect", "completion_tokens")) {
    const double cost = count(run, "collect", "cost_microusd").value_or(0);
    figures.push_back(
        {"teacher's tokens", count_text(*tokens), cost > 0 ? money_text(cost) : "nothing paid"});
  }
  if (const auto student = estimate(run.results, "bits_per_byte/student")) {
    const auto ngram = estimate(run.results, "bits_per_byte/ngram");
    figures.push_back({"bits per byte", decimal_text(student->value, 3),
                       ngram ? "5-gram " + decimal_text(ngram->value, 3) : ""});
  }
  if (const auto student = estimate(run.results, "named/student")) {
    const auto teacher = estimate(run.results, "named/teacher");
    figures.push_back({"names what was asked", percent_text(student->value),
                       teacher ? reference_name(run) + " " + percent_text(teacher->value) : ""});
  }
  double seconds = 0;
  for (const auto& cost : stage_costs(run)) seconds += cost.seconds;
  if (!run.stages.empty()) {
    const auto peak = number(run.machine, "peak_memory_bytes");
    figures.push_back(
        {"all stages", base::human_duration(seconds), peak ? "at most " + bytes_text(*peak) : ""});
  }
  return figures;
}

}  // namespace retort::report
