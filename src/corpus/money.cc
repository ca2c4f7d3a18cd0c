#include <fmt/core.h>

#include "corpus/record.h"

namespace retort::corpus {
namespace {

constexpr int64_t kMicros = 1'000'000;
constexpr size_t kMaxWholeDigits = 12;

}  // namespace

Result<int64_t> parse_micros(std::string_view text) {
  const auto refuse = [text] {
    return base::bad_input(fmt::format("“{}” is not an amount of money", text), "",
                           "write it like 5.00, with at most six decimals");
  };
  const size_t dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  const std::string_view part = dot == std::string_view::npos ? "" : text.substr(dot + 1);
  if (whole.empty() || whole.size() > kMaxWholeDigits || part.size() > 6 ||
      (dot != std::string_view::npos && part.empty())) {
    return refuse();
  }
  int64_t micros = 0;
  for (const char c : whole) {
    if (c < '0' || c > '9') return refuse();
    micros = micros * 10 + (c - '0');
  }
  for (size_t i = 0; i < 6; ++i) {
    const char c = i < part.size() ? part[i] : '0';
    if (c < '0' || c > '9') return refuse();
    micros = micros * 10 + (c - '0');
  }
  return micros;
}

std::string format_micros(int64_t micros) {
  const bool negative = micros < 0;
  const auto size = negative ? 0 - static_cast<uint64_t>(micros) : static_cast<uint64_t>(micros);
  std::string out = fmt::format("{}{}.{:06}", negative ? "-" : "", size / kMicros, size % kMicros);
  while (out.back() == '0' && out[out.size() - 3] != '.') out.pop_back();
  return out;
}

}  // namespace retort::corpus
