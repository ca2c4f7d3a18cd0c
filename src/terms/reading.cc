#include "terms/reading.h"

#include "json/value.h"

namespace retort::terms {
namespace {

json::Value predicate_of(const Terms& terms) {
  return json::Value::object({{"reader", terms.reader}, {"role", terms.role}});
}

bool is_about(const crypto::Envelope& envelope, const Terms& terms) {
  const auto statement = parse_statement(envelope.payload, terms.sig);
  return statement && statement->predicate_type == kReadingType &&
         statement->subjects.size() == 1 && statement->subjects.count(terms.id) == 1 &&
         statement->predicate == predicate_of(terms);
}

}  // namespace

std::string reading_statement(const Terms& terms) {
  return statement_text({.subjects = {{terms.id, terms.label()}},
                         .predicate_type = kReadingType,
                         .predicate = predicate_of(terms)});
}

void check_signature(Terms& terms, const Deciders& deciders) {
  terms.is_signed = false;
  if (terms.envelope.empty()) return;
  const auto value = json::parse(terms.envelope, terms.sig);
  if (!value) return;
  const auto envelope = envelope_from_json(*value, terms.sig);
  if (!envelope || envelope->payload_type != crypto::kInTotoPayload) return;
  terms.is_signed = is_about(*envelope, terms) && signer(*envelope, deciders) != nullptr;
}

}  // namespace retort::terms
