// The course of an account: how many requests detection had counted and how much of it was new, and
// how strong the evidence was, from the first to the latest. Counts alone, at most kCoursePointsMax
// an account, closer together where more happened.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "detect/state.h"
#include "store/database.h"

namespace retort::provider {

inline constexpr int64_t kCoursePointsMax = 256;

struct CoursePoint {
  int64_t time_ms = 0;
  int64_t requests = 0;             // of the period
  int64_t prompts = 0, topics = 0;  // of these, different ones; estimates
  double e_value = 0;
};
// Nothing before the detector judges anything. `honest`: those that it is compared with, or null.
std::optional<CoursePoint> course_point(const detect::AccountState& state,
                                        const detect::ClassCalibration* honest);

// Requires a transaction of the caller's for note().
class Course {
 public:
  static Result<void> make_tables(store::Database& database);
  explicit Course(store::Database& database) : database_(database) {}

  // Keeps the point where enough has changed since the last one.
  Result<void> note(const std::string& account, const CoursePoint& point);
  Result<std::vector<CoursePoint>> of(const std::string& account);

 private:
  Result<void> thin(const std::string& account);

  store::Database& database_;
  std::map<std::string, CoursePoint> last_;
};

}  // namespace retort::provider
