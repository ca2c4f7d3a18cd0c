// A declaration answers what terms leave to a person: "this does not compete", "we hold the order
// form that it speaks of", "this is research". A person states it and signs it; the program never
// has an opinion on it. It is bound to one model and to listed versions of terms, counts at most
// for a stated number of records, ends on a stated day, and lifts nothing but needs_declaration.
//
// The statement is an in-toto Statement v1 (statement.h) of predicateType kDeclarationType. Its
// subjects are the versions of terms, by their ids; its predicate has exactly
//   declarant, role ("counsel", "owner"), terms (the same ids), model_id, statement (the person's
//   words), max_records (1 to 10^9), valid_until (the last day, at most a year after it was logged)
// A pattern, an empty list or any other member is refused. It bears no date of its own: it counts
// from its entry in the log, whose time nobody chooses. docs/reference/terms.md is the format.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "terms/statement.h"
#include "terms/terms.h"

namespace retort::terms {

inline constexpr const char* kDeclarationType = "https://retort.local/retort/declaration/v1";
inline constexpr int64_t kDeclarationDaysMax = 366;

struct Declaration {
  std::string id;  // SHA-256 of the statement's bytes, in hex
  std::string declarant, role, model_id, statement;
  std::vector<std::string> terms;  // ids, sorted
  int64_t max_records = 0;
  std::string valid_until;
  int64_t ends_ms = 0;      // the first instant at which it no longer counts
  std::string void_reason;  // why it counts for nothing, as "it was revoked on …"; "": it counts

  bool lists(std::string_view terms_id) const;
  std::string label() const;  // "declaration 0123456789abcdef of NAME"
};

// What a person writes; the rest follows from the terms that are asked about.
struct DeclarationDraft {
  std::string declarant, role, model_id, statement, valid_until;
  int64_t max_records = 0;
};
// The statement to be read and signed; refused for what parse_declaration would refuse.
Result<std::string> draft_declaration(const DeclarationDraft& draft,
                                      const std::vector<const Terms*>& terms);

Result<Declaration> parse_declaration(std::string_view statement, const std::string& where);

// Whether one of the known declarations answers what `terms` leave to a person, for this model.
struct DeclaredAnswer {
  const Declaration* by = nullptr;
  std::string why_not;  // of the nearest one that does not, as a sentence; "": there is none
};
DeclaredAnswer answer_for(const Terms& terms, const std::string& model_id, const TermsSet& known,
                          const std::vector<Declaration>& declarations);

}  // namespace retort::terms
