// What is kept of served answers so that a text that turns up elsewhere, in a data set or out of a
// rival's model, can be told to be one of them: no text, but hashes of some of its runs of words.
//
// An answer's words (letters and digits, ASCII in lower case); of every run of kRunWords words a
// hash under a secret of the folder; of these the ones that are 0 modulo kEvery, at most kHashesMax
// (sampling by value: Manber, "Finding similar files in a large file system", 1994). So what is
// kept of a passage does not depend on what stands around it, and whoever has the file but not the
// secret cannot look for a text in it. Answers of fewer than kRunWords words prove nothing and are
// left out.
//
//   accounts/sketches/secret           192 random bytes; its SHA-256 is logged as `sketch-secret`
//   accounts/sketches/DIGEST.jsonl     sealed a segment an hour, logged as `sketch`
//
// A segment older than the policy's days is removed, which is logged as `sketch-removed`.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace retort::provider {

constexpr int64_t kRunWords = 8;
constexpr uint64_t kEvery = 8;
constexpr size_t kHashesFewest = 4;  // of a short answer, whatever they are modulo kEvery
constexpr size_t kHashesMax = 32;

struct Sketched {
  int64_t time_ms = 0;  // when it was asked
  std::string_view request{}, account{}, model{}, answer{};
};

class Sketches {
 public:
  static Result<std::unique_ptr<Sketches>> open(const std::string& folder, base::Clock* clock);
  ~Sketches();
  Sketches(const Sketches&) = delete;
  Sketches& operator=(const Sketches&) = delete;

  // From any thread; some microseconds. The system has its line before an answer leaves that the
  // same thread makes afterwards (http::before_answers_leave).
  void add(const Sketched& one);
  // Seals what is an hour old, removes what is older than so many days. One thread at a time.
  Result<void> work(int64_t keep_days);
  Result<void> seal();

 private:
  struct Impl;
  void flush();
  explicit Sketches(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// How many of an account's answers were found in somebody's texts. An answer counts as found when
// at least half of its hashes and three of them are there.
struct Matched {
  std::string account;
  int64_t answers = 0;  // that are kept of it
  int64_t found = 0;
  int64_t found_alone = 0;              // of these, the ones whose like no other account was given
  int64_t first_ms = 0, last_ms = 0;    // of what was found
  std::vector<std::string> requests{};  // of what was found, at most kRequestsShown
};
constexpr size_t kRequestsShown = 20;

// Calls what it is given with each text, one after the other.
using Texts = std::function<Result<void>(const std::function<void(std::string_view)>&)>;
// By account, those with most found first. Verifies the log and every segment; takes 8 bytes of
// memory a word of the texts. not_found where nothing is kept.
Result<std::vector<Matched>> match_sketches(const std::string& folder, const Texts& texts);

}  // namespace retort::provider
