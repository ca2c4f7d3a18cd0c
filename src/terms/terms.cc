#include "terms/terms.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "json/table.h"
#include "json/value.h"

namespace retort::terms {
namespace {

constexpr size_t kMaxBytes = 48 * 1024;
constexpr int64_t kSignatureBytesMax = 8 * 1024;  // both fit one entry of the log
const std::vector<std::string_view> kEffects = {"permit", "prohibit"};
const std::vector<std::string_view> kObjects = {"any", "outputs", "weights", "texts"};
const std::vector<std::string_view> kScopes = {"any", "competing", "research", "commercial",
                                               "distributed"};
const std::vector<std::string_view> kBases = {"express", "silent", "derivative"};
const std::vector<std::string_view> kCaptures = {"text", "secondary", "error-page"};
const std::vector<std::string_view> kRetroactive = {"no", "yes", "unstated"};
constexpr size_t kNone = std::string::npos;

std::vector<std::string_view> action_words() {
  std::vector<std::string_view> words;
  for (const Action action : all_actions()) words.emplace_back(name(action));
  return words;
}

Result<void> read_applies(const json::Value* value, const std::string& where, Applies& applies) {
  json::Table table(value, where + ": [applies]");
  applies.endpoints = table.texts("endpoints");
  applies.plans = table.texts("plans");
  applies.models = table.texts("models");
  applies.modality = table.texts("modality");
  applies.features_excluded = table.texts("features_excluded");
  return table.finish();
}

Result<void> read_time(const json::Value* value, const std::string& where, Terms& terms) {
  json::Table table(value, where + ": [time]");
  terms.effective = table.date("effective");
  terms.observed = table.date("observed");
  terms.until = table.date("until");
  terms.retroactive = static_cast<Retroactive>(table.word("retroactive", kRetroactive, 2));
  terms.notice_days = table.integer("notice_days");
  const std::string& from = terms.effective.empty() ? terms.observed : terms.effective;
  if (from.empty()) table.fail("neither effective nor observed has a date");
  terms.effective_ms = from.empty() ? 0 : base::parse_iso_date(from);
  terms.until_ms =
      terms.until.empty() ? std::numeric_limits<int64_t>::max() : base::parse_iso_date(terms.until);
  if (terms.until_ms <= terms.effective_ms) table.fail("they end before they begin", "until");
  return table.finish();
}

Result<void> read_source(const json::Value* value, const std::string& where, Terms& terms) {
  json::Table table(value, where + ": [source]");
  terms.url = table.text("url");
  terms.retrieved = table.date("retrieved");
  terms.doc_sha256 = table.digest("doc_sha256");
  terms.clause_sha256 = table.digest("clause_sha256");
  if (!table.text("normalise").empty()) table.word("normalise", {"clause/1"}, 0);
  terms.archive = table.text("archive");
  terms.basis = static_cast<Basis>(table.word("basis", kBases, kNone));
  terms.capture = static_cast<Capture>(table.word("capture", kCaptures, 0));
  return table.finish();
}

Result<void> read_rules(const json::Value* value, const std::string& where, Terms& terms) {
  if (value == nullptr) return {};
  if (!value->is_array()) return base::bad_input("write each rule as [[rule]]", where);
  for (const auto& item : value->as_array()) {
    json::Table table(&item, fmt::format("{}: [[rule]] {}", where, terms.rules.size() + 1));
    Rule rule;
    rule.effect = static_cast<Effect>(table.word("effect", kEffects, kNone));
    rule.action = all_actions()[table.word("action", action_words(), kNone)];
    rule.object = static_cast<Object>(table.word("object", kObjects, 0));
    rule.scope = static_cast<Scope>(table.word("scope", kScopes, 0));
    rule.unless = table.text("unless");
    rule.clause = table.text("clause");
    rule.text = table.text("text");
    if (rule.effect == Effect::permit && !rule.unless.empty()) {
      table.fail("only a prohibition can have an exception", "unless");
    }
    RETORT_TRY_VOID(table.finish());
    terms.rules.push_back(std::move(rule));
  }
  return {};
}

Result<void> read_duty(const json::Value* value, const std::string& place, Terms& terms) {
  json::Table table(value, place);
  Duty duty;
  duty.name_prefix = table.text("name_prefix");
  duty.display = table.texts("display");
  duty.licence_copy = table.text("licence_copy");
  duty.notice = table.text("notice");
  duty.use_policy = table.text("use_policy");
  duty.mau_limit = table.integer("mau_limit");
  duty.derivative = table.boolean("derivative");
  duty.object = static_cast<Object>(table.word("object", kObjects, 0));
  if (!duty.empty()) terms.duties.push_back(std::move(duty));
  return table.finish();
}

// One [duty], or a [[duty]] for each object.
Result<void> read_duties(const json::Value* value, const std::string& where, Terms& terms) {
  if (value == nullptr) return {};
  if (!value->is_array()) return read_duty(value, where + ": [duty]", terms);
  for (size_t i = 0; i < value->as_array().size(); ++i) {
    RETORT_TRY_VOID(
        read_duty(&value->as_array()[i], fmt::format("{}: [[duty]] {}", where, i + 1), terms));
  }
  return {};
}

Result<void> read_review(const json::Value* value, const std::string& where, Terms& terms) {
  json::Table table(value, where + ": [review]");
  terms.reader = table.text("reader");
  if (!table.text("role").empty()) table.word("role", {"counsel", "owner"}, 0);
  terms.role = table.text("role");
  terms.reviewed_on = table.date("on");
  terms.sig = table.text("sig");
  if (terms.sig.find('/') != std::string::npos || terms.sig == "..") {
    table.fail("the name of a file in the same folder is wanted", "sig");
  }
  terms.silence_permits = table.word("silence", {"permit", "deny"}, 1) == 0;
  return table.finish();
}

Result<Terms> read_document(const json::Value& document, const std::string& where) {
  Terms terms;
  json::Table top(&document, where);
  if (top.required("schema") != "retort.terms/1") {
    top.fail("this program reads terms of schema retort.terms/1", "schema");
  }
  terms.series = top.required("series");
  terms.version = top.required("version");
  terms.assigner = top.required("assigner");
  for (const char* key : {"applies", "time", "source", "rule", "duty", "revocation", "review"}) {
    top.known(key);
  }
  RETORT_TRY_VOID(top.finish());
  RETORT_TRY_VOID(read_applies(document.find("applies"), where, terms.applies));
  RETORT_TRY_VOID(read_time(document.find("time"), where, terms));
  RETORT_TRY_VOID(read_source(document.find("source"), where, terms));
  RETORT_TRY_VOID(read_rules(document.find("rule"), where, terms));
  RETORT_TRY_VOID(read_duties(document.find("duty"), where, terms));
  json::Table revocation(document.find("revocation"), where + ": [revocation]");
  revocation.word("mode", {"irrevocable", "on-breach", "prospective", "unstated"}, 3);
  terms.revocation = revocation.text("mode");
  RETORT_TRY_VOID(revocation.finish());
  RETORT_TRY_VOID(read_review(document.find("review"), where, terms));
  return terms;
}

}  // namespace

const char* name(Effect effect) {
  return kEffects[static_cast<size_t>(effect)].data();
}
const char* name(Object object) {
  return kObjects[static_cast<size_t>(object)].data();
}
const char* name(Scope scope) {
  return kScopes[static_cast<size_t>(scope)].data();
}
const char* name(Basis basis) {
  return kBases[static_cast<size_t>(basis)].data();
}
const char* name(Capture capture) {
  return kCaptures[static_cast<size_t>(capture)].data();
}
const char* name(Retroactive retroactive) {
  return kRetroactive[static_cast<size_t>(retroactive)].data();
}

std::optional<Object> parse_object(std::string_view text) {
  const auto found = std::find(kObjects.begin(), kObjects.end(), text);
  if (found == kObjects.end()) return std::nullopt;
  return static_cast<Object>(found - kObjects.begin());
}

bool Duty::empty() const {
  return name_prefix.empty() && display.empty() && licence_copy.empty() && notice.empty() &&
         use_policy.empty() && mau_limit == 0 && !derivative;
}

Result<Terms> parse_terms(std::string_view toml, std::string_view where) {
  const std::string place(where);
  if (toml.size() > kMaxBytes) {
    return base::bad_input("a terms file has at most 48 KiB", place, "quote only the clauses");
  }
  RETORT_TRY(const auto document, json::parse_toml(toml, where));
  RETORT_TRY(auto terms, read_document(document, place));
  terms.id = crypto::sha256_hex(json::canonical(document));
  terms.text = std::string(toml);
  const auto& pins = pinned_readings();
  terms.pinned = std::any_of(pins.begin(), pins.end(),
                             [&terms](const Pin& pin) { return pin.id == terms.id; });
  return terms;
}

namespace {

Result<std::string> read_signature(const std::string& path) {
  auto read = base::read_file(path, kSignatureBytesMax);
  if (read) return read;
  Error error = read.error();
  error.message = "the signature that [review] sig names cannot be read: " + error.message;
  error.hint = "a decider makes it with: retort terms sign; or leave sig out";
  return error;
}

}  // namespace

Result<Terms> load_terms(const std::string& path) {
  const auto text = base::read_file(path, int64_t{1} << 20);
  if (text) {
    RETORT_TRY(auto terms, parse_terms(*text, path));
    if (!terms.sig.empty()) {
      RETORT_TRY(terms.envelope, read_signature(base::join(base::parent(path), terms.sig)));
    }
    return terms;
  }
  Error error = text.error();
  error.message = "the terms file cannot be read: " + error.message;
  error.hint =
      "paths count from the folder in which the command runs; readings to begin with are in the "
      "folder terms/ of the program";
  return error;
}

void TermsSet::add(Terms terms) {
  std::string id = terms.id;
  by_id_.insert_or_assign(std::move(id), std::move(terms));
}

const Terms* TermsSet::find(std::string_view id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

std::vector<const Terms*> TermsSet::versions(std::string_view series) const {
  std::vector<const Terms*> out;
  for (const auto& [id, terms] : by_id_) {
    if (terms.series == series) out.push_back(&terms);
  }
  return out;
}

std::vector<const Terms*> TermsSet::all() const {
  std::vector<const Terms*> out;
  for (const auto& [id, terms] : by_id_) out.push_back(&terms);
  return out;
}

void TermsSet::for_each(const std::function<void(Terms&)>& visit) {
  for (auto& [id, terms] : by_id_) visit(terms);
}

Result<TermsSet> load_terms_set(const std::vector<std::string>& paths) {
  TermsSet set;
  for (const auto& path : paths) {
    RETORT_TRY(auto terms, load_terms(path));
    set.add(std::move(terms));
  }
  return set;
}

}  // namespace retort::terms
