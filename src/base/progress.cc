#include "base/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "base/clock.h"

namespace retort::base {
namespace {

constexpr double kTerminalPeriod_s = 0.1;
constexpr double kPipedPeriod_s = 10.0;
std::atomic<bool> quiet_mode{false};

}  // namespace

Progress::Progress(std::string stage, int64_t total, std::string unit)
    : stage_(std::move(stage)),
      total_(total),
      unit_(std::move(unit)),
      started_s_(monotonic_seconds()),
      terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (!finished_ && terminal_ && last_width_ > 0 && !quiet_mode) std::fputc('\n', stderr);
}

void Progress::set_quiet(bool quiet) {
  quiet_mode = quiet;
}

void Progress::update(int64_t done, const std::string& detail) {
  const double now_s = monotonic_seconds();
  if (first_done_ < 0) first_done_ = done;
  const double period_s = terminal_ ? kTerminalPeriod_s : kPipedPeriod_s;
  if (finished_ || now_s - last_draw_s_ < period_s) return;
  last_draw_s_ = now_s;

  std::string text = fmt::format("{}: {}", stage_, grouped(done));
  if (total_ > 0) {
    text += fmt::format("/{} {} ({:.0f} %)", grouped(total_), unit_,
                        100.0 * static_cast<double>(done) / static_cast<double>(total_));
    const double elapsed_s = now_s - started_s_;
    const auto gained = static_cast<double>(done - first_done_);
    if (gained > 0 && elapsed_s > 1) {
      const double left_s = static_cast<double>(total_ - done) * elapsed_s / gained;
      text += fmt::format(", {} left", human_duration(left_s));
    }
  } else {
    text += " " + unit_;
  }
  if (!detail.empty()) text += ", " + detail;
  draw(text, false);
}

void Progress::finish(const std::string& summary) {
  if (finished_) return;
  finished_ = true;
  draw(fmt::format("{}: {}", stage_, summary), true);
}

void Progress::draw(const std::string& text, bool last) {
  if (quiet_mode) return;
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  const size_t blanks = last_width_ > text.size() ? last_width_ - text.size() : 0;
  std::fprintf(stderr, "\r%s%s%s", text.c_str(), std::string(blanks, ' ').c_str(),
               last ? "\n" : "");
  std::fflush(stderr);
  last_width_ = text.size();
}

std::string clipped(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  size_t end = bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

std::string grouped(int64_t value) {
  std::string digits = std::to_string(value < 0 ? -value : value);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return value < 0 ? "-" + digits : digits;
}

std::string human_bytes(int64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace retort::base
