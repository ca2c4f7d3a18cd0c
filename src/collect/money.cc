#include "collect/money.h"

#include <fmt/core.h>

#include <cstdint>

namespace retort::collect {
namespace {

constexpr int kDecimals = 6;
constexpr int64_t kMaxDollars = 9'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Result<Money> parse_dollars(std::string_view text, const std::string& name) {
  const auto wrong = [&] {
    return base::usage_error(fmt::format("{} must be an amount in dollars, not \"{}\"", name, text),
                             name, "write it like \"5.00\", with at most 6 decimals");
  };
  int64_t micro = 0;
  int decimals = -1;  // none before the point
  bool digits = false;
  for (const char c : text) {
    if (c == '.' && decimals < 0) {
      decimals = 0;
      continue;
    }
    if (!is_digit(c) || decimals == kDecimals) return wrong();
    digits = true;
    if (decimals >= 0) ++decimals;
    micro = micro * 10 + (c - '0');
    if (micro > kMaxDollars * 1'000'000) return wrong();
  }
  if (!digits) return wrong();
  for (int i = decimals < 0 ? 0 : decimals; i < kDecimals; ++i) {
    micro *= 10;
    if (micro > kMaxDollars * 1'000'000) return wrong();
  }
  return micro * kMicroDollar;
}

int64_t add_clamped(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int64_t multiply_clamped(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

std::string dollars(Money amount) {
  const int64_t micro = amount / kMicroDollar + (amount % kMicroDollar > 0 ? 1 : 0);
  std::string text = fmt::format("${}.{:06}", micro / 1'000'000, micro % 1'000'000);
  const size_t cents = text.size() - 4;
  while (text.size() > cents && text.back() == '0') text.pop_back();
  return text;
}

}  // namespace retort::collect
