#include "terms/declaration.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/clock.h"
#include "crypto/hash.h"
#include "json/table.h"

namespace retort::terms {
namespace {

constexpr int64_t kRecordsMax = 1'000'000'000;
constexpr size_t kTermsMax = 64;
constexpr size_t kStatementBytesMax = 16 * 1024;

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

void check_model(json::Table& table, const std::string& model_id) {
  if (model_id.find_first_of("*?") == std::string::npos) return;
  table.fail("a declaration is bound to one model; a pattern would be a blanket one", "model_id");
}

void check_terms(json::Table& table, const Statement& statement, const Declaration& declaration) {
  if (declaration.terms.empty() || declaration.terms.size() > kTermsMax) {
    table.fail(
        fmt::format("1 to {} versions of terms are wanted; none would be a blanket one", kTermsMax),
        "terms");
  }
  for (const auto& id : declaration.terms) {
    if (!json::is_sha256(id)) {
      table.fail(fmt::format("“{}” is not the id of one version of terms", id), "terms");
    } else if (statement.subjects.count(id) == 0) {
      table.fail(fmt::format("{} is not among the statement's subjects", id), "terms");
    }
  }
  if (statement.subjects.size() != declaration.terms.size()) {
    table.fail("the statement's subjects are other than these", "terms");
  }
}

}  // namespace

bool Declaration::lists(std::string_view terms_id) const {
  return std::binary_search(terms.begin(), terms.end(), terms_id);
}

std::string Declaration::label() const {
  return fmt::format("declaration {} of {}", id.substr(0, 16), declarant);
}

Result<Declaration> parse_declaration(std::string_view text, const std::string& where) {
  if (text.size() > kStatementBytesMax) {
    return base::bad_input("a declaration has at most 16 KiB", where, "say it in fewer words");
  }
  RETORT_TRY(const auto statement, parse_statement(text, where));
  if (statement.predicate_type != kDeclarationType) {
    return base::bad_input("this statement is no declaration", where + " predicateType");
  }
  json::Table table(&statement.predicate, where + ": predicate");
  Declaration out;
  out.id = crypto::sha256_hex(text);
  out.declarant = table.required("declarant");
  table.word("role", {"counsel", "owner"}, std::string::npos);
  out.role = table.text("role");
  out.model_id = table.required("model_id");
  check_model(table, out.model_id);
  out.statement = table.required("statement");
  if (is_blank(out.declarant)) table.fail("a name is wanted", "declarant");
  if (is_blank(out.statement)) table.fail("a sentence is wanted", "statement");
  out.terms = table.texts("terms");
  std::sort(out.terms.begin(), out.terms.end());
  out.terms.erase(std::unique(out.terms.begin(), out.terms.end()), out.terms.end());
  out.max_records = table.integer("max_records");
  if (out.max_records < 1 || out.max_records > kRecordsMax) {
    table.fail(fmt::format("1 to {} records are wanted", kRecordsMax), "max_records");
  }
  out.valid_until = table.date("valid_until");
  if (out.valid_until.empty()) table.fail("it has to end on a day", "valid_until");
  out.ends_ms = base::parse_iso_date(out.valid_until) + base::kDay_ms;
  check_terms(table, statement, out);
  RETORT_TRY_VOID(table.finish());
  return out;
}

DeclaredAnswer answer_for(const Terms& terms, const std::string& model_id, const TermsSet& known,
                          const std::vector<Declaration>& declarations) {
  DeclaredAnswer answer;
  const auto miss = [&answer](const Declaration& one, const std::string& why) {
    answer.why_not = fmt::format("the {} does not count: {}", one.label(), why);
  };
  for (const Declaration& one : declarations) {
    if (one.lists(terms.id)) {
      if (one.model_id != model_id) {
        miss(one,
             fmt::format("it is bound to the model {}, and this is {}", one.model_id, model_id));
      } else if (!one.void_reason.empty()) {
        miss(one, one.void_reason);
      } else {
        answer.by = &one;
        return answer;
      }
    } else if (one.model_id == model_id && answer.why_not.empty()) {
      for (const auto& id : one.terms) {
        const Terms* other = known.find(id);
        if (other == nullptr || other->series != terms.series) continue;
        miss(one, fmt::format("it lists {} (id {}), and {} (id {}) binds", other->label(),
                              id.substr(0, 16), terms.label(), terms.id.substr(0, 16)));
      }
    }
  }
  return answer;
}

Result<std::string> draft_declaration(const DeclarationDraft& draft,
                                      const std::vector<const Terms*>& terms) {
  Statement statement;
  json::Value ids = json::Value::array();
  for (const Terms* one : terms) {
    if (statement.subjects.emplace(one->id, one->label()).second) ids.push(one->id);
  }
  if (statement.subjects.empty()) {
    return base::usage_error("no terms ask for a declaration", "terms",
                             "name the versions that it is about");
  }
  statement.predicate_type = kDeclarationType;
  statement.predicate = json::Value::object({{"declarant", draft.declarant},
                                             {"role", draft.role},
                                             {"terms", std::move(ids)},
                                             {"model_id", draft.model_id},
                                             {"statement", draft.statement},
                                             {"max_records", draft.max_records},
                                             {"valid_until", draft.valid_until}});
  std::string text = statement_text(statement);
  RETORT_TRY_VOID(parse_declaration(text, "declaration"));
  return text;
}

}  // namespace retort::terms
