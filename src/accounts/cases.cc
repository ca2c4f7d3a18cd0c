#include "accounts/cases.h"

#include <fmt/core.h>

#include "accounts/book_internal.h"
#include "json/value.h"
#include "policy/case_json.h"

namespace retort::accounts {
namespace {

using policy::Case;
using policy::Policy;
using policy::Status;
using policy::Step;

constexpr size_t kTextMax = 64 * 1024;  // of evidence, of an appeal

std::string suspension_reason(const Policy& policy, const Case& subject) {
  const std::string& why = subject.reason.empty() ? subject.finding.words : subject.reason;
  std::string reason = fmt::format("clause {}: {}", policy.clause.id, why);
  for (char& letter : reason) {
    if (static_cast<unsigned char>(letter) < 0x20) letter = ' ';
  }
  if (reason.size() > 900) reason.resize(reason.find_last_of(' ', 900));
  return reason;
}

Result<void> check_finding(const policy::Finding& finding) {
  if (finding.words.empty()) {
    return base::usage_error("a case needs words that its customer can read");
  }
  if (finding.words.size() > kTextMax || finding.evidence.size() > kTextMax) {
    return base::usage_error("evidence of a case has at most 64 KiB");
  }
  if (!finding.evidence.empty()) {
    const auto parsed = json::parse(finding.evidence, "evidence");
    if (!parsed) return parsed.error();
  }
  return {};
}

}  // namespace

struct Cases::Impl {
  std::string path;
  std::unique_ptr<Book> book;  // its tables and its words; transactions are on its connection

  base::Clock& clock() { return *book->impl_->clock; }
  store::Database& database() { return *book->impl_->database; }

  Result<Case> read(const std::string& id);
  Result<void> write(const Case& subject);
  Result<void> note(const Case& subject, const std::string& what, const std::string& actor);
  Result<void> follow(const Policy& policy, const Case& before, const Case& after,
                      const std::string& actor);
  Result<void> set_state(const Case& subject, State to, const std::string& reason,
                         const std::string& actor);
};

Cases::Cases(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cases::~Cases() = default;

Result<std::unique_ptr<Cases>> Cases::open(const std::string& address,
                                           const Book::Options& options) {
  RETORT_TRY(auto book, Book::open(address, options));
  const std::string where = book->impl_->path;
  return std::unique_ptr<Cases>(new Cases(std::make_unique<Impl>(Impl{where, std::move(book)})));
}

Result<void> Cases::add_policy(const Policy& policy, const std::string& actor) {
  RETORT_TRY(auto transaction, impl_->book->impl_->begin());
  RETORT_TRY(auto row,
             impl_->database().prepare("INSERT INTO policies (id, series, text, added_ms) "
                                       "VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"));
  RETORT_TRY(const auto others, policies());
  for (const auto& other : others) {
    if (other.id == policy.id) return {};
    if (other.series != policy.series) {
      return base::usage_error(
          fmt::format("the accounts here are under the policy “{}”, and this is “{}”", other.series,
                      policy.series),
          impl_->path, "a provider has one series; give it a new version");
    }
    if (other.version == policy.version) {
      return base::usage_error(
          fmt::format("version {} is there already and says something else", policy.version),
          impl_->path, "what binds is not rewritten: give the change a version of its own");
    }
  }
  const int64_t now_ms = impl_->clock().wall_ms();
  const bool first = others.empty();
  if (!first && policy.effective_ms < now_ms) {
    return base::usage_error(
        fmt::format("version {} would bind from a day that has passed", policy.version),
        impl_->path, "a changed policy takes effect after it is added");
  }
  RETORT_TRY_VOID(
      row.bind(1, policy.id).bind(2, policy.series).bind(3, policy.text).bind(4, now_ms).run());
  RETORT_TRY_VOID(impl_->book->impl_->note("", {.actor = actor,
                                                .subject = policy.id,
                                                .what = "policy added",
                                                .before = "",
                                                .after = policy.version}));
  return transaction.commit();
}

Result<std::vector<Policy>> Cases::policies() {
  RETORT_TRY(auto rows,
             impl_->database().prepare("SELECT text FROM policies ORDER BY added_ms, id"));
  std::vector<Policy> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    RETORT_TRY(auto one, policy::parse_policy(rows.text(0), impl_->path));
    out.push_back(std::move(one));
  }
}

Result<Policy> Cases::policy(const std::string& id) {
  RETORT_TRY(auto row, impl_->database().prepare("SELECT text FROM policies WHERE id = ?1"));
  RETORT_TRY(const bool found, row.bind(1, id).step());
  if (!found) {
    return base::not_found(fmt::format("there is no policy {}", id.substr(0, 16)), impl_->path,
                           "retort policy list shows them");
  }
  return policy::parse_policy(row.text(0), impl_->path);
}

Result<std::vector<Case>> Cases::list(const CaseFilter& filter) {
  RETORT_TRY(auto rows,
             impl_->database().prepare("SELECT body FROM cases WHERE (?1 = '' OR account = ?1) AND "
                                       "(?2 = 0 OR over = 0) ORDER BY opened_ms, id"));
  rows.bind(1, filter.account).bind(2, filter.only_open ? 1 : 0);
  std::vector<Case> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    RETORT_TRY(auto one, policy::read_case(rows.text(0), impl_->path));
    out.push_back(std::move(one));
  }
}

Result<Case> Cases::Impl::read(const std::string& id) {
  RETORT_TRY(auto row, database().prepare("SELECT body FROM cases WHERE id = ?1"));
  RETORT_TRY(const bool found, row.bind(1, id).step());
  if (!found) {
    return base::not_found(fmt::format("there is no case “{}”", id), path,
                           "retort case list shows them");
  }
  return policy::read_case(row.text(0), path);
}

Result<Case> Cases::find(const std::string& id) {
  return impl_->read(id);
}

Result<std::optional<Case>> Cases::open_of(const std::string& account) {
  RETORT_TRY(auto all, list({.account = account, .only_open = true}));
  if (all.empty()) return std::optional<Case>{};
  return std::optional(std::move(all.front()));
}

namespace {

// Columns time_ms, actor, what, step, status, reason, from `first` on.
CaseEvent event_of(const store::Statement& row, int first) {
  const auto text = [&](int column) { return std::string(row.text(first + column)); };
  return {row.integer(first),
          text(1),
          text(2),
          policy::parse_step(text(3)).value_or(Step::watch),
          policy::parse_status(text(4)).value_or(Status::open),
          text(5)};
}

}  // namespace

Result<std::vector<CaseEvent>> Cases::events(const std::string& id) {
  RETORT_TRY(auto rows, impl_->database().prepare(
                            "SELECT time_ms, actor, what, step, status, reason FROM case_events "
                            "WHERE case_id = ?1 ORDER BY id"));
  rows.bind(1, id);
  std::vector<CaseEvent> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    out.push_back(event_of(rows, 0));
  }
}

Result<std::vector<Cases::Numbered>> Cases::events_after(int64_t row, int64_t most) {
  RETORT_TRY(auto rows,
             impl_->database().prepare("SELECT id, case_id, time_ms, actor, what, step, status, "
                                       "reason FROM case_events WHERE id > ?1 ORDER BY id LIMIT "
                                       "?2"));
  rows.bind(1, row).bind(2, most);
  std::vector<Numbered> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    out.push_back({rows.integer(0), std::string(rows.text(1)), event_of(rows, 2)});
  }
}

Result<void> Cases::Impl::write(const Case& subject) {
  RETORT_TRY(auto row, database().prepare(
                           "INSERT INTO cases (id, account, opened_ms, over, body) VALUES "
                           "(?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET over = ?4, body = "
                           "?5"));
  return row.bind(1, subject.id)
      .bind(2, subject.account)
      .bind(3, subject.opened_ms)
      .bind(4, subject.over() ? 1 : 0)
      .bind(5, json::canonical(policy::to_json(subject)))
      .run();
}

Result<void> Cases::Impl::note(const Case& subject, const std::string& what,
                               const std::string& actor) {
  RETORT_TRY(auto row, database().prepare(
                           "INSERT INTO case_events (case_id, time_ms, actor, what, step, status, "
                           "reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  return row.bind(1, subject.id)
      .bind(2, clock().wall_ms())
      .bind(3, actor)
      .bind(4, what)
      .bind(5, policy::name(subject.step))
      .bind(6, policy::name(subject.status))
      .bind(7, subject.reason)
      .run();
}

Result<void> Cases::Impl::set_state(const Case& subject, State to, const std::string& reason,
                                    const std::string& actor) {
  RETORT_TRY(auto row, database().prepare("UPDATE accounts SET state = ?2, reason = ?3, case_id = "
                                          "?4 WHERE id = ?1"));
  RETORT_TRY_VOID(row.bind(1, subject.account)
                      .bind(2, static_cast<int64_t>(to))
                      .bind(3, reason)
                      .bind(4, to == State::suspended ? subject.id : "")
                      .run());
  return book->impl_->note(subject.account,
                           {.actor = actor,
                            .subject = subject.account,
                            .what = to == State::suspended ? "suspended" : "reinstated",
                            .before = "",
                            .after = subject.id + ": " + reason});
}

Result<void> Cases::Impl::follow(const Policy& policy, const Case& before, const Case& after,
                                 const std::string& actor) {
  RETORT_TRY(const auto account, book->account(after.account));
  const bool suspends = after.step == Step::suspend && !after.over();
  if (suspends && before.step != Step::suspend && account.state == State::active) {
    return set_state(after, State::suspended, suspension_reason(policy, after), actor);
  }
  // A suspension that somebody else made for another reason stays.
  if (after.over() && account.state == State::suspended && account.case_id == after.id) {
    return set_state(after, State::active, after.reason, actor);
  }
  return {};
}

Result<Case> Cases::begin(const std::string& account, const Policy& policy,
                          const policy::Finding& finding, const std::string& actor) {
  RETORT_TRY_VOID(check_finding(finding));
  RETORT_TRY(auto transaction, impl_->book->impl_->begin());
  RETORT_TRY(const auto subject, impl_->book->account(account));
  if (subject.training == Training::allowed) {
    return base::usage_error(
        fmt::format("{} may train on what it is answered, so there is no case against it", account),
        impl_->path, "a finding about such an account is a report");
  }
  RETORT_TRY(const auto running, open_of(account));
  if (running) {
    return base::usage_error(fmt::format("{} has the case {} already", account, running->id),
                             impl_->path, "retort case show " + running->id);
  }
  Case made;
  made.id = make_id("case_");
  made.account = account;
  made.policy = policy.id;
  made.clause = policy.clause.id;
  made.opened_ms = made.step_ms = impl_->clock().wall_ms();
  made.finding = finding;
  RETORT_TRY_VOID(impl_->write(made));
  RETORT_TRY_VOID(impl_->note(made, "opened", actor));
  RETORT_TRY_VOID(transaction.commit());
  return made;
}

Result<Case> Cases::change(const std::string& id, const std::string& what, const std::string& actor,
                           const Change& change) {
  RETORT_TRY(auto transaction, impl_->book->impl_->begin());
  RETORT_TRY(const Case before, impl_->read(id));
  RETORT_TRY(const auto policy, this->policy(before.policy));
  Case after = before;
  RETORT_TRY_VOID(change(policy, after));
  if (after.appeal.text.size() > kTextMax) {
    return base::usage_error("an appeal has at most 64 KiB of text");
  }
  RETORT_TRY_VOID(check_finding(after.finding));
  RETORT_TRY_VOID(impl_->write(after));
  RETORT_TRY_VOID(impl_->note(after, what, actor));
  RETORT_TRY_VOID(impl_->follow(policy, before, after, actor));
  RETORT_TRY_VOID(transaction.commit());
  return after;
}

Result<void> Cases::update(const std::string& id, int64_t more_requests,
                           const policy::Finding* finding) {
  RETORT_TRY(auto transaction, impl_->book->impl_->begin());
  RETORT_TRY(Case subject, impl_->read(id));
  if (subject.over()) return {};
  subject.step_requests += more_requests;
  if (finding != nullptr) {
    RETORT_TRY_VOID(check_finding(*finding));
    subject.finding = *finding;
  }
  RETORT_TRY_VOID(impl_->write(subject));
  return transaction.commit();
}

}  // namespace retort::accounts
