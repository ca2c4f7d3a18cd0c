#include "report/numbers_internal.h"

#include <fmt/core.h>

#include <cmath>

namespace retort::report {

std::string count_text(double value) {
  if (!std::isfinite(value)) return "?";
  std::string digits = fmt::format("{:.0f}", std::abs(value));
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return (value <= -0.5 ? "−" : "") + digits;
}

std::string decimal_text(double value, int digits) {
  if (!std::isfinite(value)) return "?";
  return fmt::format("{}{:.{}f}", value < 0 ? "−" : "", std::abs(value), digits);
}

std::string percent_text(double share) {
  return decimal_text(100 * share, 1) + " %";
}

std::string bytes_text(double size_bytes) {
  if (size_bytes < 1e3) return decimal_text(size_bytes, 0) + " B";
  if (size_bytes < 1e6) return decimal_text(size_bytes / 1e3, 1) + " kB";
  if (size_bytes < 1e9) return decimal_text(size_bytes / 1e6, 1) + " MB";
  return decimal_text(size_bytes / 1e9, 2) + " GB";
}

std::string money_text(double microusd) {
  const double usd = microusd / 1e6;
  return "$" + decimal_text(usd, usd > 0 && usd < 0.1 ? 4 : 2);
}

std::string energy_text(double joules) {
  return fmt::format("{} kJ ({} Wh)", decimal_text(joules / 1e3, 1),
                     decimal_text(joules / 3600, 1));
}

}  // namespace retort::report
