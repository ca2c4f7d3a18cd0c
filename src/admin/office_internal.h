// What the routes share, and one request on its way through them.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "accounts/book.h"
#include "accounts/cases.h"
#include "accounts/quota.h"
#include "admin/server.h"
#include "http/server.h"
#include "openai/error.h"
#include "provider/audit_pages.h"
#include "provider/watching.h"

namespace retort::admin {

struct Office {
  static Result<std::unique_ptr<Office>> open(const Options& options);

  Options options;
  base::Clock* clock = nullptr;
  std::atomic<bool> verifying{false};  // the whole audit, one at a time

  std::mutex mutex;  // of what follows; each belongs to one thread at a time
  std::unique_ptr<accounts::Book> book;
  std::unique_ptr<accounts::Cases> cases;
  std::unique_ptr<accounts::Quotas> quotas;
  std::unique_ptr<provider::Watching> watching;  // null until detection has begun
  std::unique_ptr<provider::AuditPages> pages;   // null until something was audited

  Result<provider::AuditPages*> audit();
  // null where detection holds nothing of the account.
  Result<json::Value> watched(const accounts::Account& account);
};

struct Body {
  std::string type = "application/json";
  std::string bytes;
};
inline Body body_of(const json::Value& value) {
  return {"application/json", json::dump(value)};
}

using Answer = openai::Parsed<Body>;

struct Ask {
  Office& office;
  const http::ServerRequest& request;
  const accounts::Principal& who;
  json::Value body = {};  // of a POST: an object
};

// For whoever asked: what is not there is 404, what cannot be done as things stand 409; what the
// server has to blame itself for goes to its log.
openai::ApiError error_of(const Error& error);
Answer answer_of(const Result<json::Value>& value);

// One value of the query; "" without. Nothing for one that is no plain word, or stands there twice.
std::optional<std::string> query_of(const http::ServerRequest& request, std::string_view name);
// A number of the query or the path; nothing for anything else.
std::optional<int64_t> number_of(const std::string& text);
// A text of the body that has to be there.
openai::Parsed<std::string> text_of(const Ask& ask, const char* key);

// Finds the route, checks the key. Never throws.
http::Reply answer(Office& office, const http::ServerRequest& request);
// With the headers that every answer carries.
http::Reply reply_of(int status, Body body);
http::Reply reply_of(const openai::ApiError& error);

// The console's files: its page at "/", its parts by their names. Null: no such file.
const Body* page_file(const std::vector<std::string>& path);

// One a route; with the office's mutex held.
Answer answer_whoami(const Ask& ask);
Answer answer_traffic(const Ask& ask);
Answer answer_accounts(const Ask& ask);
Answer answer_account(const Ask& ask);
Answer answer_suspend(const Ask& ask);
Answer answer_reinstate(const Ask& ask);
Answer answer_cases(const Ask& ask);
Answer answer_case(const Ask& ask);
Answer answer_decide(const Ask& ask);
Answer answer_audit(const Ask& ask);
Answer answer_checkpoint(const Ask& ask);
Answer answer_growth(const Ask& ask);
Answer answer_proof(const Ask& ask);
Answer answer_segment(const Ask& ask);
// Without it: this one takes as long as the audit is.
Answer answer_verify(const Ask& ask);

}  // namespace retort::admin
