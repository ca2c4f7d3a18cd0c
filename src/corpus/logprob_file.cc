#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/check.h"
#include "corpus/bytes_internal.h"
#include "corpus/logprob_file_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr std::string_view kMagic = "RTLOGPRB";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeadBytes = 40;
constexpr size_t kRecordBytes = 20;
constexpr size_t kTokenHeadBytes = 4;
constexpr float kCodesOfANat = 2048;
constexpr size_t kKeyDigits = 16;  // of a record's key, that its row here begins with

constexpr size_t token_bytes(size_t entries) {
  return kTokenHeadBytes + 4 * entries + (entries + 3) / 4;
}

// -1 as a number no key has: its digits are none.
uint64_t key_of(std::string_view key) {
  const auto bytes = crypto::from_hex(key.substr(0, kKeyDigits));
  if (!bytes || bytes->size() != kKeyDigits / 2) return UINT64_MAX;
  return number_at(*bytes, 0, bytes->size());
}

Error broken(std::string what) {
  return base::bad_input(std::move(what), "",
                         "put the file back from a backup, or gather and seal it again");
}

}  // namespace

uint16_t logprob_code(float logprob) {
  if (std::isnan(logprob)) return kLogprobUnknown;
  const float code = std::round(-logprob * kCodesOfANat);
  return static_cast<uint16_t>(std::clamp<float>(code, 0, kLogprobUnknown - 1));
}

float logprob_of(uint16_t code) {
  return code == kLogprobUnknown ? NAN : -static_cast<float>(code) / kCodesOfANat;
}

void LogprobWriter::add(std::string_view key, std::span<const TokenLogprobs> tokens) {
  put(records_, key_of(key), 8);
  put(records_, blocks_.size(), 8);
  put(records_, tokens.size(), 4);
  ++record_count_;
  token_count_ += tokens.size();
  for (const auto& token : tokens) add_token(token);
}

int64_t LogprobWriter::place_of(const std::string& bytes) {
  if (bytes.size() > kLogprobStringBytesMax) return -1;
  const auto found = places_.find(bytes);
  if (found != places_.end()) return found->second;
  // The last place is kept for the empty string, which stands for what has none.
  const bool spare = bytes.empty() || places_.contains("");
  if (places_.size() >= kLogprobStringsMax - (spare ? 0 : 1)) return -1;
  const auto place = static_cast<uint32_t>(places_.size());
  places_.emplace(bytes, place);
  put(lengths_, bytes.size(), 1);
  strings_ += bytes;
  return place;
}

void LogprobWriter::add_token(const TokenLogprobs& token) {
  RETORT_CHECK(!token.entries.empty() && std::ssize(token.entries) <= kLogprobEntriesMax &&
                   token.chosen >= 0 && token.chosen < std::ssize(token.entries),
               "entry {} of {}", token.chosen, token.entries.size());
  std::vector<uint32_t> places;
  std::string values;
  size_t chosen = 0;
  double tail = static_cast<double>(token.tail);
  for (size_t i = 0; i < token.entries.size(); ++i) {
    const auto& entry = token.entries[i];
    const bool is_chosen = static_cast<int64_t>(i) == token.chosen;
    int64_t place = place_of(entry.bytes);
    if (place < 0 && !is_chosen) {
      if (!std::isnan(entry.logprob)) tail += std::exp(static_cast<double>(entry.logprob));
      continue;
    }
    if (place < 0) place = place_of("");
    if (is_chosen) chosen = places.size();
    places.push_back(static_cast<uint32_t>(place));
    put(values, logprob_code(entry.logprob), 2);
  }
  put(blocks_, places.size(), 1);
  put(blocks_, chosen, 1);
  put(blocks_, tail > 0 ? logprob_code(static_cast<float>(std::log(tail))) : kLogprobUnknown, 2);
  blocks_ += values;
  for (const uint32_t place : places) put(blocks_, place & 0xffff, 2);
  for (size_t i = 0; i < places.size(); i += 4) {
    uint32_t upper = 0;
    for (size_t j = i; j < std::min(i + 4, places.size()); ++j) {
      upper |= places[j] >> 16 << (2 * (j - i));
    }
    put(blocks_, upper, 1);
  }
}

std::string LogprobWriter::finish() {
  std::string out(kMagic);
  put(out, kVersion, 4);
  put(out, lengths_.size(), 4);
  put(out, strings_.size(), 4);
  put(out, record_count_, 4);
  put(out, token_count_, 8);
  put(out, blocks_.size(), 8);
  out.reserve(out.size() + lengths_.size() + strings_.size() + records_.size() + blocks_.size());
  for (const auto* part : {&lengths_, &strings_, &records_, &blocks_}) out += *part;
  return out;
}

// As the head states them; each is small enough that sums of them do not wrap.
struct LogprobFile::Sizes {
  size_t strings = 0, string_bytes = 0, records = 0, tokens = 0, block_bytes = 0;
};

Result<std::shared_ptr<const LogprobFile>> LogprobFile::parse(std::string bytes,
                                                              const std::string& where) {
  std::shared_ptr<LogprobFile> file(new LogprobFile);
  file->bytes_ = std::move(bytes);
  if (const auto read = file->read_all(); !read) return read.error().at(where);
  return std::shared_ptr<const LogprobFile>(std::move(file));
}

Result<void> LogprobFile::read_all() {
  if (bytes_.size() < kHeadBytes || !bytes_.starts_with(kMagic)) {
    return broken("this is no file of log-probabilities");
  }
  const uint64_t version = number_at(bytes_, 8, 4);
  if (version != kVersion) {
    return base::bad_input(
        fmt::format("log-probabilities of version {}; this program reads {}", version, kVersion),
        "", "use a newer program");
  }
  Sizes sizes;
  sizes.strings = number_at(bytes_, 12, 4);
  sizes.string_bytes = number_at(bytes_, 16, 4);
  sizes.records = number_at(bytes_, 20, 4);
  sizes.tokens = number_at(bytes_, 24, 8);
  sizes.block_bytes = number_at(bytes_, 32, 8);
  const size_t before_blocks =
      kHeadBytes + sizes.strings + sizes.string_bytes + sizes.records * kRecordBytes;
  if (sizes.strings > kLogprobStringsMax || before_blocks > bytes_.size() ||
      sizes.block_bytes != bytes_.size() - before_blocks || sizes.tokens > sizes.block_bytes) {
    return broken(
        "the parts of the log-probabilities do not add up: the file is cut off or damaged");
  }
  RETORT_TRY_VOID(read_strings(sizes, kHeadBytes));
  RETORT_TRY_VOID(read_records(sizes, before_blocks - sizes.records * kRecordBytes));
  return check_tokens(sizes, before_blocks);
}

Result<void> LogprobFile::read_strings(const Sizes& sizes, size_t at) {
  size_t begin = at + sizes.strings;
  const size_t end = begin + sizes.string_bytes;
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < sizes.strings; ++i) {
    const size_t size = number_at(bytes_, at + i, 1);
    if (size > end - begin) return broken("the dictionary of the log-probabilities is cut off");
    starts_.push_back(begin);
    if (!seen.insert(std::string_view(bytes_).substr(begin, size)).second) {
      return broken("the dictionary of the log-probabilities has a string twice");
    }
    begin += size;
  }
  starts_.push_back(begin);
  if (begin == end) return {};
  return broken("the dictionary of the log-probabilities does not end where it should");
}

Result<void> LogprobFile::read_records(const Sizes& sizes, size_t at) {
  const size_t blocks = at + sizes.records * kRecordBytes;
  for (size_t i = 0; i < sizes.records; ++i, at += kRecordBytes) {
    const uint64_t begin = number_at(bytes_, at + 8, 8);
    if (begin > sizes.block_bytes) {
      return broken(fmt::format("the log-probabilities of record {} begin behind the end", i));
    }
    records_.push_back({.key = number_at(bytes_, at, 8),
                        .begin = blocks + begin,
                        .tokens = static_cast<uint32_t>(number_at(bytes_, at + 16, 4))});
    token_count_ += records_.back().tokens;
  }
  if (token_count_ == static_cast<int64_t>(sizes.tokens)) return {};
  return broken("the tokens of the records are not as many as the head of the file says");
}

// Everything that read() relies on.
Result<void> LogprobFile::check_tokens(const Sizes& sizes, size_t at) {
  for (size_t row = 0; row < records_.size(); ++row) {
    const auto wrong = [row](const char* what) {
      return broken(fmt::format("the log-probabilities of record {} {}", row, what));
    };
    if (records_[row].begin != at) return wrong("do not begin where those before them end");
    for (uint32_t i = 0; i < records_[row].tokens; ++i) {
      const size_t left = bytes_.size() - at;
      const size_t entries = left < kTokenHeadBytes ? 0 : number_at(bytes_, at, 1);
      if (entries == 0 || token_bytes(entries) > left) return wrong("are cut off");
      if (number_at(bytes_, at + 1, 1) >= entries) return wrong("lack a token that was taken");
      for (size_t entry = 0; entry < entries; ++entry) {
        if (place_at(at, entries, entry) >= sizes.strings) return wrong("name an unknown string");
      }
      at += token_bytes(entries);
    }
  }
  if (at == bytes_.size()) return {};
  return broken("there are log-probabilities of no record");
}

uint32_t LogprobFile::place_at(size_t token, size_t entries, size_t entry) const {
  const size_t lower = token + kTokenHeadBytes + 2 * (entries + entry);
  const size_t upper = token + kTokenHeadBytes + 4 * entries + entry / 4;
  const uint64_t place =
      number_at(bytes_, lower, 2) | (number_at(bytes_, upper, 1) >> (2 * (entry % 4)) & 3) << 16;
  return static_cast<uint32_t>(place);
}

const LogprobFile::Row& LogprobFile::record(int64_t row) const {
  RETORT_CHECK(row >= 0 && row < records(), "row {} of {}", row, records());
  return records_[static_cast<size_t>(row)];
}

bool LogprobFile::is_of(int64_t row, std::string_view key) const {
  return record(row).key == key_of(key);
}

std::string LogprobFile::key_digits(int64_t row) const {
  std::string bytes;
  put(bytes, record(row).key, kKeyDigits / 2);
  return crypto::to_hex(bytes);
}

std::vector<TokenLogprobs> LogprobFile::read(int64_t row) const {
  std::vector<TokenLogprobs> out(record(row).tokens);
  size_t at = record(row).begin;
  const auto code_at = [this](size_t where) {
    return static_cast<uint16_t>(number_at(bytes_, where, 2));
  };
  for (auto& token : out) {
    const size_t entries = number_at(bytes_, at, 1);
    token.chosen = static_cast<int64_t>(number_at(bytes_, at + 1, 1));
    const uint16_t tail = code_at(at + 2);
    token.tail = tail == kLogprobUnknown ? 0 : std::exp(logprob_of(tail));
    token.entries.resize(entries);
    for (size_t i = 0; i < entries; ++i) {
      const uint32_t place = place_at(at, entries, i);
      token.entries[i].bytes = bytes_.substr(starts_[place], starts_[place + 1] - starts_[place]);
      token.entries[i].logprob = logprob_of(code_at(at + kTokenHeadBytes + 2 * i));
    }
    at += token_bytes(entries);
  }
  return out;
}

KeptLogprobs::KeptLogprobs(std::shared_ptr<const LogprobFile> file, int64_t row)
    : file_(std::move(file)), row_(row) {}

int64_t KeptLogprobs::size() const {
  return file_ == nullptr ? 0 : file_->tokens_of(row_);
}

std::vector<TokenLogprobs> KeptLogprobs::read() const {
  return file_ == nullptr ? std::vector<TokenLogprobs>{} : file_->read(row_);
}

}  // namespace retort::corpus
