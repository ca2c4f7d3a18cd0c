#include "detect/finding.h"

#include <fmt/format.h>

#include <cmath>

namespace retort::detect {
namespace {

json::Value rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0.0;
  const double scale = std::pow(10.0, 4 - std::ceil(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

json::Value families_json(const Evidence& evidence) {
  json::Value out = json::Value::array();
  for (const auto& one : evidence.families) {
    out.push(json::Value::object({{"family", name(one.family)},
                                  {"words", words(one.family)},
                                  {"p_value", rounded(one.p_value)},
                                  {"counts", one.counts}}));
  }
  return out;
}

json::Value measures_json(const Evidence& evidence) {
  json::Value out = json::Value::array();
  for (const auto& one : evidence.measures) {
    const FeatureText& text = text_of(one.feature);
    out.push(json::Value::object({{"measure", text.name},
                                  {"family", name(text.family)},
                                  {"words", text.words},
                                  {"value", rounded(one.value)},
                                  {"usual", rounded(one.usual)},
                                  {"weight", rounded(one.contribution)}}));
  }
  return out;
}

std::string class_words(const Evidence& evidence) {
  if (evidence.cluster) return "groups of honest accounts";
  if (evidence.compared_with.empty()) return "honest accounts of all purposes";
  return "honest accounts of the purpose \"" + evidence.compared_with + "\"";
}

std::string families_words(const Evidence& evidence) {
  std::string out;
  for (const auto& one : evidence.families) {
    if (!one.counts) continue;
    out += out.empty() ? "" : "; ";
    out += words(one.family);
  }
  return out.empty() ? "no one kind of evidence by itself" : out;
}

}  // namespace

const Evidence& evidence_of(const Finding& finding) {
  return std::visit([](const auto& one) -> const Evidence& { return one.evidence; }, finding);
}

std::string_view name(Step step) {
  constexpr std::array<std::string_view, 4> kNames = {"watch", "warn", "throttle", "suspend"};
  return kNames[static_cast<size_t>(step)];
}

json::Value to_json(const Finding& finding) {
  const Evidence& evidence = evidence_of(finding);
  const auto* charge = std::get_if<Charge>(&finding);
  json::Value out = json::Value::object(
      {{"schema", "retort.detect.evidence/1"}, {"kind", charge != nullptr ? "charge" : "report"}});
  if (charge != nullptr) out.set("step", name(charge->step));
  out.set("account", evidence.account).set("key", evidence.key).set("purpose", evidence.purpose);
  out.set("time_ms", evidence.time_ms);
  out.set("compared_with", evidence.compared_with).set("honest_periods", evidence.honest_periods);
  out.set("e_value", rounded(evidence.e_value)).set("threshold", rounded(evidence.threshold));
  out.set("p_value", rounded(evidence.p_value));
  out.set("rest_p_value", rounded(evidence.rest_p_value));
  out.set("families", families_json(evidence)).set("measures", measures_json(evidence));
  out.set("requests", evidence.requests).set("answer_tokens", evidence.answer_tokens);
  json::Value examples = json::Value::array();
  for (const auto& one : evidence.examples) examples.push(one);
  out.set("request_ids", std::move(examples));
  if (evidence.cluster) {
    const auto& cluster = *evidence.cluster;
    out.set("cluster", json::Value::object({{"id", fmt::format("{:016x}", cluster.id)},
                                            {"bond", name(cluster.bond)},
                                            {"words", words(cluster.bond)},
                                            {"accounts", cluster.accounts},
                                            {"requests", cluster.requests},
                                            {"suspended", cluster.suspended},
                                            {"heir", cluster.heir}}));
  }
  out.set("clause", evidence.clause).set("clause_text", evidence.clause_text);
  return out;
}

std::string to_words(const Finding& finding) {
  const Evidence& e = evidence_of(finding);
  std::string out = fmt::format(
      "{} requests with {} tokens of answers look like the gathering of answers to train a "
      "model.\n",
      e.requests, e.answer_tokens);
  if (e.cluster) {
    out += fmt::format("They are of about {} accounts with {}.\n", e.cluster->accounts,
                       words(e.cluster->bond));
    if (e.cluster->suspended > 1) {
      out += "Several of these, with the same options and declared purpose, have been suspended.\n";
    }
  }
  out +=
      fmt::format("Compared with {} periods of 30 days of {}:\n", e.honest_periods, class_words(e));
  for (const auto& one : e.measures) {
    out += fmt::format("- {}: {:.2f}, where {:.2f} is usual\n", text_of(one.feature).words,
                       one.value, one.usual);
  }
  out += fmt::format("What counts as evidence: {}.\n", families_words(e));
  out += fmt::format(
      "The evidence is {:.0f}; {:.0f} are needed for this step, which at most one in {:.0f} such "
      "honest accounts or groups would ever reach.\n",
      e.e_value, e.threshold, e.threshold);
  if (!e.clause.empty()) {
    out +=
        fmt::format("Clause {}{}{}\n", e.clause, e.clause_text.empty() ? "." : ": ", e.clause_text);
  }
  out += std::holds_alternative<Report>(finding)
             ? "The account may train on answers: this is for information, and nothing follows.\n"
             : "Whoever sees it otherwise can appeal and say what the requests are for.\n";
  return out;
}

}  // namespace retort::detect
