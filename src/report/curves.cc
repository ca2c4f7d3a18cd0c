// Loss and throughput over the steps, and the funnel's bars.
#include <algorithm>
#include <cmath>
#include <map>

#include "report/numbers_internal.h"
#include "report/sections_internal.h"
#include "report/text_table.h"

namespace retort::report {
namespace {

constexpr size_t kExampleCharacters = 240;

// By step; a resumed run writes some steps twice, and the last one counts.
using Curve = std::map<double, double>;

Curve curve(const Run& run, const char* key) {
  Curve points;
  for (const auto& line : run.metrics) {
    const auto step = number(line, "step");
    const auto value = number(line, key);
    if (step && value && std::isfinite(*step) && std::isfinite(*value)) points[*step] = *value;
  }
  return points;
}

// Groups of neighbours become their mean, so that a long run stays a small page.
json::Value thinned(const Curve& points) {
  const size_t group = (points.size() + kCurvePoints - 1) / kCurvePoints;
  json::Value out = json::Value::array();
  double steps = 0, values = 0;
  size_t held = 0, seen = 0;
  for (const auto& [step, value] : points) {
    steps += step;
    values += value;
    ++seen;
    if (++held < group && seen < points.size()) continue;
    const auto n = static_cast<double>(held);
    out.push(json::Value::object({{"x", int64_t{std::llround(steps / n)}}, {"y", values / n}}));
    steps = values = 0;
    held = 0;
  }
  return out;
}

Html figure(const char* id, const char* title, const char* described) {
  return markup(
      "<figure><figcaption>{}</figcaption><div class=\"chart\"><canvas id=\"{}\" "
      "role=\"img\" aria-label=\"{}\"></canvas></div></figure>",
      title, id, described);
}

Html bar(const FunnelStep& step, double all, const std::string& remark) {
  const double kept = all > 0 ? 100 * step.out / all : 0;
  const double lost = all > 0 ? 100 * step.dropped / all : 0;
  return markup(
      "<div class=\"step\"><div class=\"label\"><b>{}</b><span>{}</span></div>"
      "<div class=\"bar\"><i style=\"width:{}%\"></i><i class=\"lost\" "
      "style=\"width:{}%\"></i></div>",
      step.name, remark, std::clamp(kept, 0.0, 100.0),
      std::clamp(lost, 0.0, 100.0 - std::clamp(kept, 0.0, 100.0)));
}

}  // namespace

json::Value curve_data(const Run& run) {
  return json::Value::object({{"loss", thinned(curve(run, "loss"))},
                              {"held_out", thinned(curve(run, "held_out_loss"))},
                              {"rate", thinned(curve(run, "tokens_per_second"))}});
}

Html curves_section(const Run& run) {
  Html out{"<section id=\"training\"><h2>Training</h2>"};
  const Curve loss = curve(run, "loss");
  if (loss.empty()) return out + missing("Training has not run yet.") + Html{"</section>"};
  const Curve held_out = curve(run, "held_out_loss");
  out +=
      markup("<p>{} steps; loss {} at the first, {} at the last", count_text(loss.rbegin()->first),
             decimal_text(loss.begin()->second, 3), decimal_text(loss.rbegin()->second, 3));
  if (!held_out.empty()) {
    const auto best =
        std::min_element(held_out.begin(), held_out.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    out += markup("; held-out loss {} at the last look, best {} at step {}",
                  decimal_text(held_out.rbegin()->second, 3), decimal_text(best->second, 3),
                  count_text(best->first));
  }
  out += Html{" (nats a token, assistant's tokens only).</p>"};
  out += figure("chart-loss", "Loss by step", "loss and held-out loss by training step");
  out += figure("chart-rate", "Tokens a second by step", "training throughput by step");
  return out + Html{
                   "<noscript><p class=\"quiet\">The curves need the script that is in this file."
                   "</p></noscript></section>"};
}

std::vector<FunnelStep> funnel_steps(const Run& run) {
  std::vector<FunnelStep> steps;
  for (const auto& item : items(run.funnel, "steps")) {
    FunnelStep step;
    step.name = text(item, "name", "step");
    step.example = text(item, "example");
    step.why = text(item, "why");
    step.in = number(item, "in").value_or(0);
    step.out = number(item, "out").value_or(0);
    step.dropped = number(item, "dropped").value_or(step.in - step.out);
    steps.push_back(std::move(step));
  }
  return steps;
}

Html funnel_section(const Run& run) {
  Html out{"<section id=\"funnel\"><h2>From answers to training data</h2>"};
  const auto steps = funnel_steps(run);
  if (steps.empty()) {
    return out + missing("The records have not been curated yet.") + Html{"</section>"};
  }
  const double all = steps.front().in;
  FunnelStep gathered{.name = "gathered", .in = all, .out = all};
  out += Html{"<div class=\"funnel\">"} + bar(gathered, all, count_text(all)) + Html{"</div>"};
  for (const auto& step : steps) {
    const std::string remark =
        step.dropped > 0 ? "−" + count_text(step.dropped) + ", leaves " + count_text(step.out)
                         : "none dropped";
    out += bar(step, all, remark);
    if (!step.why.empty()) out += markup("<p class=\"why\">{}</p>", step.why);
    if (step.dropped > 0 && !step.example.empty()) {
      out += markup("<blockquote>{}</blockquote>", shortened(step.example, kExampleCharacters));
    }
    out += Html{"</div>"};
  }
  out += Html{"</div>"};
  const auto train = number(run.funnel, "train");
  const auto held_out = number(run.funnel, "held_out");
  if (train && held_out) {
    out += markup("<p>{} records to train on, {} held out.</p>", count_text(*train),
                  count_text(*held_out));
  }
  return out + Html{"</section>"};
}

}  // namespace retort::report
