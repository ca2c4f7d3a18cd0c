// Terms files: what a provider's contract or a licence says about texts and weights, read by a
// named person, one TOML file a version. The vocabulary is closed: an unknown field, action or word
// is refused with its name. The id of a file is the SHA-256 of its canonical JSON, so layout and
// comments do not change it.
//
//   schema = "retort.terms/1"    series, version, assigner
//   [applies]    endpoints, plans, models, modality (lists of patterns, * stands for anything; a
//                list that is left out applies to all), features_excluded
//   [time]       effective, observed, until (dates; until is the first day that they no longer
//                bind), retroactive ("no", "yes", "unstated"), notice_days
//   [source]     url, retrieved, doc_sha256, clause_sha256, normalise, archive,
//                basis ("express", "silent", "derivative"),
//                capture ("text", "secondary": the reader saw only what others say of the text,
//                "error-page": what was fetched is no text; both permit nothing)
//   [[rule]]     effect ("permit", "prohibit"), action, object ("outputs", "weights", "texts",
//                "any"), scope ("any", "competing", "research", "commercial", "distributed": where
//                the model is given or sold to others), unless, clause, text
//   [duty]       name_prefix, display, licence_copy, notice, use_policy, mau_limit, derivative,
//                object; [[duty]] where two objects owe different things. The text of
//                licence_copy = "NAME" is LICENSES/NAME.txt beside the file.
//   [revocation] mode ("irrevocable", "on-breach", "prospective", "unstated")
//   [review]     reader, role ("counsel", "owner"), on, sig, silence ("permit", "deny")
//
// Who read it: the readings shipped with the program are pinned by their id, so an edited copy that
// still names the program's maintainers as its reader is refused. A file of your own needs a
// [review] reader. Where it speaks of a door that the shipped readings cover it takes their place
// only when a decider signed it (sig, see reading.h); unsigned it binds beside them and can only
// make a verdict worse. Readings help to keep order; they are not legal advice.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "terms/action.h"

namespace retort::terms {

enum class Effect { permit, prohibit };
// The part of a record that terms bind: a model's answers, a model's weights, or texts written by
// people (prompts, own data).
enum class Object { any, outputs, weights, texts };
enum class Scope { any, competing, research, commercial, distributed };
enum class Basis { express, silent, derivative };
enum class Capture { text, secondary, error_page };
enum class Retroactive { no, yes, unstated };

const char* name(Effect effect);
const char* name(Object object);
const char* name(Scope scope);
const char* name(Basis basis);
const char* name(Capture capture);
const char* name(Retroactive retroactive);
std::optional<Object> parse_object(std::string_view text);

struct Applies {
  std::vector<std::string> endpoints, plans, models, modality, features_excluded;
};

struct Rule {
  Effect effect = Effect::prohibit;
  Action action = Action::store;
  Object object = Object::any;
  Scope scope = Scope::any;
  std::string unless;  // the exception that a person would have to declare
  std::string clause;  // where it stands: "2.2(e)"
  std::string text;    // the words, or a close paraphrase
};

// What a distributed student owes. Empty means: nothing.
struct Duty {
  std::string name_prefix;  // the student's name must begin with it
  std::vector<std::string> display;
  std::string licence_copy, notice, use_policy;
  int64_t mau_limit = 0;  // 0: none
  bool derivative = false;
  Object object = Object::any;  // the part whose use brings the duty
  bool empty() const;
  bool binds(Object part) const { return object == Object::any || object == part; }
  bool operator==(const Duty&) const = default;
};

struct Terms {
  std::string id;  // 64 hex digits
  std::string series, version, assigner;
  Applies applies;
  // Unix milliseconds; effective_ms is that of `observed` when the text states no date. until_ms is
  // INT64_MAX when open.
  int64_t effective_ms = 0, until_ms = 0;
  std::string effective, observed, until;
  Retroactive retroactive = Retroactive::unstated;
  int64_t notice_days = 0;
  std::string url, retrieved, doc_sha256, clause_sha256, archive;
  Basis basis = Basis::express;
  Capture capture = Capture::text;
  std::vector<Rule> rules;
  std::vector<Duty> duties;  // none of them empty
  std::string revocation;
  std::string reader, role, reviewed_on;
  bool silence_permits = false;  // the reader takes silence about outputs as permission
  bool pinned = false;           // one of the readings shipped with this program
  std::string sig;               // [review] sig: the name of a file beside this one
  std::string envelope;          // what that file holds
  bool is_signed = false;        // by a decider: check_signature() in reading.h
  std::string text;              // the file as it was read

  std::string label() const { return series + " " + version; }
};

// `where` names the file in errors. Files over 48 KiB are refused (they must fit a ledger entry).
Result<Terms> parse_terms(std::string_view toml, std::string_view where);
// With the signature file that it names, which must be there.
Result<Terms> load_terms(const std::string& path);

// The reader named by the shipped readings, and the ids of those.
inline constexpr const char* kMaintainers = "retort maintainers";
struct Pin {
  std::string_view file, id, series;
  // [applies] of a reading that restricts particular doors, patterns with a space between them; all
  // empty: it restricts none in particular.
  std::string_view endpoints{}, plans{}, models{};
};
const std::vector<Pin>& pinned_readings();
// The line of this reading in the table of pins (pins.cc), as it should be.
std::string pin_line(const std::string& file, const Terms& terms);

// Terms by id. A second version of a series is a second entry.
class TermsSet {
 public:
  void add(Terms terms);
  const Terms* find(std::string_view id) const;
  std::vector<const Terms*> versions(std::string_view series) const;
  std::vector<const Terms*> all() const;
  void for_each(const std::function<void(Terms&)>& visit);
  bool empty() const { return by_id_.empty(); }

 private:
  std::map<std::string, Terms, std::less<>> by_id_;
};

Result<TermsSet> load_terms_set(const std::vector<std::string>& paths);

}  // namespace retort::terms
