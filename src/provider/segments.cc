#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/files.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "provider/segments_internal.h"

namespace retort::provider {
namespace {

Error failed(const char* what, const std::string& path) {
  return base::storage_error(fmt::format("{}: {}", what, std::strerror(errno)), path,
                             "see that the disk has room and the folder can be written");
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

Result<OpenSegment> OpenSegment::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return failed("a segment cannot be written", path);
  OpenSegment out(path, fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return failed("another process writes it", path);
  return out;
}

OpenSegment::OpenSegment(OpenSegment&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

OpenSegment::~OpenSegment() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> OpenSegment::write(const std::string& line) {
  return base::write_all(fd_, line, path_);
}

Result<void> OpenSegment::sync() {
  return ::fsync(fd_) == 0 ? Result<void>() : failed("fsync", path_);
}

std::string segment_path(const std::string& folder, const std::string& digest) {
  return base::join(folder, digest + ".jsonl");
}

Result<std::unique_ptr<Segments>> Segments::open(const Options& options, ledger::Ledger& log) {
  std::unique_ptr<Segments> out(new Segments(options, log));
  RETORT_TRY_VOID(base::make_directories(options.folder));
  RETORT_TRY_VOID(out->seal_leftovers());
  RETORT_TRY_VOID(out->begin());
  return out;
}

Result<void> Segments::begin() {
  std::array<char, 8> bits{};
  base::secure_random(bits.data(), bits.size());
  const std::string name =
      fmt::format("open-{}.jsonl", crypto::to_hex(std::string_view(bits.data(), bits.size())));
  RETORT_TRY(auto made, OpenSegment::create(base::join(options_.folder, name)));
  segment_.emplace(std::move(made));
  bytes_ = 0;
  began_ms_ = 0;
  return {};
}

void Line::key(std::string_view key) {
  out_ += std::exchange(first_, false) ? "{\"" : ",\"";
  out_ += key;
  out_ += "\":";
}

Line& Line::text(std::string_view key, std::string_view value) {
  this->key(key);
  json::append_quoted(out_, value);
  return *this;
}

Line& Line::digits(std::string_view key, std::string_view hexadecimal) {
  this->key(key);
  out_.append("\"").append(hexadecimal).append("\"");
  return *this;
}

Line& Line::number(std::string_view key, int64_t value) {
  this->key(key);
  std::array<char, 24> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out_.append(digits.data(), end);
  return *this;
}

void Line::end() {
  out_ += "}\n";
}

int64_t Segments::age_ms() const {
  return bytes_ == 0 ? 0 : options_.clock->monotonic_ms() - began_ms_;
}

Line Segments::begin_line() {
  return Line(waiting_);
}

void Segments::write(const json::Value& line) {
  waiting_ += json::dump(line);
  waiting_ += '\n';
}

Result<void> Segments::flush() {
  if (waiting_.empty()) return {};
  if (bytes_ == 0) began_ms_ = options_.clock->monotonic_ms();
  bytes_ += std::ssize(waiting_);
  auto done = segment_->write(waiting_);
  constexpr size_t kKeptBytes = 256 << 10;  // more only after an unusual turn
  if (waiting_.capacity() > kKeptBytes) waiting_ = {};
  waiting_.clear();
  return done;
}

Result<void> Segments::cut() {
  RETORT_TRY_VOID(flush());
  if (bytes_ == 0) return {};
  RETORT_TRY_VOID(segment_->sync());
  const std::string path = segment_->path();
  RETORT_TRY_VOID(begin());
  cut_.push_back(path);
  return {};
}

Result<int64_t> Segments::seal() {
  int64_t sealed = 0;
  for (; !cut_.empty(); ++sealed) {
    RETORT_TRY_VOID(seal_file(cut_.back()));
    cut_.pop_back();
  }
  return sealed;
}

// Synced under its final name before the log speaks of it.
Result<void> Segments::seal_file(const std::string& path) {
  RETORT_TRY(auto read, base::read_file(path));
  const std::string content = whole_lines(std::move(read));
  if (!content.empty()) {
    const std::string digest = crypto::sha256_hex(content);
    RETORT_TRY_VOID(base::write_file_atomic(segment_path(options_.folder, digest), content));
    RETORT_TRY_VOID(log_.append(options_.kind, digest,
                                json::Value::object({{"schema", options_.schema},
                                                     {"lines", count_lines(content)},
                                                     {"bytes", std::ssize(content)}})));
  }
  if (::unlink(path.c_str()) != 0) return failed("a sealed segment cannot be removed", path);
  return {};
}

// Of processes that are gone; one that lives holds its file.
Result<void> Segments::seal_leftovers() {
  RETORT_TRY(const auto names, base::list_directory(options_.folder));
  for (const auto& name : names) {
    if (!name.starts_with("open-")) continue;
    const std::string path = base::join(options_.folder, name);
    const auto held = OpenSegment::create(path);
    if (held) RETORT_TRY_VOID(seal_file(path));
  }
  return {};
}

std::string log_folder(const std::string& accounts_folder) {
  return base::join(accounts_folder, "log");
}

Result<std::string> segment_content(const std::string& folder, const char* what,
                                    const ledger::Entry& entry) {
  const std::string path = segment_path(folder, entry.name);
  auto content = base::read_file(path);
  if (!content) {
    return base::bad_input(
        fmt::format("a segment of the {} that the log has as its entry {} is gone", what,
                    entry.index),
        path, "restore it from a backup");
  }
  if (crypto::sha256_hex(*content) != entry.name) {
    return base::bad_input(
        fmt::format("a segment of the {} is not what the log has as its entry {}", what,
                    entry.index),
        path, "it was changed after it was sealed");
  }
  return content;
}

Result<int64_t> read_segment(const std::string& folder, const char* what,
                             const ledger::Entry& entry, const UseLine& use) {
  RETORT_TRY(const std::string content, segment_content(folder, what, entry));
  const std::string path = segment_path(folder, entry.name);
  int64_t lines = 0;
  for (size_t at = 0; at < content.size(); ++lines) {
    const size_t end = content.find('\n', at);
    RETORT_TRY(const auto line, json::parse(std::string_view(content).substr(at, end - at), path));
    RETORT_TRY_VOID(use(line));
    at = end + 1;
  }
  return lines;
}

}  // namespace retort::provider
