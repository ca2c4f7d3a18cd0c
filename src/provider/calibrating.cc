#include "provider/calibrating.h"

#include <fmt/core.h>

#include "base/files.h"
#include "json/value.h"
#include "provider/periods_internal.h"
#include "provider/watch_internal.h"

namespace retort::provider {
namespace {

constexpr const char* kFile = "calibration.json";
constexpr int64_t kBytesMax = int64_t{16} << 20;

std::string wealth_json(const detect::Wealth& wealth) {
  json::Value families = json::Value::array();
  for (const float one : wealth.families) families.push(static_cast<double>(one));
  return json::dump(json::Value::object({{"total", static_cast<double>(wealth.total)},
                                         {"rest", static_cast<double>(wealth.rest)},
                                         {"families", std::move(families)}}));
}

Result<detect::Wealth> wealth_from(std::string_view text, const std::string& where) {
  RETORT_TRY(const auto value, json::parse(text, where));
  detect::Wealth out;
  RETORT_TRY(const double total, value.number_at("total"));
  RETORT_TRY(const double rest, value.number_at("rest"));
  out.total = static_cast<float>(total);
  out.rest = static_cast<float>(rest);
  const auto* families = value.find("families");
  if (families == nullptr || !families->is_array() ||
      families->as_array().size() != out.families.size()) {
    return base::bad_input("a closed period lacks its scores", where);
  }
  for (size_t i = 0; i < out.families.size(); ++i) {
    const auto& one = families->as_array()[i];
    if (!one.is_number()) return base::bad_input("a score is no number", where);
    out.families[i] = static_cast<float>(one.as_number());
  }
  return out;
}

// What is not of the provider's accounts: of clusters nothing is kept by period.
detect::Calibration others(bool alone) {
  detect::Calibration out = detect::built_in_calibration();
  if (alone) {
    std::erase_if(out.classes,
                  [](const auto& one) { return !one.first.starts_with(detect::kClusterClass); });
  }
  return out;
}

}  // namespace

Result<detect::Calibration> calibration_of(const std::string& folder) {
  const std::string path = base::join(folder, kFile);
  if (!base::exists(path)) return detect::built_in_calibration();
  RETORT_TRY(const auto text, base::read_file(path, kBytesMax));
  RETORT_TRY(const auto value, json::parse(text, path));
  auto read = detect::calibration_from_json(value);
  if (!read) {
    return base::bad_input(read.error().message, path,
                           "make it anew: retort policy calibrate; without the file the program's "
                           "own holds");
  }
  return read;
}

Result<void> make_period_table(store::Database& database) {
  return database.execute(
      "CREATE TABLE IF NOT EXISTS periods (account TEXT NOT NULL, period INTEGER NOT NULL, "
      "purpose TEXT NOT NULL, wealth TEXT NOT NULL, PRIMARY KEY (account, period)) WITHOUT ROWID");
}

Result<void> put_period(store::Database& database, const ClosedPeriod& closed) {
  RETORT_TRY(auto row, database.prepare("INSERT OR IGNORE INTO periods VALUES (?1, ?2, ?3, ?4)"));
  return row.bind(1, closed.account)
      .bind(2, closed.period)
      .bind(3, closed.purpose)
      .bind(4, wealth_json(closed.wealth))
      .run();
}

Result<OwnCalibration> calibrate(const std::string& folder,
                                 const std::function<bool(std::string_view)>& honest, bool alone) {
  const std::string path = base::join(folder, kDetectionFile);
  if (!base::exists(path)) return base::not_found("detection has not begun here", folder);
  RETORT_TRY(auto database, store::Database::open(path, {.create = false}));
  RETORT_TRY_VOID(make_period_table(*database));
  RETORT_TRY(auto rows, database->prepare("SELECT account, purpose, wealth FROM periods"));
  OwnCalibration out;
  detect::CalibrationBuilder builder(detect::built_in_calibration().find("")->bet);
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) break;
    const std::string account(rows.text(0)), purpose(rows.text(1));
    if (!honest(account)) {
      ++out.left_out;
      continue;
    }
    RETORT_TRY(const auto wealth, wealth_from(rows.text(2), path + ": " + account));
    builder.add(purpose, wealth);
    ++out.own_periods[""];
    if (!purpose.empty()) ++out.own_periods[purpose];
  }
  if (out.own_periods.empty()) {
    return base::not_found(
        fmt::format("no period of an honest account has ended ({} of others)", out.left_out), path,
        "a period is 30 days from an account's first request on");
  }
  RETORT_TRY(out.calibration, detect::pooled(others(alone), builder.finish()));
  return out;
}

Result<void> write_calibration(const std::string& folder, const detect::Calibration& calibration) {
  return base::write_file_atomic(base::join(folder, kFile),
                                 json::dump(detect::to_json(calibration), 1) + "\n");
}

}  // namespace retort::provider
