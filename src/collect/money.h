// Money as integers: one unit is a millionth of a micro-dollar (1e-12 dollar), so that a token at
// "$0.15 per million" costs a whole number of units and sums are exact. Sums stop at the largest
// int64 (nine million dollars) instead of wrapping.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace retort::collect {

using Money = int64_t;  // units of 1e-12 dollar
inline constexpr Money kMicroDollar = 1'000'000;
inline constexpr Money kDollar = kMicroDollar * 1'000'000;

// "5", "5.00", "0.15": a decimal that is not negative, at most 6 digits after the point, at most
// 9,000,000. `name` is the option in the error.
Result<Money> parse_dollars(std::string_view text, const std::string& name);
// The price of one token from a price per million tokens.
inline Money per_token(Money per_million) {
  return per_million / 1'000'000;
}
// a + b and a * b for amounts that are not negative; the largest int64 when it does not fit.
int64_t add_clamped(int64_t a, int64_t b);
int64_t multiply_clamped(int64_t a, int64_t b);
// "$0.0123": rounded up to a micro-dollar, trailing zeros beyond cents dropped.
std::string dollars(Money amount);

}  // namespace retort::collect
