#include "provider/course_internal.h"

#include <cmath>

#include "detect/detector.h"

namespace retort::provider {
namespace {

constexpr int64_t kRequestsMin = 6;  // the detector judges none with fewer
constexpr double kMore = 1.05;       // requests: 250 points to a million of them
constexpr double kStronger = 1.1;
constexpr int64_t kLong_ms = 3'600'000;
constexpr double kScale = 1000;  // of e-values, in the table

bool is_news(const CoursePoint& last, const CoursePoint& point) {
  if (point.time_ms <= last.time_ms) return false;
  const bool began_anew = point.requests < last.requests;
  const auto grown =
      static_cast<double>(point.requests) > kMore * static_cast<double>(last.requests);
  const bool moved = point.e_value > kStronger * last.e_value + 0.1;
  const bool later = point.time_ms - last.time_ms >= kLong_ms && point.requests > last.requests;
  return began_anew || grown || moved || later;
}

}  // namespace

std::optional<CoursePoint> course_point(const detect::AccountState& state,
                                        const detect::ClassCalibration* honest) {
  CoursePoint out;
  double prompts = 0, topics = 0;
  for (const auto& stream : state.streams) {
    if (stream.count == 0) continue;
    out.requests += stream.count;
    prompts += stream.prompts.estimate();
    topics += stream.topics.estimate();
    out.time_ms = std::max(out.time_ms, stream.last_ms);
  }
  if (out.requests < kRequestsMin) return std::nullopt;
  // An estimate may be above the number of requests, which no count of different ones is.
  const auto capped = [&](double estimate) {
    return std::min(out.requests, static_cast<int64_t>(std::llround(estimate)));
  };
  out.prompts = capped(prompts);
  out.topics = capped(topics);
  if (honest != nullptr) {
    out.e_value = state.evidence_past + detect::period_weight(state.period) *
                                            detect::e_value(*honest, state.wealth.total);
  }
  return out;
}

Result<void> Course::make_tables(store::Database& database) {
  return database.execute(
      "CREATE TABLE IF NOT EXISTS course (account TEXT NOT NULL, time_ms INTEGER NOT NULL, "
      "requests INTEGER NOT NULL, prompts INTEGER NOT NULL, topics INTEGER NOT NULL, "
      "e_thousandths INTEGER NOT NULL, PRIMARY KEY (account, time_ms)) WITHOUT ROWID");
}

Result<std::vector<CoursePoint>> Course::of(const std::string& account) {
  RETORT_TRY(auto rows, database_.prepare("SELECT time_ms, requests, prompts, topics, "
                                          "e_thousandths FROM course WHERE account = ?1 ORDER BY "
                                          "time_ms"));
  rows.bind(1, account);
  std::vector<CoursePoint> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    out.push_back({rows.integer(0), rows.integer(1), rows.integer(2), rows.integer(3),
                   static_cast<double>(rows.integer(4)) / kScale});
  }
}

Result<void> Course::note(const std::string& account, const CoursePoint& point) {
  auto last = last_.find(account);
  if (last == last_.end()) {
    RETORT_TRY(const auto before, of(account));
    last = last_.emplace(account, before.empty() ? CoursePoint{} : before.back()).first;
  }
  if (!is_news(last->second, point)) return {};
  RETORT_TRY(auto put, database_.prepare("INSERT OR REPLACE INTO course VALUES (?1, ?2, ?3, ?4, "
                                         "?5, ?6)"));
  RETORT_TRY_VOID(put.bind(1, account)
                      .bind(2, point.time_ms)
                      .bind(3, point.requests)
                      .bind(4, point.prompts)
                      .bind(5, point.topics)
                      .bind(6, static_cast<int64_t>(std::llround(point.e_value * kScale)))
                      .run());
  last->second = point;
  return thin(account);
}

// Every second one of those before the latest quarter goes, so that what is old grows sparse.
Result<void> Course::thin(const std::string& account) {
  RETORT_TRY(const auto points, of(account));
  const int64_t count = std::ssize(points);
  if (count <= kCoursePointsMax) return {};
  RETORT_TRY(auto drop,
             database_.prepare("DELETE FROM course WHERE account = ?1 AND time_ms = ?2"));
  for (int64_t i = 1; i < count * 3 / 4; i += 2) {
    RETORT_TRY_VOID(drop.bind(1, account).bind(2, points[static_cast<size_t>(i)].time_ms).run());
  }
  return {};
}

}  // namespace retort::provider
