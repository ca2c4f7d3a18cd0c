#include <fmt/core.h>

#include <array>
#include <unordered_map>

#include "tokenizer/printable_internal.h"

namespace retort::tokenizer {
namespace {

// GPT-2's table: printable bytes of Latin-1 are themselves, the others take U+0100 and up.
std::array<uint32_t, 256> build_code_points() {
  std::array<uint32_t, 256> code_points{};
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool shown = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    code_points[byte] = shown ? byte : next++;
  }
  return code_points;
}

constexpr uint32_t kCodePoints = 0x100 + 68;  // 68 bytes are not shown

struct Tables {
  std::array<uint32_t, 256> code_points = build_code_points();
  std::array<int, kCodePoints> bytes{};

  Tables() {
    bytes.fill(-1);
    for (int byte = 0; byte < 256; ++byte) bytes[code_points[static_cast<size_t>(byte)]] = byte;
  }
};

const Tables& tables() {
  static const Tables made;
  return made;
}

}  // namespace

uint32_t printable_code_point(uint8_t byte) {
  return tables().code_points[byte];
}

std::string bytes_to_printable(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const uint32_t code = printable_code_point(static_cast<uint8_t>(c));
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else {  // all below U+0800
      out += static_cast<char>(0xc0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3f));
    }
  }
  return out;
}

std::optional<std::string> printable_to_bytes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t code = static_cast<uint8_t>(text[i]);
    if (code >= 0x80) {
      if ((code & 0xe0) != 0xc0 || i + 1 == text.size()) return std::nullopt;
      const auto tail = static_cast<uint8_t>(text[++i]);
      if ((tail & 0xc0) != 0x80) return std::nullopt;
      code = (code & 0x1f) << 6 | (tail & 0x3fu);
    }
    if (code >= kCodePoints || tables().bytes[code] < 0) return std::nullopt;
    out += static_cast<char>(tables().bytes[code]);
  }
  return out;
}

Result<Vocabulary> from_printable(const PrintableVocabulary& printable, PreTokenizer pre) {
  Vocabulary vocabulary;
  vocabulary.pre = pre;
  vocabulary.whole_words = pre == PreTokenizer::llama3;
  vocabulary.special = printable.special;
  vocabulary.special.resize(printable.tokens.size());
  std::unordered_map<std::string_view, TokenId> ids;
  for (size_t i = 0; i < printable.tokens.size(); ++i) {
    const std::string& token = printable.tokens[i];
    if (vocabulary.special[i]) {
      vocabulary.tokens.push_back(token);
      continue;
    }
    auto bytes = printable_to_bytes(token);
    if (!bytes) {
      return base::bad_input(
          fmt::format("token {} (\"{}\") is not in byte-level spelling", i, token), "",
          "only byte-level BPE vocabularies can be read");
    }
    vocabulary.tokens.push_back(std::move(*bytes));
    ids.emplace(token, static_cast<TokenId>(i));
  }
  for (size_t rank = 0; rank < printable.merges.size(); ++rank) {
    const std::string_view merge = printable.merges[rank];
    const size_t blank = merge.find(' ');
    const auto left = ids.find(merge.substr(0, blank));
    const auto right = ids.find(blank == merge.npos ? merge : merge.substr(blank + 1));
    if (blank == merge.npos || left == ids.end() || right == ids.end()) {
      return base::bad_input(
          fmt::format("merge {} (\"{}\") is not of two known tokens", rank, merge));
    }
    vocabulary.merges.emplace_back(left->second, right->second);
  }
  return vocabulary;
}

PrintableVocabulary to_printable(const Vocabulary& vocabulary) {
  PrintableVocabulary printable;
  printable.special = vocabulary.special;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::string& token = vocabulary.tokens[i];
    printable.tokens.push_back(vocabulary.special[i] ? token : bytes_to_printable(token));
  }
  for (const auto& [left, right] : vocabulary.merges) {
    printable.merges.push_back(printable.tokens[static_cast<size_t>(left)] + " " +
                               printable.tokens[static_cast<size_t>(right)]);
  }
  return printable;
}

}  // namespace retort::tokenizer
