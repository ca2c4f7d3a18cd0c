// NAME.logprobs, packed and checked (docs/reference/logprobs.md). One thread writes; what was
// parsed is immutable.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "corpus/logprobs.h"

namespace retort::corpus {

inline constexpr size_t kLogprobStringsMax = size_t{1} << 18;

// A value of 0 or less to 16 bits and back; NaN to kLogprobUnknown. Off by at most 1/4096 down to
// -31.999, which also stands for all that is below.
inline constexpr uint16_t kLogprobUnknown = 65'535;
uint16_t logprob_code(float logprob);
float logprob_of(uint16_t code);

// Records in the order of their shard, also those without tokens.
class LogprobWriter {
 public:
  // `key`: the record's, 64 hex digits. Every token has 1 to 255 entries, the chosen one among
  // them.
  void add(std::string_view key, std::span<const TokenLogprobs> tokens);
  // The file's bytes; the writer is done.
  std::string finish();

 private:
  // Its place in the dictionary; -1 when it has none and gets none.
  int64_t place_of(const std::string& bytes);
  void add_token(const TokenLogprobs& token);

  std::unordered_map<std::string, uint32_t> places_;
  std::string lengths_, strings_, records_, blocks_;
  uint32_t record_count_ = 0;
  uint64_t token_count_ = 0;
};

class LogprobFile {
 public:
  // Checks everything that the bytes must fulfil; `where` names them in errors, which are
  // bad_input.
  static Result<std::shared_ptr<const LogprobFile>> parse(std::string bytes,
                                                          const std::string& where);

  int64_t records() const { return static_cast<int64_t>(records_.size()); }
  int64_t tokens() const { return token_count_; }
  int64_t strings() const { return static_cast<int64_t>(starts_.size()) - 1; }
  int64_t tokens_of(int64_t row) const { return record(row).tokens; }
  bool is_of(int64_t row, std::string_view key) const;
  // The first 16 digits of its record's key.
  std::string key_digits(int64_t row) const;
  std::vector<TokenLogprobs> read(int64_t row) const;

 private:
  struct Row {
    uint64_t key = 0;
    size_t begin = 0;  // in bytes_
    uint32_t tokens = 0;
  };
  struct Sizes;

  LogprobFile() = default;
  const Row& record(int64_t row) const;
  // Place in the dictionary of an entry of the token at `token`.
  uint32_t place_at(size_t token, size_t entries, size_t entry) const;
  Result<void> read_all();
  Result<void> read_strings(const Sizes& sizes, size_t at);
  Result<void> read_records(const Sizes& sizes, size_t at);
  Result<void> check_tokens(const Sizes& sizes, size_t at);

  std::string bytes_;
  std::vector<size_t> starts_;  // of the strings in bytes_, and their end
  std::vector<Row> records_;
  int64_t token_count_ = 0;
};

}  // namespace retort::corpus
