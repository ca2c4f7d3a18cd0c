// Lines of JSON in files whose digests stand in a log. A line is with the system once it is
// flushed, which is what answers wait for (http::before_answers_leave): one write for all of a
// turn. A sealed segment is synced under its digest's name, then logged as an entry of its kind.
// Segments that a killed process left are sealed by the next one, whole lines alone.
//
// Threads: begin_line, write, flush, bytes, age_ms and cut under the owner's lock; cut and seal on
// one thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"
#include "ledger/ledger.h"

namespace retort::provider {

// A segment under way: held by its process as long as that lives.
class OpenSegment {
 public:
  static Result<OpenSegment> create(const std::string& path);
  OpenSegment(OpenSegment&& other) noexcept;
  OpenSegment& operator=(OpenSegment&&) = delete;
  ~OpenSegment();
  Result<void> write(const std::string& line);
  Result<void> sync();
  const std::string& path() const { return path_; }

 private:
  OpenSegment(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

// Makes one line: what json::dump() prints of an object with these members, without making one.
// Keys are words of the program's own, which need no quoting.
class Line {
 public:
  explicit Line(std::string& out) : out_(out) {}
  Line& text(std::string_view key, std::string_view value);
  Line& digits(std::string_view key, std::string_view hexadecimal);
  Line& number(std::string_view key, int64_t value);
  void end();

 private:
  void key(std::string_view key);
  std::string& out_;
  bool first_ = true;
};

class Segments {
 public:
  struct Options {
    std::string folder;  // of the segments
    const char* what;    // "audit", as errors name it
    const char* kind;    // of entries in the log
    const char* schema;
    base::Clock* clock;
  };
  // Seals what an earlier process left. The log outlives it.
  static Result<std::unique_ptr<Segments>> open(const Options& options, ledger::Ledger& log);

  // Waits for flush(). What cannot be written then is lost.
  Line begin_line();
  void write(const json::Value& line);
  Result<void> flush();
  int64_t bytes() const { return bytes_; }  // of the segment under way
  int64_t age_ms() const;                   // of its first line; 0 while it is empty

  // Flushes and begins another segment, unless nothing was written yet.
  Result<void> cut();
  // Of what was cut; the number of segments. What cannot be sealed now is tried again next time.
  Result<int64_t> seal();

 private:
  Segments(const Options& options, ledger::Ledger& log) : options_(options), log_(log) {}
  Result<void> begin();
  Result<void> seal_file(const std::string& path);
  Result<void> seal_leftovers();

  Options options_;
  ledger::Ledger& log_;
  std::optional<OpenSegment> segment_;
  std::vector<std::string> cut_;  // to be sealed
  std::string waiting_;           // whole lines
  int64_t began_ms_ = 0;
  int64_t bytes_ = 0;  // written
};

// The log that the segments of a folder of accounts stand in.
std::string log_folder(const std::string& accounts_folder);

// The bytes of a sealed segment, held against the log's entry: bad_input where it is gone or
// changed.
Result<std::string> segment_content(const std::string& folder, const char* what,
                                    const ledger::Entry& entry);
using UseLine = std::function<Result<void>(const json::Value&)>;
// Shows each line of it; returns how many there were.
Result<int64_t> read_segment(const std::string& folder, const char* what,
                             const ledger::Entry& entry, const UseLine& use);
std::string segment_path(const std::string& folder, const std::string& digest);

}  // namespace retort::provider
