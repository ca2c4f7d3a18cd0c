#include "collect/rate_headers.h"
#include "base/ascii.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

namespace retort::collect {
namespace {

// A plain decimal at the start of `text`, which loses it; no sign, no exponent, no "inf".
std::optional<double> take_number(std::string_view& text) {
  if (text.empty() || ((text[0] < '0' || text[0] > '9') && text[0] != '.')) return std::nullopt;
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error == std::errc::result_out_of_range) value = 1e300;
  if (error != std::errc() && error != std::errc::result_out_of_range) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

int64_t clamped_ms(double value_ms) {
  return static_cast<int64_t>(
      std::ceil(std::clamp(value_ms, 0.0, static_cast<double>(kLongestWait_ms))));
}

// The unit at the start of `text` in milliseconds, 0 when there is none.
double take_unit_ms(std::string_view& text) {
  struct Unit {
    std::string_view name;
    double ms;
  };
  constexpr std::array kUnits = {Unit{"ms", 1.0}, Unit{"us", 1e-3}, Unit{"s", 1e3},
                                 Unit{"m", 6e4},  Unit{"h", 3.6e6}, Unit{"d", 8.64e7}};
  for (const auto& unit : kUnits) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.ms;
  }
  return 0;
}

std::optional<int> two_digits(std::string_view text) {
  if (text.size() != 2 || text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') {
    return std::nullopt;
  }
  return (text[0] - '0') * 10 + (text[1] - '0');
}

std::optional<int64_t> reset_of(const HeaderLookup& header, std::string_view kind,
                                bool exhausted_only) {
  const std::string left(base::trimmed(header("x-ratelimit-remaining-" + std::string(kind))));
  if (exhausted_only && left != "0" && left != "-1") return std::nullopt;
  return parse_duration_ms(header("x-ratelimit-reset-" + std::string(kind)));
}

}  // namespace

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  text = base::trimmed(text);
  if (text.empty()) return std::nullopt;
  const size_t whole = text.size();
  double total_ms = 0;
  while (!text.empty()) {
    const bool alone = text.size() == whole;
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    double unit_ms = take_unit_ms(text);
    if (unit_ms == 0) {
      if (!text.empty() || !alone) return std::nullopt;
      unit_ms = 1e3;  // a bare number is seconds
    }
    total_ms += *number * unit_ms;
  }
  return clamped_ms(total_ms);
}

std::optional<int64_t> parse_http_date_ms(std::string_view text) {
  text = base::trimmed(text);
  // "Wed, 21 Oct 2026 07:28:00 GMT", the one form that servers may send (RFC 9110).
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") {
    return std::nullopt;
  }
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  const auto day = two_digits(text.substr(5, 2));
  const auto century = two_digits(text.substr(12, 2));
  const auto year = two_digits(text.substr(14, 2));
  const auto hour = two_digits(text.substr(17, 2));
  const auto minute = two_digits(text.substr(20, 2));
  const auto second = two_digits(text.substr(23, 2));
  if (month == kMonths.end() || !day || !century || !year || !hour || !minute || !second) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{
      std::chrono::year{*century * 100 + *year},
      std::chrono::month{static_cast<unsigned>(month - kMonths.begin()) + 1},
      std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  return ((days * 24 + *hour) * 60 + *minute) * 60'000 + int64_t{*second} * 1000;
}

std::optional<int64_t> retry_after_ms(const HeaderLookup& header, int64_t wall_now_ms) {
  std::string text = header("retry-after-ms");
  std::string_view rest = base::trimmed(text);
  if (const auto ms = take_number(rest); ms && rest.empty()) return clamped_ms(*ms);

  text = header("retry-after");
  rest = base::trimmed(text);
  if (const auto seconds = take_number(rest); seconds && rest.empty()) {
    return clamped_ms(*seconds * 1e3);
  }
  if (const auto date_ms = parse_http_date_ms(text)) {
    const int64_t now_ms = parse_http_date_ms(header("date")).value_or(wall_now_ms);
    return std::clamp<int64_t>(*date_ms - now_ms, 0, kLongestWait_ms);
  }

  const auto requests = reset_of(header, "requests", true);
  const auto tokens = reset_of(header, "tokens", true);
  if (requests || tokens) return std::max(requests.value_or(0), tokens.value_or(0));
  // Neither limit says that it is used up: the earlier reset is the earliest use in asking again.
  const auto any_requests = reset_of(header, "requests", false);
  const auto any_tokens = reset_of(header, "tokens", false);
  if (any_requests && any_tokens) return std::min(*any_requests, *any_tokens);
  return any_requests ? any_requests : any_tokens;
}

}  // namespace retort::collect
