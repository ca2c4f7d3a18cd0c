// Whose terms, read by whom, and which clause carries the use; then the checks that were made.
#include <fmt/core.h>

#include "report/numbers_internal.h"
#include "report/sections_internal.h"

namespace retort::report {
namespace {

Html clause_item(const json::Value& clause) {
  const std::string effect = text(clause, "effect", "?");
  const bool permits = is_permitted(effect);
  return markup(
      "<li><span class=\"badge {}\">{}</span> {}{}</li>", permits ? "good" : "bad", effect,
      action_text(text(clause, "action", "?")),
      text(clause, "text").empty() ? Html{} : markup(": <q>{}</q>", text(clause, "text")));
}

Html terms_card(const json::Value& terms) {
  Html out = markup("<article class=\"card\"><h3>{} <small>{}</small></h3><ul class=\"plain\">",
                    text(terms, "series", "terms without a name"), text(terms, "version"));
  for (const auto& clause : items(terms, "clauses")) out += clause_item(clause);
  out += Html{"</ul><dl class=\"facts\">"};
  const auto fact = [&](const char* label, const std::string& value, const char* kind) {
    if (!value.empty()) {
      out += markup("<div><dt>{}</dt><dd class=\"{}\">{}</dd></div>", label, kind, value);
    }
  };
  if (const auto records = number(terms, "records")) fact("records", count_text(*records), "");
  fact("basis", text(terms, "basis"), "");
  fact("read by", text(terms, "reader"), "");
  fact("source", text(terms, "source_url"), "long");
  fact("id", text(terms, "id"), "code");
  return out + Html{"</dl></article>"};
}

Html purpose_line(const Run& run) {
  std::string actions;
  for (const auto& action : items(run.permission, "purpose/actions")) {
    if (!action.is_string()) continue;
    actions += (actions.empty() ? "" : ", ") + action_text(action.as_string());
  }
  const json::Value* distributed = at(run.permission, "purpose/distributed");
  const json::Value* commercial = at(run.permission, "purpose/commercial");
  std::string use;
  if (distributed != nullptr && distributed->is_bool()) {
    use = distributed->as_bool() ? "The student is distributed" : "The student stays in the house";
  }
  if (commercial != nullptr && commercial->is_bool()) {
    use += use.empty() ? "The use is " : "; the use is ";
    use += commercial->as_bool() ? "commercial" : "not commercial";
  }
  return markup("<p>Declared purpose: {}.{}</p>", actions.empty() ? "none stated" : actions,
                use.empty() ? "" : " " + use + ".");
}

Html checks_table(const Run& run) {
  const auto& checks = items(run.permission, "checks");
  if (checks.empty()) return {};
  Html out{
      "<h3>What was checked before bytes moved</h3><div class=\"scroll\"><table><thead><tr>"
      "<th>path</th><th>use</th><th>verdict</th><th class=\"n\">records</th>"
      "<th class=\"n\">ledger leaf</th></tr></thead><tbody>"};
  for (const auto& check : checks) {
    const std::string verdict = text(check, "verdict", "?");
    out += markup(
        "<tr><td>{}</td><td>{}</td><td><span class=\"badge {}\">{}</span></td>"
        "<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
        text(check, "path"), action_text(text(check, "action")),
        is_permitted(verdict) ? "good" : "bad", verdict,
        count_text(number(check, "records").value_or(0)), text(check, "leaf", "–"));
  }
  return out + Html{"</tbody></table></div>"};
}

Html ledger_line(const Run& run) {
  const std::string root = text(run.permission, "ledger/root");
  if (root.empty()) return {};
  return markup(
      "<p class=\"quiet\">Logged in {} at size {}, root <code class=\"long\">{}</code>."
      "</p>",
      text(run.permission, "ledger/origin", "the ledger"),
      count_text(number(run.permission, "ledger/size").value_or(0)), root);
}

// From the clause to the weights, and the commands by which anybody sees that it is so.
Html check_it(const Run& run) {
  if (text(run.permission, "ledger/root").empty()) return {};
  const std::string out = text(run.options, "out", run.folder);
  Html lines = markup("retort ledger verify\n");
  if (run.stages.count("export") > 0) {
    lines += markup("retort bom {}/student\nretort sign {}/student --new-key\n", out, out);
    lines += markup(
        "retort verify {}/student --key signing-key.pem.pub --log-key ledger/verifier.key\n", out);
  }
  return Html{
             "<h3>How to check it</h3><p>The clause stands in a terms file whose hash is in the "
             "log; "
             "each record names it, each shard of records is an entry, so is each verdict above, "
             "the "
             "run with all of its shards before its first step, and every model that came of it. "
             "Whoever is sent the signed model needs two public keys to see that chain: the "
             "signer's "
             "and the log's.</p><pre><code>"} +
         lines + Html{"</code></pre>"};
}

}  // namespace

bool is_permitted(const std::string& verdict) {
  return verdict.rfind("permit", 0) == 0;
}

std::string action_text(const std::string& action) {
  if (action == "train.generative") return "train a generative model";
  if (action == "train.classifier") return "train a classifier";
  if (action == "train.same_provider") return "train at the same provider";
  if (action == "share_data") return "share the data";
  if (action == "publish_model") return "publish the model";
  return action;
}

Html permission_section(const Run& run) {
  Html out{"<section id=\"permission\"><h2>Permission</h2>"};
  if (run.permission.is_null()) {
    return out + missing("No clearance has been made yet: nothing was learnt.") +
           Html{"</section>"};
  }
  const std::string verdict = text(run.permission, "verdict", "unknown");
  out += markup("<p><span class=\"badge {}\">{}</span> ", is_permitted(verdict) ? "good" : "bad",
                verdict);
  out += is_permitted(verdict)
             ? Html{"Every record carries the terms of the door it came through; all of them allow "
                    "what was done.</p>"}
             : Html{"The terms do not allow this use; nothing was trained on these records.</p>"};
  out += purpose_line(run) + Html{"<div class=\"cards\">"};
  for (const auto& terms : items(run.permission, "terms")) out += terms_card(terms);
  return out + Html{"</div>"} + checks_table(run) + ledger_line(run) + check_it(run) +
         Html{"</section>"};
}

}  // namespace retort::report
