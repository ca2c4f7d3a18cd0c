#include <algorithm>
#include <cmath>

#include "harvest/traffic.h"

namespace retort::bench::harvest {
namespace {

int64_t tokens_of(const std::string& text) {
  return static_cast<int64_t>(text.size() / 4) + 3;
}

int64_t tokens_in(const Request& request) {
  int64_t sum = 0;
  for (const Line& line : request.turns) sum += tokens_of(line.text);
  return sum;
}

}  // namespace

bool Source::next(Request& out) {
  while (queue_.empty()) {
    std::vector<Request> batch;
    if (!fill(batch)) return false;
    std::stable_sort(batch.begin(), batch.end(),
                     [](const Request& a, const Request& b) { return a.time_ms < b.time_ms; });
    for (auto& one : batch) queue_.push_back(std::move(one));
  }
  out = std::move(queue_.front());
  queue_.pop_front();
  last_ms_ = out.time_ms = std::max(out.time_ms, last_ms_);  // sittings may overlap
  return out.time_ms < kStartMs + kDays * kDayMs;
}

std::vector<int64_t> Source::sittings(double per_day, double first_day, double days) {
  // A person's hours: most between nine and ten in the evening, few at night.
  const double zone_hours = std::floor(random_.uniform() * 24);
  const auto count = static_cast<int>(per_day * days * (0.7 + 0.6 * random_.uniform()) + 0.5);
  std::vector<int64_t> out;
  for (int i = 0; i < count; ++i) {
    const auto day = static_cast<double>(random_.below(static_cast<uint64_t>(days)));
    double hour = 15 + 3.5 * random_.normal();
    hour = std::clamp(hour, 0.0, 23.9) + zone_hours;
    const double when = (first_day + day) * 24 + hour;
    out.push_back(kStartMs + static_cast<int64_t>(when * 3'600'000));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string Source::answer_text(int64_t tokens) {
  const std::string& passage = pick(random_, texts_.passages);
  const auto size = std::min(passage.size(), static_cast<size_t>(tokens * 4));
  const size_t begin = random_.below(passage.size() - size + 1);
  return passage.substr(begin, size);
}

Request Source::single(int64_t time_ms, std::string prompt, double answer_median, double sigma) {
  Request out;
  out.time_ms = time_ms;
  out.turns.push_back({detect::Speaker::user, std::move(prompt)});
  out.input_tokens = tokens_in(out);
  out.output_tokens =
      std::max<int64_t>(1, static_cast<int64_t>(log_normal(random_, answer_median, sigma)));
  out.answer = answer_text(out.output_tokens);
  return out;
}

Request Source::follow(const Request& before, int64_t time_ms, std::string prompt,
                       double answer_median) {
  Request out = single(time_ms, "", answer_median);
  out.sampling = before.sampling;
  // The first turns and the latest: what stands between makes only the request longer.
  out.turns.assign(before.turns.begin(), before.turns.end());
  if (out.turns.size() > 4) {
    out.turns.erase(out.turns.begin() + 2, out.turns.end());
  }
  out.turns.push_back({detect::Speaker::assistant, before.answer});
  out.turns.push_back({detect::Speaker::user, std::move(prompt)});
  out.input_tokens = before.input_tokens + before.output_tokens + tokens_of(out.turns.back().text);
  return out;
}

}  // namespace retort::bench::harvest
