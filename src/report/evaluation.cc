// The student beside the teacher and the n-gram: every estimate as a dot with its interval.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "report/numbers_internal.h"
#include "report/sections_internal.h"

namespace retort::report {
namespace {

struct Row {
  std::string label;
  Estimate estimate;
  std::string value_text;
  std::string kind;  // class of the dot
};

struct Axis {
  double low = 0, high = 1, tick = 0.25;
  double share(double value) const {
    return 100 * std::clamp((value - low) / (high - low), 0.0, 1.0);
  }
};

// Round ticks (1, 2 or 5 times a power of ten) around all intervals.
Axis axis_of(const std::vector<Row>& rows) {
  double low = rows.front().estimate.low, high = rows.front().estimate.high;
  for (const auto& row : rows) {
    low = std::min({low, row.estimate.low, row.estimate.value});
    high = std::max({high, row.estimate.high, row.estimate.value});
  }
  const double span = std::max(high - low, 1e-6);
  const double rough = span / 3;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double factor = rough / power >= 5 ? 5 : rough / power >= 2 ? 2 : 1;
  Axis axis;
  axis.tick = factor * power;
  axis.low = std::floor((low - 0.08 * span) / axis.tick) * axis.tick;
  axis.high = std::ceil((high + 0.08 * span) / axis.tick) * axis.tick;
  return axis;
}

Html dot_plot(const std::vector<Row>& rows, const Axis& axis, bool percent) {
  Html out{"<div class=\"dots\">"};
  for (const auto& row : rows) {
    const double left = axis.share(row.estimate.low), right = axis.share(row.estimate.high);
    out += markup(
        "<div class=\"dot-row\"><span class=\"who\">{}</span><span class=\"track\">"
        "<i class=\"whisker {}\" style=\"left:{}%;width:{}%\"></i>"
        "<i class=\"dot {}\" style=\"left:{}%\"></i></span>"
        "<span class=\"value\">{}</span></div>",
        row.label, row.kind, left, std::max(right - left, 0.0), row.kind,
        axis.share(row.estimate.value), row.value_text);
  }
  out += Html{"<div class=\"dot-row axis\"><span class=\"who\"></span><span class=\"track\">"};
  const int ticks = static_cast<int>(std::lround((axis.high - axis.low) / axis.tick));
  const int digits = axis.tick >= 1 ? 0 : axis.tick >= 0.1 ? 1 : axis.tick >= 0.01 ? 2 : 3;
  for (int i = 0; i <= std::min(ticks, 12); ++i) {
    const double value = axis.low + i * axis.tick;
    out += markup("<em style=\"left:{}%\">{}</em>", axis.share(value),
                  percent ? decimal_text(100 * value, std::max(digits - 2, 0)) + " %"
                          : decimal_text(value, digits));
  }
  return out + Html{"</span><span class=\"value\"></span></div></div>"};
}

std::string interval_text(const Estimate& e) {
  return fmt::format("{} ({} to {})", decimal_text(e.value, 3), decimal_text(e.low, 3),
                     decimal_text(e.high, 3));
}

std::string interval_percent(const Estimate& e) {
  return fmt::format("{} ({} to {})", percent_text(e.value), decimal_text(100 * e.low, 1),
                     decimal_text(100 * e.high, 1));
}

std::string measure_text(double value) {
  return decimal_text(value, std::abs(value) >= 10 ? 1 : 3);
}

Html bits_part(const Run& run) {
  std::vector<Row> rows;
  const auto add = [&](const char* label, const char* path, const char* kind) {
    if (const auto e = estimate(run.results, path)) {
      rows.push_back({label, *e, interval_text(*e), kind});
    }
  };
  add("student", "bits_per_byte/student", "student");
  add("5-gram", "bits_per_byte/ngram", "other");
  if (rows.empty()) return {};
  Html out = markup(
      "<h3>Bits per byte of the {} held-out answers</h3>"
      "<p class=\"quiet\">How surprised each model is by them; lower is better. Whiskers are 95 % "
      "bootstrap intervals.</p>",
      has_teacher(run) ? "teacher's" : "texts'");
  out += dot_plot(rows, axis_of(rows), /*percent=*/false);
  if (const auto e = estimate(run.results, "bits_per_byte/difference")) {
    out += markup("<p class=\"quiet\">Paired difference: {} bits per byte.</p>", interval_text(*e));
  }
  return out;
}

Html named_part(const Run& run) {
  std::vector<Row> rows;
  for (const char* who : {"teacher", "student"}) {
    const std::string path = std::string("named/") + who;
    if (const auto e = estimate(run.results, path)) {
      const auto n = number(run.results, path + "/n");
      const std::string size = n ? ", n = " + count_text(*n) : "";
      const bool reference = path == "named/teacher";
      rows.push_back({reference ? reference_name(run) : who, *e, interval_percent(*e) + size, who});
    }
  }
  if (rows.empty()) return {};
  Axis axis = axis_of(rows);
  axis.low = std::max(axis.low, 0.0);
  axis.high = std::min(axis.high, 1.0);
  return Html{"<h3>Answers that name all the things asked for</h3>"} +
         dot_plot(rows, axis, /*percent=*/true);
}

Html readability_part(const Run& run) {
  const json::Value* teacher = at(run.results, "readability/teacher");
  const json::Value* student = at(run.results, "readability/student");
  if (teacher == nullptr || student == nullptr || !teacher->is_object()) return {};
  Html out = markup(
      "<h3>How it reads</h3><div class=\"scroll\"><table><thead><tr><th>measure</th>"
      "<th class=\"n\">{}</th><th class=\"n\">student</th></tr></thead><tbody>",
      reference_name(run));
  for (const auto& [name, value] : teacher->as_object()) {
    const json::Value* other = student->find(name);
    const auto shown = [](const json::Value* v) {
      return v != nullptr && v->is_number() ? measure_text(v->as_number()) : std::string("–");
    };
    std::string label = name;
    std::replace(label.begin(), label.end(), '_', ' ');
    out += markup("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>", label,
                  shown(&value), shown(other));
  }
  return out + Html{"</tbody></table></div>"};
}

}  // namespace

Html evaluation_section(const Run& run) {
  Html out{"<section id=\"evaluation\"><h2>Evaluation</h2>"};
  if (run.results.is_null()) {
    return out + missing("The student has not been evaluated yet.") + Html{"</section>"};
  }
  if (const auto prompts = number(run.results, "held_out/prompts")) {
    out += markup(
        "<p>On {} held-out prompts ({} records, {} of answers) that the student never "
        "saw in training, nor near copies of them.</p>",
        count_text(*prompts), count_text(number(run.results, "held_out/records").value_or(0)),
        bytes_text(number(run.results, "held_out/bytes").value_or(0)));
  }
  out += bits_part(run) + named_part(run) + readability_part(run);
  const auto& notes = items(run.results, "notes");
  if (!notes.empty()) out += Html{"<h3>Notes</h3><ul>"};
  for (const auto& note : notes) {
    out += markup("<li>{}</li>", note.is_string() ? note.as_string() : json::dump(note));
  }
  if (!notes.empty()) out += Html{"</ul>"};
  return out + Html{"</section>"};
}

}  // namespace retort::report
