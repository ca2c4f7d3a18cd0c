// What a teacher thought of the tokens of its answer: a value type for the way in (Gathering) and
// out (Cleared), and a handle to those that are kept packed. docs/reference/logprobs.md has the
// bytes. Values are natural logarithms. Reading is safe from any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace retort::corpus {

inline constexpr int64_t kLogprobEntriesMax = 255;      // of one token
inline constexpr int64_t kLogprobStringBytesMax = 255;  // of one token's bytes

// One token of an answer and what was likely in its place.
struct TokenLogprobs {
  struct Entry {
    std::string bytes{};  // of the token; a special one's spelling
    float logprob = 0;    // 0 or less; NaN: not known
  };
  std::vector<Entry> entries{};  // at least one; likeliest first, save the token taken, which
                                 // stands at the end where it is not among the likeliest
  int64_t chosen = 0;            // the token taken, in `entries`
  float tail = 0;                // mass of all tokens that are not in `entries`
};

class LogprobFile;

// Those of one record, packed, as they lie in a file that was checked. Empty: there are none.
class KeptLogprobs {
 public:
  KeptLogprobs() = default;
  KeptLogprobs(std::shared_ptr<const LogprobFile> file, int64_t row);

  int64_t size() const;  // tokens
  std::vector<TokenLogprobs> read() const;

 private:
  std::shared_ptr<const LogprobFile> file_;
  int64_t row_ = 0;
};

}  // namespace retort::corpus
