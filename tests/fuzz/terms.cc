// A terms file through everything that reads it: verdicts, the remarks of lint, other formats; and
// a person's statement with its envelope.
#include "terms/terms.h"

#include "base/clock.h"
#include "json/value.h"
#include "target.h"
#include "terms/declaration.h"
#include "terms/evaluate.h"
#include "terms/explain.h"
#include "terms/formats.h"
#include "terms/lint.h"
#include "terms/statement.h"

namespace {

namespace terms = retort::terms;

void check_date(const std::string& text) {
  if (!text.empty() && retort::base::iso_date(retort::base::parse_iso_date(text)) != text) {
    __builtin_trap();
  }
}

void check_verdicts(terms::Terms read) {
  terms::TermsSet set;
  const terms::Facts facts{.terms = {{read.id, terms::Object::outputs}},
                           .endpoint = "http://127.0.0.1:8080/v1",
                           .models = {"m-1"},
                           .captured_ms = 1'790'000'000'000};
  set.add(std::move(read));
  const terms::Purpose purpose{.actions = terms::all_actions(), .model_id = "student"};
  for (const auto action : terms::all_actions()) {
    const auto verdict = terms::evaluate(facts, set, purpose, action);
    if (!verdict.permits() && verdict.findings.empty()) __builtin_trap();
    if (terms::meet(verdict, verdict).decision != verdict.decision) __builtin_trap();
  }
  (void)terms::explain_binding(facts, set, purpose.actions);
  (void)terms::explain_verdict({facts, set, purpose, terms::Action::train_generative, {}});
}

void check_terms(std::string_view text) {
  const auto read = terms::parse_terms(text, "input");
  (void)terms::lint({{"input", std::string(text)}, {"again", std::string(text)}});
  if (!read) return;
  for (const auto* date : {&read->effective, &read->observed, &read->until}) check_date(*date);
  for (const auto& format : terms::export_formats()) (void)terms::export_terms(*read, format);
  check_verdicts(*read);
}

void check_statement(std::string_view text) {
  (void)terms::parse_declaration(text, "input");
  if (const auto read = terms::parse_statement(text, "input")) {
    const auto again = terms::parse_statement(statement_text(*read), "again");
    if (!again || again->subjects != read->subjects) __builtin_trap();
  }
  const auto value = retort::json::parse(text, "input");
  if (!value) return;
  const auto envelope = terms::envelope_from_json(*value, "input");
  if (!envelope) return;
  const auto again = terms::envelope_from_json(terms::envelope_json(*envelope), "again");
  if (!again || again->payload != envelope->payload || again->signatures != envelope->signatures) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16384) return 0;
  const auto text = retort::fuzz::text_of(data, size);
  check_terms(text);
  check_statement(text);
  return 0;
}
