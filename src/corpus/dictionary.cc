#include "corpus/dictionary_internal.h"

#include <fmt/core.h>

namespace retort::corpus {

Result<std::vector<terms::Reference>> logged_references(ledger::Ledger& ledger, int64_t entry) {
  RETORT_TRY(const auto found, ledger.entry(entry));
  const std::string where = fmt::format("entry {}", entry);
  if (found.kind != "termset") return base::bad_input("this is no set of terms", where);
  const auto* list = found.body.find("terms");
  if (list == nullptr || !list->is_array()) {
    return base::bad_input("a set of terms without terms", where);
  }
  std::vector<terms::Reference> out;
  for (const auto& item : list->as_array()) {
    RETORT_TRY(const auto id, item.string_at("id"));
    RETORT_TRY(const auto text, item.string_at("object"));
    const auto object = terms::parse_object(text);
    if (!object) return base::bad_input(fmt::format("no object is called “{}”", text), where);
    out.push_back({id, *object});
  }
  return out;
}

Result<LoggedDoor> logged_door(ledger::Ledger& ledger, int64_t entry) {
  RETORT_TRY(const auto found, ledger.entry(entry));
  if (found.kind != "door") {
    return base::bad_input("this is no door", fmt::format("entry {}", entry));
  }
  LoggedDoor out;
  RETORT_TRY(out.door.provider, found.body.string_at("provider", ""));
  RETORT_TRY(out.door.endpoint, found.body.string_at("endpoint", ""));
  RETORT_TRY(out.door.plan, found.body.string_at("plan", ""));
  RETORT_TRY(out.model, found.body.string_at("model", ""));
  return out;
}

}  // namespace retort::corpus
