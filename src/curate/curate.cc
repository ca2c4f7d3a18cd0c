#include "curate/curate.h"

#include <fmt/core.h>

#include "base/cancel.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"

namespace retort::curate {
namespace {

std::string guarantee(const Summary& summary) {
  if (summary.held_out_values.empty()) {
    return "no held-out prompt, nor a near copy of one, is trained on";
  }
  return "no training prompt names a held-out thing; every held-out prompt names at least one, and "
         "may name others";
}

json::Value strings(const std::vector<std::string>& texts) {
  json::Value out = json::Value::array();
  for (const auto& text : texts) out.push(text);
  return out;
}

}  // namespace

json::Value to_json(const Summary& summary, const Options& options) {
  json::Value steps = json::Value::array();
  for (const FunnelStep& step : summary.funnel) {
    steps.push(json::Value::object({{"name", name(step.reason)},
                                    {"in", step.in},
                                    {"out", step.in - step.dropped},
                                    {"dropped", step.dropped},
                                    {"example", step.example},
                                    {"example_key", step.example_key},
                                    {"why", explain(step.reason)}}));
  }
  return json::Value::object(
      {{"schema", "retort.funnel/1"},
       {"records", summary.records},
       {"steps", steps},
       {"train", summary.train},
       {"held_out", summary.held_out},
       {"split", json::Value::object({{"guarantee", guarantee(summary)},
                                      {"held_out_values", strings(summary.held_out_values)},
                                      {"seed", options.seed}})},
       {"near", options.near},
       {"max_repetition", options.max_repetition},
       {"notes", strings(summary.notes)}});
}

Result<Summary> curate(corpus::Clearance& clearance, ledger::Ledger& ledger, const Options& options,
                       const Place& place, const Wanted& wanted) {
  RETORT_TRY_VOID(check(options));
  RETORT_TRY(const auto view,
             clearance.curate({.folder = place.shards, .split = "", .path_label = "curate"}));
  std::vector<Candidate> candidates;
  for (int64_t row = 0; row < view.size(); ++row) {
    candidates.push_back(
        {&view[row], wanted.part_of ? wanted.part_of(view[row]).order : std::string()});
  }
  const Sifted sifted = sift(candidates, options, wanted.keys, wanted.parts);
  if (base::cancelled()) return base::cancelled_error("curate");

  Summary out;
  out.records = view.size();
  out.funnel = funnel_of(candidates, sifted.drops);
  out.held_out_values = sifted.held_out_values;
  out.notes = sifted.notes;
  if (view.withdrawn() > 0) {
    out.notes.push_back(fmt::format("{} records are left out: permission for them was withdrawn",
                                    base::grouped(view.withdrawn())));
  }
  if (sifted.train_answers_with_held_out_values > 0) {
    out.notes.push_back(fmt::format("{} training answers mention a held-out thing by themselves",
                                    base::grouped(sifted.train_answers_with_held_out_values)));
  }
  corpus::DerivedWriter writer(view, ledger, {.folder = place.curated}, "curate");
  for (int64_t row = 0; row < view.size(); ++row) {
    const auto at = static_cast<size_t>(row);
    if (sifted.drops[at] != Drop::none) continue;
    writer.keep(view.parent(row), sifted.held_out[at] ? "held_out" : "train");
    ++(sifted.held_out[at] ? out.held_out : out.train);
  }
  if (out.train == 0) {
    return base::bad_input(
        fmt::format("none of {} records is left to train on",
                    base::grouped(out.records + view.withdrawn())) +
            (view.withdrawn() > 0
                 ? fmt::format("; permission was withdrawn for {}", base::grouped(view.withdrawn()))
                 : std::string()),
        place.shards, "loosen the rules in [curate], or gather more");
  }
  RETORT_TRY(out.sealed, writer.finish());
  RETORT_TRY_VOID(base::write_file_atomic(base::join(place.curated, "funnel.json"),
                                          json::dump(to_json(out, options), 1) + "\n"));
  for (const auto& note : out.notes) base::log_info("{}", note);
  return out;
}

}  // namespace retort::curate
