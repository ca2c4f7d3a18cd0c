#include "detect/prompt.h"

#include <xxhash.h>

#include <algorithm>
#include <string>

#include "base/ascii.h"
#include "base/random.h"

namespace retort::detect {
namespace {

constexpr size_t kFrontBytes = 4096, kBackBytes = 1024;
constexpr uint64_t kFnvBasis = 0xcbf29ce484222325ULL, kFnvPrime = 0x100000001b3ULL;

constexpr uint64_t hash_word(std::string_view word) {
  uint64_t hash = kFnvBasis;
  for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return hash;
}

constexpr uint64_t pair_hash(uint64_t first, uint64_t second) {
  return (first ^ (first >> 29)) * 0x9e3779b97f4a7c15ULL + second;
}

constexpr uint64_t phrase(std::string_view first, std::string_view second) {
  return pair_hash(hash_word(first), hash_word(second));
}

// Two words that stand side by side where somebody wants the steps and not the answer alone.
constexpr std::array kReasoning = {phrase("step", "by"),
                                   phrase("chain", "of"),
                                   phrase("your", "reasoning"),
                                   phrase("the", "reasoning"),
                                   phrase("show", "your"),
                                   phrase("thought", "process"),
                                   phrase("internal", "reasoning"),
                                   phrase("reason", "through"),
                                   phrase("work", "through"),
                                   phrase("each", "step"),
                                   phrase("every", "step"),
                                   phrase("think", "aloud"),
                                   phrase("reasoning", "trace"),
                                   phrase("full", "reasoning"),
                                   phrase("full", "derivation"),
                                   phrase("intermediate", "steps"),
                                   phrase("before", "answering"),
                                   phrase("you", "concluded"),
                                   phrase("detailed", "rationale"),
                                   phrase("schritt", "für"),
                                   phrase("étape", "par"),
                                   phrase("paso", "a")};

// ... and where somebody wants material to train or to grade a model with.
constexpr std::array kData = {phrase("training", "data"),
                              phrase("training", "examples"),
                              phrase("training", "example"),
                              phrase("instruction", "and"),
                              phrase("question", "and"),
                              phrase("synthetic", "data"),
                              phrase("grading", "rubric"),
                              phrase("scoring", "rubric"),
                              phrase("a", "rubric"),
                              phrase("diverse", "questions"),
                              phrase("diverse", "instructions"),
                              phrase("instruction", "response"),
                              phrase("question", "answer"),
                              phrase("preference", "pair"),
                              phrase("chosen", "and"),
                              phrase("new", "instructions"),
                              phrase("ideal", "response"),
                              phrase("fine", "tuning"),
                              phrase("this", "response"),
                              phrase("two", "responses")};

// Too common to tell what a text is about.
constexpr std::array kCommon = {
    hash_word("following"), hash_word("sentence"),  hash_word("paragraph"), hash_word("question"),
    hash_word("explain"),   hash_word("describe"),  hash_word("between"),   hash_word("because"),
    hash_word("please"),    hash_word("something"), hash_word("through"),   hash_word("without"),
    hash_word("different"), hash_word("example"),   hash_word("about"),     hash_word("which"),
    hash_word("there"),     hash_word("their"),     hash_word("would"),     hash_word("should"),
    hash_word("could"),     hash_word("write"),     hash_word("answer"),    hash_word("reasoning")};

template <size_t N>
bool holds(const std::array<uint64_t, N>& list, uint64_t hash) {
  for (const uint64_t one : list) {
    if (one == hash) return true;
  }
  return false;
}

// Says of nearly all hashes that are in no list that they are in none, by one bit.
class Sieve {
 public:
  template <size_t N>
  constexpr void add(const std::array<uint64_t, N>& list) {
    for (const uint64_t hash : list) bits_[hash >> 58] |= 1ULL << (hash >> 52 & 63);
  }
  bool passes(uint64_t hash) const { return (bits_[hash >> 58] >> (hash >> 52 & 63) & 1) != 0; }

 private:
  std::array<uint64_t, 64> bits_{};
};

constexpr Sieve kPhraseSieve = [] {
  Sieve sieve;
  sieve.add(kReasoning);
  sieve.add(kData);
  return sieve;
}();
constexpr Sieve kCommonSieve = [] {
  Sieve sieve;
  sieve.add(kCommon);
  return sieve;
}();

// A byte of a word, letters of ASCII in lower case; 0 for what stands between words. All bytes of
// UTF-8 beyond ASCII are letters.
constexpr std::array<uint8_t, 256> kLowered = [] {
  std::array<uint8_t, 256> out{};
  for (int c = 0; c < 256; ++c) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool letter = (c >= 'a' && c <= 'z') || upper || c >= 128 || (c >= '0' && c <= '9');
    if (letter) out[static_cast<size_t>(c)] = static_cast<uint8_t>(upper ? c + ('a' - 'A') : c);
  }
  return out;
}();

// Words go in one after another; finish() makes what depends on the end of the text.
class Reader {
 public:
  Reader(Prompt& out, uint64_t salt) : out_(out), salt_(salt) {}

  void read(std::string_view text) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (true) {
      while (at < end && lowered(*at) == 0) ++at;
      if (at == end) return;
      at = word(at, end);
    }
  }

  void finish() {
    const auto words = static_cast<size_t>(out_.words);
    for (size_t i = 0; i < std::min<size_t>(words, kEdgeWords); ++i) {
      out_.tail[i] = latest_[(words - 1 - i) % kLatest];
    }
    out_.exact = base::mix64(exact_ ^ salt_);
    if (out_.words >= kKeyWords + 2) {
      out_.prefix = key(prefix_);
      uint64_t hash = 1;
      for (int i = 0; i < kKeyWords; ++i) {
        hash = base::mix64(hash ^ out_.tail[static_cast<size_t>(i)]);
      }
      out_.suffix = key(hash ^ 0x5u);
    }
    out_.topic = base::mix64(out_.topic ^ salt_);
  }

 private:
  static constexpr size_t kLatest = 16;
  static_assert(kLatest >= kEdgeWords);

  static uint8_t lowered(char c) { return kLowered[static_cast<unsigned char>(c)]; }
  uint32_t key(uint64_t hash) const {
    return static_cast<uint32_t>(base::mix64(hash ^ salt_)) | 1U;
  }

  // Returns its end.
  const char* word(const char* const begin, const char* const end) {
    uint64_t hash = kFnvBasis;
    const char* at = begin;
    for (; at < end; ++at) {
      const unsigned c = lowered(*at);
      if (c == 0) break;
      hash = (hash ^ c) * kFnvPrime;
    }
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    take(hash, {begin, static_cast<size_t>(at - begin)}, std::all_of(begin, at, is_digit));
    return at;
  }

  void take(uint64_t hash, std::string_view text, bool number) {
    exact_ = base::mix64(exact_ ^ hash);
    if (number) {
      note_number(text);
      hash = kFnvBasis;  // one number is like another where templates are compared
    }
    place(hash, text);
    const uint64_t pair = pair_hash(last_, hash);
    last_ = hash;
    if (kPhraseSieve.passes(pair)) {
      out_.asks_reasoning = out_.asks_reasoning || holds(kReasoning, pair);
      out_.asks_data = out_.asks_data || holds(kData, pair);
    }
    if (text.size() < 5 || number) return;
    out_.bag.add(base::mix64(hash ^ salt_));
    const auto is_common = [hash] { return kCommonSieve.passes(hash) && holds(kCommon, hash); };
    if (text.size() > longest_ && !is_common()) {
      longest_ = text.size();
      out_.topic = hash;
    }
  }

  static uint32_t first_letters(std::string_view text) {
    uint32_t letters = 0;
    for (size_t i = 0; i < std::min<size_t>(text.size(), 4); ++i) {
      letters |= static_cast<uint32_t>(lowered(text[i])) << (24 - 8 * i);
    }
    return letters;
  }

  void place(uint64_t hash, std::string_view text) {
    const auto small = static_cast<uint16_t>((hash ^ salt_) * kFnvPrime >> 40);
    const auto index = static_cast<size_t>(out_.words);
    if (index < kEdgeWords) {
      out_.head[index] = small;
      out_.letters[index] = first_letters(text);
    }
    if (index < kKeyWords) prefix_ = base::mix64(prefix_ ^ small);
    latest_[index % kLatest] = small;
    ++out_.words;
  }

  void note_number(std::string_view text) {
    if (out_.number >= 0 || text.size() > 15) return;
    int64_t value = 0;
    for (const char c : text) value = value * 10 + (c - '0');
    out_.number = value;
  }

  Prompt& out_;
  uint64_t salt_;
  uint64_t exact_ = 7, prefix_ = 11, last_ = 0;
  size_t longest_ = 0;
  std::array<uint16_t, kLatest> latest_{};  // words' hashes, the last ones
};

}  // namespace

Prompt analyse(std::string_view text, uint64_t salt) {
  Prompt out;
  Reader reader(out, salt);
  if (text.size() <= kFrontBytes + kBackBytes) {
    reader.read(text);
  } else {
    reader.read(text.substr(0, kFrontBytes));
    reader.read(text.substr(text.size() - kBackBytes));
  }
  reader.finish();
  return out;
}

uint64_t hash_text(std::string_view text, uint64_t salt) {
  const auto part = base::trimmed(text, " \t\r\n");
  const uint64_t hash = XXH3_64bits_withSeed(part.data(), part.size(), salt);
  return hash == 0 ? 1 : hash;
}

}  // namespace retort::detect
