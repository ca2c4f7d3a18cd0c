#include "admin/office_internal.h"

#include <algorithm>
#include <charconv>

#include "base/files.h"
#include "base/log.h"

namespace retort::admin {
namespace {

// What ids, digests and cursors are made of, so that nothing has to be decoded.
bool is_plain(std::string_view text) {
  return text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

}  // namespace

Result<std::unique_ptr<Office>> Office::open(const Options& options) {
  const std::string book =
      options.store.empty() ? base::join(options.accounts, "accounts.db") : options.store;
  auto office = std::make_unique<Office>();
  office->options = options;
  office->clock = options.clock != nullptr ? options.clock : &base::system_clock();
  const accounts::Book::Options as_it_is{.create = false, .clock = options.clock};
  RETORT_TRY(office->book, accounts::Book::open(book, as_it_is));
  RETORT_TRY(office->cases, accounts::Cases::open(book, as_it_is));
  // It reserves nothing; on a server its lease has to be renewed all the same.
  RETORT_TRY(office->quotas, accounts::Quotas::open(options.accounts, {.clock = options.clock,
                                                                       .store = options.store}));
  return office;
}

Result<provider::AuditPages*> Office::audit() {
  if (!pages) {
    RETORT_TRY(pages, provider::AuditPages::open(options.accounts));
  }
  return pages.get();
}

Result<json::Value> Office::watched(const accounts::Account& account) {
  if (!watching) {
    auto opened = provider::Watching::open(options.accounts);
    if (!opened && opened.error().code == ErrorCode::not_found) return json::Value();
    RETORT_TRY(watching, std::move(opened));
  }
  return watching->account(account.id, account.purpose);
}

openai::ApiError error_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::not_found:
      return openai::make_error(404, error.message, "", "not_found");
    case ErrorCode::usage: {
      const std::string hint = error.hint.empty() ? "" : "; " + error.hint;
      return openai::make_error(409, error.message + hint, "", "not_possible");
    }
    case ErrorCode::bad_input:  // what was written down is not as it was
      base::log_error("admin: {}", error.text());
      return openai::make_error(500, error.message + "; " + error.hint, "", "damaged");
    default:
      base::log_error("admin: {}", error.text());
      return openai::make_error(503, "the accounts cannot be read or written at the moment", "",
                                "accounts_unavailable");
  }
}

Answer answer_of(const Result<json::Value>& value) {
  if (!value) return error_of(value.error());
  return body_of(*value);
}

std::optional<std::string> query_of(const http::ServerRequest& request, std::string_view name) {
  std::optional<std::string> found;
  std::string_view rest = request.query;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != name) continue;
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    if (found || !is_plain(value)) return std::nullopt;
    found = std::string(value);
  }
  return found ? found : std::string();
}

std::optional<int64_t> number_of(const std::string& text) {
  int64_t out = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || out < 0) return {};
  return out;
}

openai::Parsed<std::string> text_of(const Ask& ask, const char* key) {
  const json::Value* value = ask.body.find(key);
  if (value != nullptr && value->is_string() && !value->as_string().empty()) {
    return value->as_string();
  }
  return openai::make_error(400, std::string("the body must say ") + key + ", a text", key);
}

}  // namespace retort::admin
