// Names, and the calendar of quotas.
#include <ctime>

#include <array>

#include "accounts/quota.h"

namespace retort::accounts {
namespace {

constexpr std::array<const char*, 5> kResources = {"requests", "input_tokens", "output_tokens",
                                                   "cost_micros", "parallel"};
constexpr std::array<const char*, 4> kWindows = {"minute", "day", "month", "now"};
constexpr int64_t kMinute_ms = 60'000;
constexpr int64_t kDay_ms = 24 * 60 * kMinute_ms;

int64_t floor_to(int64_t value, int64_t step) {
  const int64_t rest = value % step;
  return value - rest - (rest < 0 ? step : 0);
}

int64_t month_ms(int64_t wall_ms, int months_on) {
  const auto seconds = static_cast<time_t>(floor_to(wall_ms, 1000) / 1000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  tm first{};
  first.tm_year = parts.tm_year;
  first.tm_mon = parts.tm_mon + months_on;  // timegm carries December into the next year
  first.tm_mday = 1;
  return static_cast<int64_t>(::timegm(&first)) * 1000;
}

}  // namespace

const char* name(Resource resource) {
  return kResources[static_cast<size_t>(resource)];
}

const char* name(Window window) {
  return kWindows[static_cast<size_t>(window)];
}

std::optional<Resource> parse_resource(std::string_view text) {
  for (size_t i = 0; i < kResources.size(); ++i) {
    if (text == kResources[i]) return static_cast<Resource>(i);
  }
  return {};
}

std::optional<Window> parse_window(std::string_view text) {
  for (size_t i = 0; i < kWindows.size(); ++i) {
    if (text == kWindows[i]) return static_cast<Window>(i);
  }
  return {};
}

int64_t period_start_ms(Window window, int64_t wall_ms) {
  switch (window) {
    case Window::minute:
      return floor_to(wall_ms, kMinute_ms);
    case Window::day:
      return floor_to(wall_ms, kDay_ms);
    case Window::month:
      return month_ms(wall_ms, 0);
    case Window::now:
      return 0;
  }
  return 0;
}

int64_t period_end_ms(Window window, int64_t wall_ms) {
  switch (window) {
    case Window::minute:
      return floor_to(wall_ms, kMinute_ms) + kMinute_ms;
    case Window::day:
      return floor_to(wall_ms, kDay_ms) + kDay_ms;
    case Window::month:
      return month_ms(wall_ms, 1);
    case Window::now:
      return 0;
  }
  return 0;
}

}  // namespace retort::accounts
