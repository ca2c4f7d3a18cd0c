// Reading a table of a closed vocabulary: every key and word that it does not know is refused, with
// the nearest known one named. For files that people sign. A value of one thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace retort::json {

// 64 lower-case hexadecimal digits.
bool is_sha256(std::string_view text);

// One table of a file. Each getter notes that the key is known; finish() refuses the others.
class Table {
 public:
  // `value` may be nullptr: an absent table has no keys. `place` is "FILE: [time]".
  Table(const Value* value, std::string place);

  std::string text(std::string_view key);
  std::string required(std::string_view key);
  int64_t integer(std::string_view key, int64_t otherwise = 0);  // of 0 or more
  double number(std::string_view key, double otherwise);         // of 0 or more, finite
  bool boolean(std::string_view key);
  std::vector<std::string> texts(std::string_view key);
  // A date as "2026-08-14", or "".
  std::string date(std::string_view key);
  // A SHA-256 in hex, or "".
  std::string digest(std::string_view key);
  // One word of a closed list; the index of `otherwise` when the key is absent (npos: it must not
  // be).
  size_t word(std::string_view key, const std::vector<std::string_view>& words, size_t otherwise);
  // A key that is read elsewhere.
  void known(std::string_view key) { known_.emplace_back(key); }

  void fail(std::string message, std::string_view key = "");
  // The first fault, or that of an unknown key.
  Result<void> finish();

 private:
  const Value* find(std::string_view key);

  const Value* value_;
  std::string place_;
  std::vector<std::string> known_;
  Result<void> state_;
};

}  // namespace retort::json
