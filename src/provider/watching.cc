#include "provider/watching.h"

#include <cmath>

#include "base/files.h"
#include "detect/detector.h"
#include "provider/calibrating.h"
#include "provider/course_internal.h"
#include "provider/watch_internal.h"

namespace retort::provider {
namespace {

// Three digits behind the point are more than any of these figures mean.
double rounded(double value) {
  return std::isfinite(value) ? std::round(value * 1000) / 1000 : 0;
}

const char* kind_of(const detect::AccountState& state, size_t index) {
  if (index == detect::kDialogs) return "dialogs";
  return state.streams[index].is_template() ? "template" : "openers";
}

// Each measure beside what honest streams have: their mean and standard deviation.
json::Value measures_json(const detect::Stream& stream) {
  const auto& judge = detect::built_in_model().account;
  const auto values = stream.features();
  json::Value out = json::Value::array();
  for (size_t i = 0; i < detect::kFeatures; ++i) {
    const auto feature = static_cast<detect::Feature>(i);
    const auto& text = detect::text_of(feature);
    if (text.family == detect::Family::company) continue;  // of clusters alone
    out.push(json::Value::object({{"measure", text.name},
                                  {"family", detect::name(text.family)},
                                  {"words", text.words},
                                  {"value", rounded(detect::at(values, feature))},
                                  {"usual", rounded(detect::at(judge.usual, feature))},
                                  {"spread", rounded(detect::at(judge.spread, feature))}}));
  }
  return out;
}

json::Value stream_json(const detect::AccountState& state, size_t index) {
  const detect::Stream& stream = state.streams[index];
  const double later = std::max(1.0, stream.count - 1.0);  // the first one made the template
  json::Value hours = json::Value::array();
  for (const auto hour : stream.hours) hours.push(int64_t{hour});
  const auto different = [&stream](const detect::Distinct& sketch) {
    return std::min<int64_t>(stream.count, std::llround(sketch.estimate()));
  };
  return json::Value::object(
      {{"kind", kind_of(state, index)},
       {"judged_by", index == state.best_stream},
       {"requests", int64_t{stream.count}},
       {"prompts", different(stream.prompts)},
       {"topics", different(stream.topics)},
       {"fixed_words", rounded(stream.fixed_words / later)},
       {"slot_words", rounded(stream.slot_words / later)},
       {"answer_tokens", static_cast<int64_t>(std::llround(stream.tokens_out))},
       {"first_ms", stream.first_ms},
       {"last_ms", stream.last_ms},
       {"hours", std::move(hours)},
       {"measures", measures_json(stream)}});
}

json::Value course_json(const std::vector<CoursePoint>& course) {
  json::Value out = json::Value::array();
  for (const auto& point : course) {
    out.push(json::Value::object({{"time_ms", point.time_ms},
                                  {"requests", point.requests},
                                  {"prompts", point.prompts},
                                  {"topics", point.topics},
                                  {"e_value", rounded(point.e_value)}}));
  }
  return out;
}

json::Value streams_json(const detect::AccountState& state) {
  json::Value out = json::Value::array();
  for (size_t i = 0; i < detect::kStreams; ++i) {
    if (state.streams[i].count > 0) out.push(stream_json(state, i));
  }
  return out;
}

}  // namespace

Watching::Watching(std::unique_ptr<store::Database> database, detect::Calibration calibration)
    : database_(std::move(database)), calibration_(std::move(calibration)) {}
Watching::~Watching() = default;

Result<std::unique_ptr<Watching>> Watching::open(const std::string& folder) {
  const std::string path = base::join(folder, kDetectionFile);
  if (!base::exists(path)) return base::not_found("detection has not begun here", folder);
  RETORT_TRY(auto database, store::Database::open(path, {.create = false}));
  RETORT_TRY_VOID(Course::make_tables(*database));
  RETORT_TRY(auto calibration, calibration_of(folder));
  return std::unique_ptr<Watching>(new Watching(std::move(database), std::move(calibration)));
}

Result<json::Value> Watching::account(const std::string& id, const std::string& purpose) {
  RETORT_TRY(auto row, database_->prepare("SELECT state FROM states WHERE account = ?1"));
  RETORT_TRY(const bool there, row.bind(1, id).step());
  json::Value out = json::Value::object();
  const auto* honest = calibration_.find(purpose);
  if (there) {
    RETORT_TRY(const auto state, detect::restore(row.blob(0)));
    out.set("requests", static_cast<int64_t>(state.requests));
    out.set("step", detect::name(state.step));
    const auto point = course_point(state, honest);
    out.set("e_value", point ? rounded(point->e_value) : 0.0);
    out.set("streams", streams_json(state));
  }
  RETORT_TRY(const auto course, Course(*database_).of(id));
  if (!there && course.empty()) return json::Value();
  out.set("compared_with", honest == calibration_.find("") ? "" : purpose);
  out.set("honest_periods", honest != nullptr ? honest->periods : 0);
  out.set("course", course_json(course));
  return out;
}

}  // namespace retort::provider
