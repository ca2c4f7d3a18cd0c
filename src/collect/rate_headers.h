// How long a refusing server asks to be left alone, in the spellings that servers use. Whatever
// they say ends up inside [0, kLongestWait_ms] or counts as not said; nothing here can make a
// caller spin or sleep for ever.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace retort::collect {

inline constexpr int64_t kLongestWait_ms = 10 * 60 * 1000;

// A header by its lower-case name; empty when there is none.
using HeaderLookup = std::function<std::string(std::string_view)>;

// "6m0s", "12ms", "1.5s", "1h2m", and a bare number of seconds. Not a duration, negative, NaN:
// none.
std::optional<int64_t> parse_duration_ms(std::string_view text);
// "Wed, 21 Oct 2026 07:28:00 GMT" as Unix milliseconds.
std::optional<int64_t> parse_http_date_ms(std::string_view text);

// In this order: retry-after-ms, Retry-After (seconds or a date, measured against the answer's own
// Date header where there is one, so that a wrong clock here does no harm), then the reset of the
// exhausted limit of x-ratelimit-{remaining,reset}-{requests,tokens}.
std::optional<int64_t> retry_after_ms(const HeaderLookup& header, int64_t wall_now_ms);

}  // namespace retort::collect
