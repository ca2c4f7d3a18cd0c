#include "terms/lint.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "base/clock.h"
#include "terms/shipped_internal.h"
#include "terms/toml_lines_internal.h"

namespace retort::terms {
namespace {

constexpr std::string_view kFeatures[] = {"web_search", "images",    "tools",
                                          "logprobs",   "json_mode", "streamed"};
constexpr std::string_view kModalities[] = {"text", "image", "audio", "video", "*"};

// One file that was parsed.
class File {
 public:
  File(const LintInput& input, const Terms& terms, std::vector<Remark>& out)
      : input_(input), terms_(terms), lines_(input.text), out_(out) {}

  void look() {
    look_at_reader();
    look_at_dates();
    look_at_source();
    look_at_patterns();
    for (size_t i = 0; i < terms_.rules.size(); ++i) look_at_rule(i);
    look_at_duties();
    if (terms_.rules.empty()) warn({"rule", ""}, "it has no rule, so it permits nothing");
  }

 private:
  struct Place {
    std::string_view table, key;
    size_t index = 0;
  };

  void add(Severity severity, const Place& at, std::string message, std::string hint) {
    out_.push_back({severity, input_.path, lines_.of(at.table, at.key, at.index),
                    std::move(message), std::move(hint)});
  }
  void error(const Place& at, std::string message, std::string hint = "") {
    add(Severity::error, at, std::move(message), std::move(hint));
  }
  void warn(const Place& at, std::string message, std::string hint = "") {
    add(Severity::warning, at, std::move(message), std::move(hint));
  }

  void look_at_reader() {
    if (terms_.reader.empty()) {
      error({"review", "reader"}, "nobody is named as its reader, so it permits nothing",
            "whoever has read the text puts a name under [review] reader");
    } else if (terms_.reader == kMaintainers && !terms_.pinned) {
      error({"review", "reader"},
            is_shipped_series(terms_.series)
                ? "it is an edited copy of a shipped reading, whose readers did not read this"
                : "the program's maintainers did not read this",
            "put your own name under [review] reader, once you have read the text");
    } else if (is_shipped_series(terms_.series) && !terms_.pinned && terms_.sig.empty()) {
      warn({"", "series"},
           fmt::format("{} is a shipped series: unsigned, this reading binds beside the shipped "
                       "one and can only make a verdict worse",
                       terms_.series),
           "have a decider sign it (retort terms sign), or give it a series of its own");
    }
    if (terms_.reviewed_on.empty() && !terms_.reader.empty()) {
      warn({"review", "on"}, "it does not say on which day it was read");
    }
  }

  // `later` may not lie before `earlier`; dates compare as texts.
  void in_order(const Place& at, const std::string& earlier, const std::string& later,
                const char* message) {
    if (earlier.empty() || later.empty() || later >= earlier) return;
    error(at, fmt::format("{} ({}, {})", message, later, earlier), "correct one of the two days");
  }

  void look_at_dates() {
    in_order({"source", "retrieved"}, terms_.observed, terms_.retrieved,
             "the text was retrieved before anybody observed it");
    in_order({"review", "on"}, terms_.retrieved, terms_.reviewed_on,
             "it was read before it was retrieved");
    if (!terms_.until.empty()) {
      in_order({"time", "until"}, terms_.observed, terms_.until,
               "it was first observed after it had ended");
    }
  }

  void look_at_source() {
    if (terms_.capture == Capture::error_page) {
      error({"source", "capture"}, "what was captured is an error page, so it permits nothing",
            "have the text of that day found and read");
    } else if (terms_.capture == Capture::secondary) {
      error({"source", "capture"},
            "its reader saw only what others say of the text, so it permits nothing",
            "have the provider's own text read");
    }
    if (!terms_.url.empty() && terms_.doc_sha256.empty()) {
      warn({"source", "doc_sha256"}, "nothing says which text was read: its hash is missing",
           "retort terms hash FILE prints it");
    }
    if (!terms_.archive.empty() && terms_.clause_sha256.empty()) {
      warn({"source", "clause_sha256"}, "the hash of the clause is missing",
           "retort terms hash FILE prints that of a file with the clause alone");
    }
    if (terms_.basis == Basis::silent && !terms_.silence_permits) {
      warn(
          {"source", "basis"},
          "the text is silent and its reader does not take that for permission: it permits nothing",
          "silence = \"permit\" under [review], if that is how it is read");
    }
  }

  void look_at_patterns() {
    for (const auto& pattern : terms_.applies.endpoints) {
      const size_t host = pattern.find("://");
      const size_t star = pattern.find('*');
      const size_t end = host == std::string::npos ? 0 : pattern.find_first_of("/:", host + 3);
      if (host == std::string::npos || star < host) {
        warn({"applies", "endpoints"},
             fmt::format("“{}” is no address with a scheme, like https://host.example/*", pattern));
      } else if (star != std::string::npos && end == std::string::npos) {
        warn({"applies", "endpoints"},
             fmt::format("“{}” matches other hosts as well, like {}.example", pattern,
                         pattern.substr(0, star)),
             "end the host with / or :");
      }
    }
    only_known("features_excluded", terms_.applies.features_excluded, kFeatures);
    only_known("modality", terms_.applies.modality, kModalities);
    if (terms_.applies.endpoints.empty() && terms_.applies.models.empty() && about_outputs()) {
      warn({"applies", ""}, "it applies to the answers of every model at every door",
           "name endpoints or models, unless that is meant");
    }
  }

  template <class Words>
  void only_known(std::string_view key, const std::vector<std::string>& texts, const Words& words) {
    for (const auto& text : texts) {
      if (std::find(std::begin(words), std::end(words), text) != std::end(words)) continue;
      error({"applies", key}, fmt::format("no door has “{}”", text),
            fmt::format("one of: {}", fmt::join(words, ", ")));
    }
  }

  bool about_outputs() const {
    return std::any_of(terms_.rules.begin(), terms_.rules.end(), [](const Rule& rule) {
      return rule.object == Object::outputs && rule.effect == Effect::permit;
    });
  }

  static bool same(const Rule& a, const Rule& b) {
    return std::tie(a.scope, a.object, a.unless) == std::tie(b.scope, b.object, b.unless);
  }
  static bool covers(const Rule& wide, const Rule& narrow) {
    return wide.action == narrow.action &&
           (wide.object == Object::any || wide.object == narrow.object);
  }

  void look_at_rule(size_t index) {
    const Rule& rule = terms_.rules[index];
    const Place at{"rule", "", index};
    for (size_t k = 0; k < terms_.rules.size(); ++k) {
      const Rule& other = terms_.rules[k];
      const bool same_effect = other.effect == rule.effect;
      if (k == index || !covers(other, rule)) continue;
      if (rule.effect == Effect::permit && !same_effect && other.scope == Scope::any &&
          other.unless.empty()) {
        warn(at,
             fmt::format("this permission of {} never counts: [[rule]] {} forbids it everywhere",
                         name(rule.action), k + 1),
             "leave one of the two out, or give the prohibition its scope");
      } else if (same_effect && other.scope == Scope::any && other.unless.empty() &&
                 (!covers(rule, other) || rule.scope != Scope::any || !rule.unless.empty() ||
                  k < index)) {
        warn(at,
             fmt::format("it adds nothing: [[rule]] {} says as much without a condition", k + 1));
      } else if (rule.effect == Effect::permit && same_effect && same(other, rule) && k < index) {
        warn(at, fmt::format("it says the same as [[rule]] {}", k + 1));
      }
    }
    if (!rule.unless.empty() &&
        (rule.scope == Scope::commercial || rule.scope == Scope::research)) {
      warn({"rule", "unless", index},
           fmt::format("an exception of a prohibition of {} use is not looked at: it forbids",
                       name(rule.scope)));
    }
    if (rule.effect == Effect::prohibit && rule.clause.empty() && rule.text.empty()) {
      warn(at, "a prohibition without a clause: whoever is refused cannot look it up",
           "add clause or text");
    }
  }

  void look_at_duties() {
    for (size_t i = 0; i < terms_.duties.size(); ++i) {
      const Object object = terms_.duties[i].object;
      const bool used =
          std::any_of(terms_.rules.begin(), terms_.rules.end(), [object](const Rule& rule) {
            return rule.effect == Effect::permit &&
                   (object == Object::any || rule.object == Object::any || rule.object == object);
          });
      if (!used) {
        warn({"duty", "object", i},
             fmt::format("a duty for {} that no rule permits to use", name(object)));
      }
    }
  }

  const LintInput& input_;
  const Terms& terms_;
  TomlLines lines_;
  std::vector<Remark>& out_;
};

struct Parsed {
  const LintInput* input;
  Terms terms;
};

// Versions of one series: days that none covers, and two of one day.
void look_at_series(std::vector<const Parsed*> versions, std::vector<Remark>& out) {
  std::stable_sort(versions.begin(), versions.end(), [](const Parsed* a, const Parsed* b) {
    return a->terms.effective_ms < b->terms.effective_ms;
  });
  for (size_t i = 1; i < versions.size(); ++i) {
    const Parsed& before = *versions[i - 1];
    const Parsed& after = *versions[i];
    const int64_t line = TomlLines(after.input->text).of("time", "effective");
    const auto remark = [&](std::string message, std::string hint) {
      out.push_back(
          {Severity::warning, after.input->path, line, std::move(message), std::move(hint)});
    };
    if (before.terms.id == after.terms.id) {
      remark(fmt::format("it says what {} says", before.input->path), "leave one of them out");
    } else if (before.terms.effective_ms == after.terms.effective_ms) {
      remark(fmt::format("{} begins on the same day: both bind, and the worse counts",
                         before.input->path),
             "");
    } else if (before.terms.until_ms < after.terms.effective_ms) {
      remark(fmt::format("from {} to this day no version of {} binds: what was captured then is "
                         "denied",
                         before.terms.until, after.terms.series),
             "");
    }
  }
}

}  // namespace

std::string Remark::sentence() const {
  std::string out = file;
  if (line > 0) out += fmt::format(":{}", line);
  out += fmt::format(": {}: {}", severity == Severity::error ? "error" : "warning", message);
  return hint.empty() ? out : out + "; " + hint;
}

std::vector<Remark> lint(const std::vector<LintInput>& files) {
  std::vector<Remark> out;
  std::vector<Parsed> parsed;
  for (const auto& input : files) {
    const size_t first = out.size();
    auto terms = parse_terms(input.text, input.path);
    if (!terms) {
      const Error& error = terms.error();
      out.push_back({Severity::error, input.path,
                     TomlLines(input.text).of_error(error.where, error.message), error.message,
                     error.hint});
      continue;
    }
    File(input, *terms, out).look();
    std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                     [](const Remark& a, const Remark& b) { return a.line < b.line; });
    parsed.push_back({&input, std::move(*terms)});
  }
  std::map<std::string, std::vector<const Parsed*>> series;
  for (const auto& one : parsed) series[one.terms.series].push_back(&one);
  for (auto& [name, versions] : series) look_at_series(std::move(versions), out);
  return out;
}

}  // namespace retort::terms
