#include "provider/audit.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "accounts/book.h"
#include "accounts/cases.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "ledger/ledger.h"

namespace retort::provider {
namespace {

constexpr int64_t kSegmentMs = 60'000;
constexpr int64_t kSegmentBytes = int64_t{64} << 20;
constexpr int64_t kRowsAtOnce = 1000;
constexpr const char* kKind = "audit";
constexpr const char* kSchema = "retort.audit/1";

std::string audit_folder(const std::string& folder) {
  return base::join(folder, "audit");
}
std::string log_folder(const std::string& folder) {
  return base::join(folder, "log");
}

Error failed(const char* what, const std::string& path) {
  return base::storage_error(fmt::format("{}: {}", what, std::strerror(errno)), path,
                             "see that the disk has room and the folder can be written");
}

// A segment under way: held by its process as long as that lives.
class OpenSegment {
 public:
  static Result<OpenSegment> create(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return failed("the audit cannot be written", path);
    OpenSegment out(path, fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return failed("another process writes it", path);
    return out;
  }
  OpenSegment(OpenSegment&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  OpenSegment& operator=(OpenSegment&&) = delete;
  ~OpenSegment() {
    if (fd_ >= 0) ::close(fd_);
  }
  Result<void> write(const std::string& line) {
    size_t done = 0;
    while (done < line.size()) {
      const ssize_t wrote = ::write(fd_, line.data() + done, line.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return failed("the audit cannot be written", path_);
      done += static_cast<size_t>(wrote);
    }
    return {};
  }
  Result<void> sync() { return ::fsync(fd_) == 0 ? Result<void>() : failed("fsync", path_); }
  const std::string& path() const { return path_; }

 private:
  OpenSegment(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

json::Value line_of(const Served& served) {
  return json::Value::object({{"kind", "request"},
                              {"time_ms", served.time_ms},
                              {"request", served.request},
                              {"account", served.account},
                              {"key", served.key},
                              {"model", served.model},
                              {"outcome", served.outcome},
                              {"input_tokens", served.input_tokens},
                              {"output_tokens", served.output_tokens},
                              {"case", served.case_id},
                              {"step", served.step}});
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

// Whole lines alone: the last one of a process that was killed may be cut off.
std::string whole_lines(std::string content) {
  content.resize(content.rfind('\n') == std::string::npos ? 0 : content.rfind('\n') + 1);
  return content;
}

int64_t count_lines(const std::string& content) {
  return std::count(content.begin(), content.end(), '\n');
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
  std::optional<OpenSegment> segment;
  int64_t began_ms = 0;  // of the segment's first line
  int64_t bytes = 0;
  bool told = false;  // that it cannot be written

  Result<void> begin();
  Result<void> write(const json::Value& line);
  Result<void> seal_file(const std::string& path);
  Result<void> seal_leftovers();
  Result<bool> follow();
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
  RETORT_TRY_VOID(base::make_directories(audit_folder(folder)));
  RETORT_TRY(impl->log, ledger::Ledger::open(log_folder(folder), {.clock = clock}));
  RETORT_TRY(impl->book, accounts::Book::open(book, {.create = false, .clock = clock}));
  RETORT_TRY(impl->cases, accounts::Cases::open(book, {.create = false, .clock = clock}));
  RETORT_TRY_VOID(impl->read_marks());
  RETORT_TRY_VOID(impl->seal_leftovers());
  RETORT_TRY_VOID(impl->begin());
  return std::unique_ptr<Audit>(new Audit(std::move(impl)));
}

Result<void> Audit::Impl::begin() {
  std::array<char, 8> bits{};
  base::secure_random(bits.data(), bits.size());
  const std::string name =
      fmt::format("open-{}.jsonl", crypto::to_hex(std::string_view(bits.data(), bits.size())));
  RETORT_TRY(auto made, OpenSegment::create(base::join(audit_folder(folder), name)));
  segment.emplace(std::move(made));
  bytes = 0;
  began_ms = 0;
  return {};
}

Result<void> Audit::Impl::write(const json::Value& line) {
  const std::string text = json::dump(line) + "\n";
  if (bytes == 0) began_ms = clock->monotonic_ms();
  bytes += std::ssize(text);
  return segment->write(text);
}

void Audit::add(const Served& served) {
  const auto line = line_of(served);
  const std::lock_guard lock(impl_->mutex);
  const auto written = impl_->write(line);
  if (written || std::exchange(impl_->told, true)) return;
  base::log_error("provider: {}", written.error().text());
}

// Synced under its final name before the log speaks of it.
Result<void> Audit::Impl::seal_file(const std::string& path) {
  RETORT_TRY(auto read, base::read_file(path));
  const std::string content = whole_lines(std::move(read));
  if (!content.empty()) {
    const std::string digest = crypto::sha256_hex(content);
    RETORT_TRY_VOID(
        base::write_file_atomic(base::join(audit_folder(folder), digest + ".jsonl"), content));
    RETORT_TRY_VOID(log->append(kKind, digest,
                                json::Value::object({{"schema", kSchema},
                                                     {"lines", count_lines(content)},
                                                     {"bytes", std::ssize(content)}})));
  }
  if (::unlink(path.c_str()) != 0) return failed("a sealed segment cannot be removed", path);
  return {};
}

// Of processes that are gone; one that lives holds its file.
Result<void> Audit::Impl::seal_leftovers() {
  RETORT_TRY(const auto names, base::list_directory(audit_folder(folder)));
  for (const auto& name : names) {
    if (!name.starts_with("open-")) continue;
    const std::string path = base::join(audit_folder(folder), name);
    const auto held = OpenSegment::create(path);
    if (held) RETORT_TRY_VOID(seal_file(path));
  }
  return {};
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
    RETORT_TRY_VOID(write(line_of(one)));
    changes_row = one.row;
  }
  for (const auto& one : events) {
    RETORT_TRY_VOID(write(line_of(one)));
    events_row = one.row;
  }
  return !changes.empty() || !events.empty();
}

Result<void> Audit::work() {
  RETORT_TRY(const bool changed, impl_->follow());
  {
    const std::lock_guard lock(impl_->mutex);
    const bool old =
        impl_->bytes > 0 && impl_->clock->monotonic_ms() - impl_->began_ms >= kSegmentMs;
    if (!changed && !old && impl_->bytes < kSegmentBytes) return {};
  }
  return seal();
}

Result<void> Audit::seal() {
  std::string path;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->bytes == 0) return {};
    RETORT_TRY_VOID(impl_->segment->sync());
    path = impl_->segment->path();
    impl_->segment.reset();
    RETORT_TRY_VOID(impl_->begin());
  }
  RETORT_TRY_VOID(impl_->seal_file(path));
  return impl_->write_marks();
}

namespace {

using UseLine = std::function<Result<void>(const json::Value&)>;

// Returns how many lines there were.
Result<int64_t> read_segment(const std::string& path, const ledger::Entry& entry,
                             const UseLine& use) {
  const auto content = base::read_file(path);
  if (!content) {
    return base::bad_input(
        fmt::format("a segment of the audit that the log has as its entry {} is gone", entry.index),
        path, "restore it from a backup");
  }
  if (crypto::sha256_hex(*content) != entry.name) {
    return base::bad_input(
        fmt::format("a segment of the audit is not what the log has as its entry {}", entry.index),
        path, "it was changed after it was sealed");
  }
  int64_t lines = 0;
  for (size_t at = 0; at < content->size(); ++lines) {
    const size_t end = content->find('\n', at);
    RETORT_TRY(const auto line, json::parse(std::string_view(*content).substr(at, end - at), path));
    RETORT_TRY_VOID(use(line));
    at = end + 1;
  }
  return lines;
}

}  // namespace

Result<AuditCount> read_audit(const std::string& folder, const UseLine& use) {
  if (!base::exists(log_folder(folder))) {
    return base::not_found("nothing was audited here yet", folder,
                           "retort serve --accounts " + folder + " begins it");
  }
  RETORT_TRY(auto log, ledger::Ledger::open(log_folder(folder), {.create = false}));
  RETORT_TRY_VOID(log->verify());
  AuditCount count;
  const auto read = log->for_each(kKind, [&](const ledger::Entry& entry) -> Result<void> {
    const std::string path = base::join(audit_folder(folder), entry.name + ".jsonl");
    RETORT_TRY(const int64_t lines, read_segment(path, entry, use));
    ++count.segments;
    count.lines += lines;
    return {};
  });
  RETORT_TRY_VOID(read);
  return count;
}

}  // namespace retort::provider
