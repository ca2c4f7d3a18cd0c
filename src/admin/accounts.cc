// Accounts, what they may use and have used, and their suspension by a person.
#include "admin/office_internal.h"
#include "provider/administration.h"

namespace retort::admin {
namespace {

constexpr size_t kAccountAt = 3;  // in the path /admin/v1/accounts/ACCOUNT

struct Standing {
  std::vector<accounts::Key> keys;
  std::vector<accounts::Limit> limits;
};

Result<Standing> standing_of(Office& office, const accounts::Account& account,
                             const std::vector<accounts::Limit>& all) {
  Standing out;
  RETORT_TRY(out.keys, office.book->keys(account.id));
  out.limits = provider::limits_of(all, account, out.keys);
  return out;
}

// Used and left as the servers have reported it, up to a second ago.
Result<json::Value> limits_json(Office& office, const std::vector<accounts::Limit>& limits) {
  json::Value out = json::Value::array();
  const int64_t now_ms = office.clock->wall_ms();
  for (const auto& limit : limits) {
    json::Value one = provider::limit_json(limit);
    RETORT_TRY(const int64_t used, office.quotas->used(limit, now_ms));
    one.set("used", used).set("resets_ms", accounts::period_end_ms(limit.window, now_ms));
    out.push(std::move(one));
  }
  return out;
}

Result<json::Value> row_json(Office& office, const accounts::Account& account,
                             const std::vector<accounts::Limit>& all) {
  RETORT_TRY(const auto standing, standing_of(office, account, all));
  RETORT_TRY(const auto running, office.cases->open_of(account.id));
  json::Value out = provider::account_json(account);
  RETORT_TRY(auto limits, limits_json(office, standing.limits));
  out.set("limits", std::move(limits));
  int64_t open_keys = 0;
  for (const auto& key : standing.keys) {
    open_keys += accounts::opens(key, office.clock->wall_ms()) ? 1 : 0;
  }
  out.set("open_keys", open_keys);
  json::Value open;
  if (running) {
    open = json::Value::object({{"id", running->id},
                                {"step", policy::name(running->step)},
                                {"status", policy::name(running->status)},
                                {"proposed", running->proposed}});
  }
  return out.set("open_case", std::move(open));
}

Result<json::Value> list_json(Office& office) {
  RETORT_TRY(const auto all, office.book->list());
  RETORT_TRY(const auto limits, office.quotas->limits());
  json::Value data = json::Value::array();
  for (const auto& account : all) {
    RETORT_TRY(auto row, row_json(office, account, limits));
    data.push(std::move(row));
  }
  return json::Value::object({{"data", std::move(data)}});
}

Result<json::Value> account_json(Office& office, const std::string& id) {
  RETORT_TRY(const auto account, office.book->account(id));
  RETORT_TRY(const auto limits, office.quotas->limits());
  RETORT_TRY(auto out, row_json(office, account, limits));
  RETORT_TRY(const auto keys, office.book->keys(id));
  RETORT_TRY(const auto history, office.book->history(id));
  RETORT_TRY(const auto cases, office.cases->list({.account = id}));
  json::Value keys_out = json::Value::array(), changes = keys_out, cases_out = keys_out;
  for (const auto& key : keys) keys_out.push(provider::key_json(key));
  for (const auto& change : history) changes.push(provider::change_json(change));
  for (const auto& one : cases) {
    cases_out.push(json::Value::object({{"id", one.id},
                                        {"opened_ms", one.opened_ms},
                                        {"step", policy::name(one.step)},
                                        {"status", policy::name(one.status)}}));
  }
  out.set("keys", std::move(keys_out));
  out.set("history", std::move(changes));
  out.set("cases", std::move(cases_out));
  return out;
}

using Change = Result<void> (*)(accounts::Book&, const std::string& account,
                                const std::string& reason, const std::string& actor);

Answer change(const Ask& ask, Change change) {
  const std::string& id = ask.request.path[kAccountAt];
  const auto reason = text_of(ask, "reason");
  if (!reason) return reason.error();
  const auto done = change(*ask.office.book, id, *reason, provider::actor_of(ask.who.key));
  if (!done) return error_of(done.error());
  return answer_of(account_json(ask.office, id));
}

}  // namespace

Answer answer_accounts(const Ask& ask) {
  return answer_of(list_json(ask.office));
}

Answer answer_account(const Ask& ask) {
  return answer_of(account_json(ask.office, ask.request.path[kAccountAt]));
}

Answer answer_suspend(const Ask& ask) {
  if (ask.request.path[kAccountAt] == ask.who.account.id) {
    return openai::make_error(409,
                              "this is the account of the key that you hold: nobody would be "
                              "left to reinstate it from here",
                              "", "not_possible");
  }
  return change(ask,
                [](accounts::Book& book, const std::string& account, const std::string& reason,
                   const std::string& actor) { return book.suspend(account, reason, "", actor); });
}

Answer answer_reinstate(const Ask& ask) {
  return change(ask,
                [](accounts::Book& book, const std::string& account, const std::string& reason,
                   const std::string& actor) { return book.reinstate(account, reason, actor); });
}

}  // namespace retort::admin
