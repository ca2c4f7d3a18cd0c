// What the run cost (tokens, money, time, memory, energy), and how to do it again.
#include <fmt/core.h>

#include <algorithm>

#include "base/clock.h"
#include "report/numbers_internal.h"
#include "report/sections_internal.h"

namespace retort::report {
namespace {

std::string amount_of(const Run& run, const std::string& stage) {
  std::string out;
  const auto add = [&](const char* counted, const char* unit) {
    if (const auto n = count(run, stage, counted)) {
      out += (out.empty() ? "" : ", ") + count_text(*n) + " " + unit;
    }
  };
  if (stage == "collect") {
    add("done", "answers");
    add("prompt_tokens", "prompt tokens");
    add("completion_tokens", "answer tokens");
  } else {
    const auto found = run.stages.find(stage);
    const json::Value* counts = found == run.stages.end() ? nullptr : at(found->second, "counts");
    if (counts == nullptr) return out;
    for (const auto& [name, value] : counts->as_object()) {
      if (!value.is_number()) continue;
      const double n = value.as_number();
      std::string label = name;
      std::replace(label.begin(), label.end(), '_', ' ');
      out += (out.empty() ? "" : ", ") +
             fmt::format("{} {}", label,
                         n == static_cast<double>(static_cast<int64_t>(n)) ? count_text(n)
                                                                           : decimal_text(n, 3));
    }
  }
  return out;
}

Html requests_line(const Run& run) {
  const auto requests = count(run, "collect", "requests");
  if (!requests) return {};
  const double cost = count(run, "collect", "cost_microusd").value_or(0);
  std::string reasons;
  for (const auto& [name, value] : at(run.stages.at("collect"), "counts")->as_object()) {
    if (name.rfind("finish.", 0) != 0 || !value.is_number()) continue;
    reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", name.substr(7),
                           count_text(value.as_number()));
  }
  return markup(
      "<p>{} requests to the teacher, {} retried, {} sent again after a stop, {} failed; {}.{}</p>",
      count_text(*requests), count_text(count(run, "collect", "retries").value_or(0)),
      count_text(count(run, "collect", "resent").value_or(0)),
      count_text(count(run, "collect", "failed").value_or(0)),
      cost > 0 ? money_text(cost) + " paid" : "nothing paid",
      reasons.empty() ? "" : " Answers ended by: " + reasons + ".");
}

Html machine_line(const Run& run) {
  if (run.machine.is_null()) return {};
  std::string out = text(run.machine, "cpu", "an unnamed processor");
  if (const auto threads = number(run.machine, "threads")) {
    out += ", " + count_text(*threads) + (*threads == 1 ? " thread" : " threads");
  }
  if (const auto memory = number(run.machine, "memory_bytes")) {
    out += ", " + bytes_text(*memory) + " of memory";
  }
  if (const auto peak = number(run.machine, "peak_memory_bytes")) {
    out += "; at most " + bytes_text(*peak) + " in use";
  }
  const auto joules = number(run.machine, "energy_joules");
  return markup("<p>On {}. Energy: {}.</p>", out,
                joules ? energy_text(*joules) : "not measured on this machine");
}

}  // namespace

std::vector<StageCost> stage_costs(const Run& run) {
  std::vector<StageCost> costs;
  for (const auto& stage : kStages) {
    const auto found = run.stages.find(stage);
    if (found == run.stages.end()) continue;
    costs.push_back({stage, number(found->second, "seconds").value_or(0), amount_of(run, stage)});
  }
  return costs;
}

Html cost_section(const Run& run) {
  Html out{"<section id=\"cost\"><h2>Cost</h2>"};
  const auto costs = stage_costs(run);
  if (costs.empty()) {
    return out + missing("No stage has finished yet.") + Html{"</section>"};
  }
  double total = 0, longest = 1e-9;
  for (const auto& cost : costs) {
    total += cost.seconds;
    longest = std::max(longest, cost.seconds);
  }
  out += requests_line(run) + machine_line(run);
  out += Html{"<div class=\"times\">"};
  for (const auto& cost : costs) {
    out += markup(
        "<div class=\"time\"><b>{}</b><span class=\"bar\"><i style=\"width:{}%\"></i>"
        "</span><span class=\"value\">{}</span><p class=\"why\">{}</p></div>",
        cost.stage, std::clamp(100 * cost.seconds / longest, 0.0, 100.0),
        base::human_duration(cost.seconds), cost.amount);
  }
  out += markup("</div><p><b>{}</b> for all stages together.</p>", base::human_duration(total));
  std::string unfinished;
  for (const auto& stage : kStages) {
    if (run.stages.count(stage) == 0) unfinished += (unfinished.empty() ? "" : ", ") + stage;
  }
  if (!unfinished.empty()) out += markup("<p class=\"quiet\">Not run: {}.</p>", unfinished);
  return out + Html{"</section>"};
}

Html repeat_section(const Run& run) {
  Html out{"<section id=\"repeat\"><h2>Do it again</h2>"};
  const std::string command = text(run.machine, "command");
  out += command.empty() ? missing("The command was not recorded.")
                         : markup("<pre><code>{}</code></pre>", command);
  const std::string program = text(run.machine, "program"), commit = text(run.machine, "commit");
  if (!program.empty() || !commit.empty()) {
    out += markup(
        "<p class=\"quiet\">Made by {}{}. The same options, seed and thread count give "
        "the same student.</p>",
        program, commit.empty() ? Html{} : markup(", commit <code>{}</code>", commit));
  }
  if (!run.options_text.empty()) {
    out += markup(
        "<details><summary>All options, as resolved (run.toml)</summary>"
        "<pre><code>{}</code></pre></details>",
        run.options_text);
  }
  if (run.stages.empty()) return out + Html{"</section>"};
  out += Html{
      "<details><summary>Digests of what went in and came out</summary>"
      "<div class=\"scroll\"><table><tbody>"};
  for (const auto& stage : kStages) {
    const auto found = run.stages.find(stage);
    if (found == run.stages.end()) continue;
    for (const char* side : {"inputs", "outputs"}) {
      const json::Value* names = at(found->second, side);
      if (names == nullptr || !names->is_object()) continue;
      for (const auto& [name, value] : names->as_object()) {
        out += markup("<tr><td>{} {}</td><td>{}</td><td class=\"code\">{}</td></tr>", stage,
                      std::string_view(side).substr(0, std::string_view(side).size() - 1), name,
                      value.is_string() ? value.as_string() : json::dump(value));
      }
    }
  }
  return out + Html{"</tbody></table></div></details></section>"};
}

}  // namespace retort::report
