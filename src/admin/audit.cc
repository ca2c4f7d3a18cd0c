// The audit, and what proves it to whoever looks.
#include <fmt/core.h>

#include "admin/office_internal.h"
#include "crypto/hash.h"
#include "provider/audit.h"

namespace retort::admin {
namespace {

constexpr size_t kEntryAt = 4;  // in the path /admin/v1/audit/entries/ENTRY
constexpr int64_t kLinesMax = 500;

openai::ApiError wrong(const char* what, const char* param) {
  return openai::make_error(400, what, param);
}

json::Value hashes(const std::vector<ledger::Digest>& path) {
  json::Value out = json::Value::array();
  for (const auto& hash : path) out.push(crypto::to_hex(hash));
  return out;
}

// "ENTRY.LINE"
std::optional<provider::AuditPlace> place_of(const std::string& text) {
  if (text.empty()) return provider::AuditPlace{};
  const size_t dot = text.find('.');
  if (dot == std::string::npos) return std::nullopt;
  const auto entry = number_of(text.substr(0, dot));
  const auto line = number_of(text.substr(dot + 1));
  if (!entry || !line) return std::nullopt;
  return provider::AuditPlace{*entry, *line};
}

json::Value page_json(const provider::AuditPage& page) {
  json::Value lines = json::Value::array();
  for (const auto& one : page.lines) {
    lines.push(json::Value::object({{"entry", one.entry}, {"line", one.line}, {"text", one.text}}));
  }
  json::Value next;
  if (!page.over()) next = fmt::format("{}.{}", page.next.entry, page.next.line);
  return json::Value::object({{"lines", std::move(lines)}, {"next", std::move(next)}});
}

struct Query {
  provider::AuditFilter filter;
  provider::AuditPlace before;
  int64_t most = 100;
};

openai::Parsed<Query> read_query(const http::ServerRequest& request) {
  Query out;
  const auto kind = query_of(request, "kind");
  const auto account = query_of(request, "account");
  const auto case_id = query_of(request, "case");
  if (!kind || !account || !case_id) return wrong("that is no word to look for", "kind");
  out.filter = {*kind, *account, *case_id};
  const auto before = query_of(request, "before");
  const auto place = before ? place_of(*before) : std::nullopt;
  if (!place) return wrong("before is what an earlier page gave as next", "before");
  out.before = *place;
  const auto most = query_of(request, "most");
  if (!most) return wrong("most is a number", "most");
  if (most->empty()) return out;
  const auto number = number_of(*most);
  if (!number || *number < 1 || *number > kLinesMax) {
    return wrong("most is a number from 1 to 500", "most");
  }
  out.most = *number;
  return out;
}

// What follows for an entry of the log that the path names.
template <class Give>
Answer of_entry(const Ask& ask, Give give) {
  const auto entry = number_of(ask.request.path[kEntryAt]);
  if (!entry) return wrong("an entry is a number", "entry");
  auto pages = ask.office.audit();
  if (!pages) return error_of(pages.error());
  return give(**pages, *entry);
}

}  // namespace

Answer answer_audit(const Ask& ask) {
  const auto query = read_query(ask.request);
  if (!query) return query.error();
  auto pages = ask.office.audit();
  if (!pages) return error_of(pages.error());
  const auto page = (*pages)->page(query->filter, query->before, query->most);
  if (!page) return error_of(page.error());
  return body_of(page_json(*page));
}

Answer answer_checkpoint(const Ask& ask) {
  auto pages = ask.office.audit();
  if (!pages) return error_of(pages.error());
  const auto checkpoint = (*pages)->checkpoint();
  if (!checkpoint) return error_of(checkpoint.error());
  return body_of(json::Value::object(
      {{"checkpoint", *checkpoint},
       {"origin", (*pages)->origin()},
       {"public_key", crypto::to_base64(crypto::as_bytes((*pages)->public_key()))}}));
}

Answer answer_growth(const Ask& ask) {
  const auto old = query_of(ask.request, "old");
  const auto size = old ? number_of(*old) : std::nullopt;
  if (!size) return wrong("old is the size of an earlier checkpoint", "old");
  auto pages = ask.office.audit();
  if (!pages) return error_of(pages.error());
  const auto growth = (*pages)->prove_growth(*size);
  if (!growth) return error_of(growth.error());
  return body_of(json::Value::object(
      {{"old_size", *size}, {"path", hashes(growth->path)}, {"checkpoint", growth->checkpoint}}));
}

Answer answer_proof(const Ask& ask) {
  return of_entry(ask, [](provider::AuditPages& pages, int64_t entry) -> Answer {
    const auto proof = pages.prove(entry);
    if (!proof) return error_of(proof.error());
    return body_of(json::Value::object(
        {{"index", proof->index},
         {"entry", proof->entry},
         {"path", hashes(proof->path)},
         {"checkpoint", proof->checkpoint},
         {"origin", pages.origin()},
         {"public_key", crypto::to_base64(crypto::as_bytes(pages.public_key()))}}));
  });
}

// The bytes as they lie there, for whoever hashes them.
Answer answer_segment(const Ask& ask) {
  return of_entry(ask, [](provider::AuditPages& pages, int64_t entry) -> Answer {
    auto content = pages.segment(entry);
    if (!content) return error_of(content.error());
    return Body{"application/x-ndjson", std::move(*content)};
  });
}

Answer answer_verify(const Ask& ask) {
  if (ask.office.verifying.exchange(true)) {
    return openai::make_error(409, "the audit is being verified already", "", "not_possible");
  }
  const auto count = provider::read_audit(ask.office.options.accounts,
                                          [](const json::Value&) { return Result<void>(); });
  ask.office.verifying = false;
  if (!count) return error_of(count.error());
  return body_of(json::Value::object({{"segments", count->segments}, {"lines", count->lines}}));
}

}  // namespace retort::admin
