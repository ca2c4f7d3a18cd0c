#include "base/clock.h"

#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <string_view>
#include <thread>

namespace retort::base {
namespace {

class SystemClock : public Clock {
 public:
  int64_t monotonic_ms() const override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }
  int64_t wall_ms() const override {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }
  void sleep_ms(int64_t duration_ms) override {
    if (duration_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms));
  }
};

std::chrono::year_month_day date_of(int64_t wall_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(wall_ms)};
  return std::chrono::floor<std::chrono::days>(time);
}

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

double monotonic_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::string iso_date(int64_t wall_ms) {
  const auto date = date_of(wall_ms);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string iso_time(int64_t wall_ms) {
  constexpr int64_t kDayMs = 86'400'000;
  const int64_t in_day_s = (((wall_ms % kDayMs) + kDayMs) % kDayMs) / 1000;
  return fmt::format("{}T{:02}:{:02}:{:02}Z", iso_date(wall_ms), in_day_s / 3600,
                     in_day_s / 60 % 60, in_day_s % 60);
}

int64_t parse_iso_date(const std::string& text) {
  constexpr std::string_view kForm = "0000-00-00";
  if (text.size() != kForm.size()) return -1;
  // sscanf() would take blanks and signs as well.
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !is_digit : text[i] != kForm[i]) return -1;
  }
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u", &year, &month, &day) != 3) return -1;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return -1;
  const auto since = std::chrono::sys_days(date).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

std::string human_duration(double seconds) {
  if (seconds < 0) return "?";
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace retort::base
