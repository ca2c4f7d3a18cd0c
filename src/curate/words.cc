#include "curate/words.h"

#include <algorithm>
#include <array>

#include "base/random.h"

namespace retort::curate {
namespace {

constexpr Word kMark = 0x9d5f0c1e7ab34682ULL;
constexpr uint64_t kStart = 0xcbf29ce484222325ULL;  // FNV-1a (Fowler, Noll, Vo)
constexpr uint64_t kPrime = 0x100000001b3ULL;

// What a byte does: 0 ends a word, 1 vanishes, else the byte that is hashed.
constexpr std::array<uint8_t, 256> make_classes() {
  std::array<uint8_t, 256> out{};
  for (int c = 0; c < 256; ++c) {
    const auto byte = static_cast<uint8_t>(c);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80) out[c] = byte;
    if (c >= 'A' && c <= 'Z') out[c] = static_cast<uint8_t>(c - 'A' + 'a');
  }
  out['\''] = 1;
  return out;
}
constexpr auto kClasses = make_classes();

// The bytes of a character of a script without spaces at `at`, or 0. Three-byte UTF-8 from U+2E80
// to U+9FFF and U+AC00 to U+D7A3; four-byte from U+20000 to U+3FFFF.
size_t ideograph_bytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned first = byte(0);
  if (first >= 0xe2 && first <= 0xed && at + 2 < text.size()) {
    const unsigned code = (first & 15U) << 12 | (byte(1) & 63U) << 6 | (byte(2) & 63U);
    const bool han_or_kana = code >= 0x2e80 && code <= 0x9fff;
    return han_or_kana || (code >= 0xac00 && code <= 0xd7a3) ? 3 : 0;
  }
  if (first == 0xf0 && at + 3 < text.size() && byte(1) >= 0xa0) return 4;
  return 0;
}

// U+2018 and U+2019, the apostrophes that editors make; and U+2010 to U+2027 in general are
// punctuation: e2 80 xx.
bool is_general_punctuation(std::string_view text, size_t at) {
  return at + 2 < text.size() && static_cast<unsigned char>(text[at]) == 0xe2 &&
         static_cast<unsigned char>(text[at + 1]) == 0x80;
}

bool is_curly_apostrophe(std::string_view text, size_t at) {
  const auto last = static_cast<unsigned char>(text[at + 2]);
  return last == 0x98 || last == 0x99;
}

uint32_t mix_to_32(uint64_t value) {
  return static_cast<uint32_t>(base::mix64(value) >> 32);
}

bool matches_at(const Words& text, size_t at, const Words& phrase, const Words& endings) {
  if (phrase.empty() || at + phrase.size() > text.size()) return false;
  for (size_t i = 0; i + 1 < phrase.size(); ++i) {
    if (text[at + i] != phrase[i]) return false;
  }
  const Word last = text[at + phrase.size() - 1];
  return last == phrase.back() || std::find(endings.begin(), endings.end(), last) != endings.end();
}

struct Phrase {
  Words words;
  Words endings;  // the last word's plurals
};

std::vector<Phrase> prepare(const std::vector<std::string>& phrases) {
  std::vector<Phrase> out;
  for (const auto& text : phrases) {
    Phrase phrase;
    phrase.words = words_of(text);
    if (phrase.words.empty()) continue;
    for (const char* ending : {"s", "es"}) {
      phrase.endings.push_back(words_of(text + ending).back());
    }
    out.push_back(std::move(phrase));
  }
  std::stable_sort(out.begin(), out.end(), [](const Phrase& a, const Phrase& b) {
    return a.words.size() > b.words.size();
  });
  return out;
}

}  // namespace

Words words_of(std::string_view text) {
  Words out;
  out.reserve(text.size() / 5 + 1);
  uint64_t hash = kStart;
  const auto end_word = [&] {
    if (hash != kStart) out.push_back(hash);
    hash = kStart;
  };
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0xe2) {
      if (is_general_punctuation(text, at)) {
        if (!is_curly_apostrophe(text, at)) end_word();
        at += 3;
        continue;
      }
      if (const size_t size = ideograph_bytes(text, at); size > 0) {
        end_word();
        for (size_t i = 0; i < size; ++i) {
          hash = (hash ^ static_cast<unsigned char>(text[at + i])) * kPrime;
        }
        end_word();
        at += size;
        continue;
      }
    }
    const uint8_t kind = kClasses[byte];
    if (kind == 0) {
      end_word();
    } else if (kind != 1) {
      hash = (hash ^ kind) * kPrime;
    }
    ++at;
  }
  end_word();
  return out;
}

Words masked(std::string_view text, const std::vector<std::string>& phrases) {
  const Words words = words_of(text);
  const auto prepared = prepare(phrases);
  if (prepared.empty()) return words;
  Words out;
  out.reserve(words.size());
  for (size_t at = 0; at < words.size();) {
    const auto found = std::find_if(prepared.begin(), prepared.end(), [&](const Phrase& phrase) {
      return matches_at(words, at, phrase.words, phrase.endings);
    });
    out.push_back(found == prepared.end() ? words[at] : kMark);
    at += found == prepared.end() ? 1 : found->words.size();
  }
  return out;
}

Fingerprint fingerprint(const Words& words, uint64_t salt) {
  Fingerprint out{base::mix64(salt + 1), base::mix64(~salt)};
  for (const Word word : words) {
    out.high = base::mix64(out.high ^ word);
    out.low = base::mix64(out.low + word * kPrime);
  }
  return out;
}

Shingles shingles_of(const Words& words, int length) {
  const auto run = static_cast<size_t>(length);
  Shingles out;
  if (words.empty()) return out;
  const size_t count = words.size() < run ? 1 : words.size() - run + 1;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    uint64_t hash = 0;
    for (size_t j = i; j < std::min(words.size(), i + run); ++j) {
      hash = (hash ^ words[j]) * kPrime;
      hash ^= hash >> 29;
    }
    out.push_back(mix_to_32(hash));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

double repetition(const Words& words) {
  if (words.size() < 3) return 0;
  const auto runs = static_cast<double>(words.size() - 2);
  return 1.0 - static_cast<double>(shingles_of(words, 3).size()) / runs;
}

double jaccard(const Shingles& a, const Shingles& b) {
  if (a.empty() && b.empty()) return 0;
  size_t shared = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    shared += a[i] == b[j] ? 1 : 0;
    const bool step_a = a[i] <= b[j];
    const bool step_b = b[j] <= a[i];
    i += step_a ? 1 : 0;
    j += step_b ? 1 : 0;
  }
  return static_cast<double>(shared) / static_cast<double>(a.size() + b.size() - shared);
}

}  // namespace retort::curate
