#include "detect/prompt.h"

#include <xxhash.h>

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

// A class a byte: 0 between words, 1 a letter (or any byte of UTF-8 beyond ASCII), 2 a digit.
constexpr std::array<uint8_t, 256> kKindOfByte = [] {
  std::array<uint8_t, 256> kinds{};
  for (int c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 128;
    kinds[static_cast<size_t>(c)] = letter ? 1 : (c >= '0' && c <= '9' ? 2 : 0);
  }
  return kinds;
}();

// Words go in one after another; finish() makes what depends on the end of the text.
class Reader {
 public:
  Reader(Prompt& out, uint64_t salt) : out_(out), salt_(salt) {}

  void read(std::string_view text) {
    size_t at = 0;
    while (at < text.size()) {
      while (at < text.size() && kind(text[at]) == 0) ++at;
      const size_t begin = at;
      while (at < text.size() && kind(text[at]) != 0) ++at;
      if (at > begin) word(text.substr(begin, at - begin));
    }
  }

  void finish() {
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
  static uint8_t kind(char c) { return kKindOfByte[static_cast<unsigned char>(c)]; }
  uint32_t key(uint64_t hash) const {
    return static_cast<uint32_t>(base::mix64(hash ^ salt_)) | 1U;
  }

  void word(std::string_view text) {
    uint64_t hash = kFnvBasis;
    uint32_t letters = 0;
    bool number = true;
    for (size_t i = 0; i < text.size(); ++i) {
      auto c = static_cast<unsigned char>(text[i]);
      if (c >= 'A' && c <= 'Z') c = static_cast<unsigned char>(c + 32);
      number = number && kind(text[i]) == 2;
      hash = (hash ^ c) * kFnvPrime;
      if (i < 4) letters |= static_cast<uint32_t>(c) << (24 - 8 * i);
    }
    exact_ = base::mix64(exact_ ^ hash);
    if (number) {
      note_number(text);
      hash = kFnvBasis;  // one number is like another where templates are compared
    }
    place(hash, letters);
    const uint64_t pair = pair_hash(last_, hash);
    last_ = hash;
    out_.asks_reasoning = out_.asks_reasoning || holds(kReasoning, pair);
    out_.asks_data = out_.asks_data || holds(kData, pair);
    if (text.size() < 5 || number) return;
    out_.bag.add(base::mix64(hash ^ salt_));
    if (text.size() > longest_ && !holds(kCommon, hash)) {
      longest_ = text.size();
      out_.topic = hash;
    }
  }

  void place(uint64_t hash, uint32_t letters) {
    const auto small = static_cast<uint16_t>((hash ^ salt_) * kFnvPrime >> 40);
    const auto index = static_cast<size_t>(out_.words);
    if (index < kEdgeWords) {
      out_.head[index] = small;
      out_.letters[index] = letters;
    }
    if (index < kKeyWords) prefix_ = base::mix64(prefix_ ^ small);
    for (size_t i = kEdgeWords - 1; i > 0; --i) out_.tail[i] = out_.tail[i - 1];
    out_.tail[0] = small;
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
