#include <fmt/core.h>

#include "base/clock.h"
#include "base/files.h"
#include "report/embedded_internal.h"
#include "report/numbers_internal.h"
#include "report/report.h"
#include "report/sections_internal.h"
#include "report/text_table.h"

namespace retort::report {
namespace {

// Nothing is loaded from anywhere, whatever a text in the run folder says.
constexpr const char* kHead =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

std::string day_of(const Run& run) {
  std::optional<double> last;
  for (const auto& [stage, summary] : run.stages) {
    const auto finished = number(summary, "finished_ms");
    if (finished && (!last || *finished > *last)) last = finished;
  }
  if (!last || *last < 0 || *last > 4e12) return "";
  return base::iso_date(static_cast<int64_t>(*last));
}

Html header(const Run& run) {
  const std::string day = day_of(run);
  Html out = markup("<header><p class=\"kind\">distillation report{}</p><h1>{}</h1>",
                    day.empty() ? "" : " · " + day, model_name(run));
  out += Html{"<p class=\"answer\">"};
  for (const auto& sentence : headline(run)) out += markup("<span>{}</span> ", sentence);
  out += Html{"</p><div class=\"figures\">"};
  for (const auto& figure : key_figures(run)) {
    out += markup(
        "<div><span class=\"label\">{}</span><b>{}</b><span class=\"remark\">{}</span>"
        "</div>",
        figure.label, figure.value, figure.remark);
  }
  return out + Html{"</div></header>"};
}

Html page(const Run& run) {
  Html out{kHead};
  out += markup("<title>{} – distillation report</title>\n<style>\n", model_name(run));
  out += Html{std::string(kStyle)} + Html{"</style>\n</head>\n<body>\n<main>\n"};
  out += header(run) + permission_section(run) + funnel_section(run) + curves_section(run);
  out += evaluation_section(run) + samples_section(run) + cost_section(run);
  out += repeat_section(run);
  out += Html{"</main>\n<script type=\"application/json\" id=\"run-data\">"};
  out += script_json(curve_data(run)) + Html{"</script>\n<script>\n"};
  out += Html{std::string(kChartLibrary)} + Html{"\n</script>\n<script>\n"};
  return out + Html{std::string(kChartScript)} + Html{"</script>\n</body>\n</html>\n"};
}

std::string evaluation_table(const Run& run) {
  TextTable table{.header = {"", "value", "95 % interval"}, .rows = {}, .right = {false, true}};
  const auto add = [&](const char* label, const char* path) {
    if (const auto e = estimate(run.results, path)) {
      table.rows.push_back({label, decimal_text(e->value, 3),
                            decimal_text(e->low, 3) + " to " + decimal_text(e->high, 3)});
    }
  };
  add("bits per byte, student", "bits_per_byte/student");
  add("bits per byte, 5-gram", "bits_per_byte/ngram");
  add("names what was asked, student", "named/student");
  add(has_teacher(run) ? "names what was asked, teacher" : "names what was asked, own texts",
      "named/teacher");
  return table.rows.empty() ? "" : "\n" + format_table(table);
}

std::string funnel_table(const Run& run) {
  const auto steps = funnel_steps(run);
  if (steps.empty()) return "";
  TextTable table{
      .header = {"filter", "in", "dropped", "out"}, .rows = {}, .right = {false, true, true, true}};
  for (const auto& step : steps) {
    table.rows.push_back(
        {step.name, count_text(step.in), count_text(step.dropped), count_text(step.out)});
  }
  return "\n" + format_table(table);
}

std::string cost_table(const Run& run) {
  const auto costs = stage_costs(run);
  if (costs.empty()) return "";
  TextTable table{.header = {"stage", "time", "what"}, .rows = {}, .right = {false, true, false}};
  for (const auto& cost : costs) {
    table.rows.push_back({cost.stage, base::human_duration(cost.seconds), cost.amount});
  }
  return "\n" + format_table(table);
}

}  // namespace

Html missing(const char* sentence) {
  return markup("<p class=\"missing\">{}</p>", sentence);
}

Result<std::string> report_html(const std::string& out_folder) {
  RETORT_TRY(const Run run, read_run(out_folder));
  return page(run).text;
}

Result<void> write_report(const std::string& out_folder) {
  RETORT_TRY(const std::string html, report_html(out_folder));
  return base::write_file_atomic(base::join(out_folder, "report.html"), html);
}

Result<std::string> summary_text(const std::string& out_folder) {
  RETORT_TRY(const Run run, read_run(out_folder));
  std::string out;
  for (const auto& sentence : headline(run)) out += printable(sentence) + "\n";
  TextTable figures{.header = {}, .rows = {}, .right = {false, true}};
  for (const auto& figure : key_figures(run)) {
    figures.rows.push_back({figure.label, figure.value, figure.remark});
  }
  if (!figures.rows.empty()) out += "\n" + format_table(figures);
  return out + funnel_table(run) + evaluation_table(run) + cost_table(run);
}

Result<std::string> compare_text(const std::vector<std::string>& out_folders) {
  TextTable table{.header = {""}, .rows = {}, .right = {false}};
  for (size_t i = 0; i < out_folders.size(); ++i) {
    RETORT_TRY(const Run run, read_run(out_folders[i]));
    table.header.push_back(out_folders[i]);
    table.right.push_back(true);
    for (const auto& figure : key_figures(run)) {
      auto row = table.rows.begin();
      while (row != table.rows.end() && row->front() != figure.label) ++row;
      if (row == table.rows.end()) row = table.rows.insert(row, {figure.label});
      row->resize(i + 1, "–");
      row->push_back(figure.value);
    }
    for (auto& row : table.rows) row.resize(i + 2, "–");
  }
  return format_table(table);
}

}  // namespace retort::report
