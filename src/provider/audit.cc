#include "provider/audit.h"

#include <map>

#include "accounts/book.h"
#include "accounts/cases.h"
#include "base/files.h"
#include "base/log.h"
#include "http/server.h"
#include "ledger/ledger.h"
#include "provider/audit_internal.h"
#include "provider/segments_internal.h"

namespace retort::provider {
namespace {

constexpr int64_t kSegmentMs = 60'000;
constexpr int64_t kSegmentBytes = int64_t{4} << 20;  // sealed in one piece, beside the requests
constexpr int64_t kRowsAtOnce = 1000;
constexpr const char* kSchema = "retort.audit/1";

void write(Line line, const Served& served) {
  line.text("kind", "request")
      .number("time_ms", served.time_ms)
      .text("request", served.request)
      .text("account", served.account)
      .text("key", served.key)
      .text("route", served.route)
      .text("model", served.model)
      .text("outcome", served.outcome)
      .number("input_tokens", served.input_tokens)
      .number("output_tokens", served.output_tokens)
      .text("case", served.case_id)
      .text("step", served.step)
      .end();
}

json::Value line_of(const accounts::Book::Numbered& one) {
  return json::Value::object({{"kind", "account"},
                              {"row", one.row},
                              {"time_ms", one.change.time_ms},
                              {"account", one.account},
                              {"actor", one.change.actor},
                              {"subject", one.change.subject},
                              {"what", one.change.what},
                              {"before", one.change.before},
                              {"after", one.change.after}});
}

json::Value line_of(const accounts::Cases::Numbered& one) {
  return json::Value::object({{"kind", "case"},
                              {"row", one.row},
                              {"time_ms", one.event.time_ms},
                              {"case", one.case_id},
                              {"actor", one.event.actor},
                              {"what", one.event.what},
                              {"step", policy::name(one.event.step)},
                              {"status", policy::name(one.event.status)},
                              {"reason", one.event.reason}});
}

}  // namespace

struct Audit::Impl {
  std::string folder;
  base::Clock* clock = nullptr;
  std::unique_ptr<ledger::Ledger> log;
  std::unique_ptr<accounts::Book> book;
  std::unique_ptr<accounts::Cases> cases;
  int64_t changes_row = 0, events_row = 0;  // followed up to

  std::mutex mutex;  // of what follows
  std::unique_ptr<Segments> segments;
  bool told = false;                        // that it cannot be written
  std::map<std::string, int64_t> nameless;  // by outcome, since the last lines of them
  int64_t nameless_since_ms = 0;

  Result<bool> follow();
  Result<void> write_nameless();
  std::string marks_path() const { return base::join(audit_folder(folder), "followed.json"); }
  Result<void> read_marks();
  Result<void> write_marks();
};

Audit::Audit(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Audit::~Audit() = default;

Result<std::unique_ptr<Audit>> Audit::open(const std::string& folder, const std::string& book,
                                           base::Clock* clock) {
  auto impl = std::make_unique<Impl>();
  impl->folder = folder;
  impl->clock = clock;
  RETORT_TRY(impl->log, ledger::Ledger::open(log_folder(folder), {.clock = clock}));
  RETORT_TRY(impl->book, accounts::Book::open(book, {.create = false, .clock = clock}));
  RETORT_TRY(impl->cases, accounts::Cases::open(book, {.create = false, .clock = clock}));
  RETORT_TRY(impl->segments, Segments::open({.folder = audit_folder(folder),
                                             .what = kAuditKind,
                                             .kind = kAuditKind,
                                             .schema = kSchema,
                                             .clock = clock},
                                            *impl->log));
  RETORT_TRY_VOID(impl->read_marks());
  return std::unique_ptr<Audit>(new Audit(std::move(impl)));
}

void Audit::add(const Served& served) {
  {
    const std::lock_guard lock(impl_->mutex);
    write(impl_->segments->begin_line(), served);
  }
  if (!http::before_answers_leave(this, [this] { flush(); })) flush();
}

void Audit::flush() {
  const std::lock_guard lock(impl_->mutex);
  const auto written = impl_->segments->flush();
  if (written || std::exchange(impl_->told, true)) return;
  base::log_error("provider: {}", written.error().text());
}

void Audit::count_nameless(const std::string& outcome) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->nameless.empty()) impl_->nameless_since_ms = impl_->clock->wall_ms();
  ++impl_->nameless[outcome];
}

// With the mutex held.
Result<void> Audit::Impl::write_nameless() {
  for (const auto& [outcome, requests] : nameless) {
    segments->begin_line()
        .text("kind", "nameless")
        .number("time_ms", nameless_since_ms)
        .number("until_ms", clock->wall_ms())
        .text("outcome", outcome)
        .number("requests", requests)
        .end();
  }
  nameless.clear();
  return segments->flush();
}

Result<void> Audit::Impl::read_marks() {
  if (!base::exists(marks_path())) return {};
  RETORT_TRY(const auto text, base::read_file(marks_path(), 4096));
  RETORT_TRY(const auto marks, json::parse(text, marks_path()));
  RETORT_TRY(changes_row, marks.int_at("changes"));
  RETORT_TRY(events_row, marks.int_at("events"));
  return {};
}

Result<void> Audit::Impl::write_marks() {
  return base::write_file_atomic(
      marks_path(),
      json::dump(json::Value::object({{"changes", changes_row}, {"events", events_row}})));
}

// True: something was new.
Result<bool> Audit::Impl::follow() {
  RETORT_TRY(const auto changes, book->changes_after(changes_row, kRowsAtOnce));
  RETORT_TRY(const auto events, cases->events_after(events_row, kRowsAtOnce));
  const std::lock_guard lock(mutex);
  for (const auto& one : changes) {
    segments->write(line_of(one));
    RETORT_TRY_VOID(segments->flush());
    changes_row = one.row;
  }
  for (const auto& one : events) {
    segments->write(line_of(one));
    RETORT_TRY_VOID(segments->flush());
    events_row = one.row;
  }
  return !changes.empty() || !events.empty();
}

Result<void> Audit::work() {
  RETORT_TRY(const bool changed, impl_->follow());
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->nameless.empty() &&
        impl_->clock->wall_ms() - impl_->nameless_since_ms >= kSegmentMs) {
      RETORT_TRY_VOID(impl_->write_nameless());
    }
    const bool old = impl_->segments->age_ms() >= kSegmentMs;
    if (!changed && !old && impl_->segments->bytes() < kSegmentBytes) return {};
  }
  return seal();
}

Result<void> Audit::seal() {
  {
    const std::lock_guard lock(impl_->mutex);
    RETORT_TRY_VOID(impl_->write_nameless());
    RETORT_TRY_VOID(impl_->segments->cut());
  }
  RETORT_TRY(const int64_t sealed, impl_->segments->seal());
  return sealed > 0 ? impl_->write_marks() : Result<void>();
}

Result<AuditCount> read_audit(const std::string& folder, const UseLine& use) {
  if (!base::exists(log_folder(folder))) {
    return base::not_found("nothing was audited here yet", folder,
                           "retort serve --accounts " + folder + " begins it");
  }
  RETORT_TRY(auto log, ledger::Ledger::open(log_folder(folder), {.create = false}));
  RETORT_TRY_VOID(log->verify());
  AuditCount count;
  const auto read = log->for_each(kAuditKind, [&](const ledger::Entry& entry) -> Result<void> {
    RETORT_TRY(const int64_t lines, read_segment(audit_folder(folder), kAuditKind, entry, use));
    ++count.segments;
    count.lines += lines;
    return {};
  });
  RETORT_TRY_VOID(read);
  return count;
}

}  // namespace retort::provider
